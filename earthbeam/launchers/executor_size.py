"""The size of a run's executor: by the memory that its bundle needed for earlier files."""

from django.conf import settings
from django.db.models import Sum

from earthbeam.models import Job, RunMatches
from earthbeam.runs.relaunch import LARGE, MEDIUM

_MB = 1024 * 1024
_RUNS = 20
_TENTH = 0.1
"""How large a file must be, of the next one, to say what that one will need."""

PROGRAMS_MB = 400
"""What a run needs for the programs alone, whatever the size of its file."""

_RESERVE = 1.25
"""Files of one size do not all need the same."""


def size_for(job: Job) -> str:
    """Return the size of a job's first executor.

    Large, if the memory that it is expected to need is more than the medium size has. Without
    earlier runs to judge by, large from ECS_FILE_SIZE_THRESHOLD_MB of input on.
    """
    size = _input_size(job)
    expected = expected_mb(job, size)
    if expected is None:
        return LARGE if size >= settings.ECS_FILE_SIZE_THRESHOLD_MB * _MB else MEDIUM
    return LARGE if expected > settings.ECS_MEDIUM_MEMORY_MB else MEDIUM


def expected_mb(job: Job, size: int) -> float | None:
    """Return the memory in MB that ``job`` is expected to need for ``size`` bytes of input.

    What a byte needed in the bundle's last runs on files at least a tenth as large, where it needed
    most. None if there were no such runs.
    """
    earlier = (
        RunMatches.objects.filter(run__job__bundle=job.bundle_id, peak_memory_mb__isnull=False)
        .annotate(input_size=Sum("run__job__files__size"))
        .filter(input_size__gte=max(size * _TENTH, 1))
        .order_by("-run__created_at")
        .values_list("peak_memory_mb", "input_size")[:_RUNS]
    )
    costs = [max(0, (peak or 0) - PROGRAMS_MB) / input_size for peak, input_size in earlier]
    return PROGRAMS_MB + _RESERVE * max(costs) * size if costs else None


def _input_size(job: Job) -> int:
    total: int | None = job.files.aggregate(total=Sum("size"))["total"]
    return total or 0
