"""A run's first executor is as large as its bundle's earlier files say."""

import pytest

from earthbeam.launchers.executor_size import size_for
from earthbeam.models import Run
from tests.factories import BUNDLE_TEMPLATE, make_bundle, make_job, make_matches, make_run

pytestmark = pytest.mark.django_db

MB = 1024 * 1024


@pytest.fixture
def bundle():
    return make_bundle()


@pytest.fixture
def needed(bundle):
    """Records that a run of the bundle needed so much memory for so much input."""

    def needed(peak_mb, input_mb, bundle=bundle):
        run = make_run(job_of(bundle, input_mb), Run.Status.SUCCESS)
        make_matches(run, peak_memory_mb=peak_mb)

    return needed


def job_of(bundle, input_mb):
    job = make_job(bundle=bundle)
    job.files.update(size=input_mb * MB)
    return job


@pytest.mark.parametrize(
    ("peak_mb", "input_mb", "next_mb", "size"),
    [
        (1100, 117, 150, "medium"),  # more than the threshold, but known to fit
        (1100, 117, 500, "medium"),
        (1100, 117, 1100, "large"),
        (9000, 90, 50, "medium"),
        (9000, 90, 80, "large"),  # less than the threshold, but known not to fit
        (390, 20, 150, "medium"),
    ],
)
def test_what_an_earlier_file_needed_decides_for_files_up_to_ten_times_its_size(
    bundle, needed, peak_mb, input_mb, next_mb, size
):
    needed(peak_mb, input_mb)
    assert size_for(job_of(bundle, next_mb)) == size


def test_of_several_files_the_one_that_needed_most_a_byte_decides(bundle, needed):
    needed(1000, 80)
    needed(9000, 90)
    needed(1000, 85)
    assert size_for(job_of(bundle, 85)) == "large"


@pytest.mark.parametrize(("next_mb", "size"), [(99, "medium"), (100, "large")])
def test_without_a_file_of_such_a_size_the_size_of_the_input_decides(bundle, needed, next_mb, size):
    needed(9000, 5)
    needed(9000, 100, bundle=make_bundle(BUNDLE_TEMPLATE | {"path": "assessments/another"}))
    needed(None, 100)
    assert size_for(job_of(bundle, next_mb)) == size
