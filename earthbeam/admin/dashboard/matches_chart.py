"""The dashboard's chart: rows by week, matched in the ODS or to a prior year, and unmatched."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from django.db.models import QuerySet, Sum
from django.db.models.functions import TruncWeek
from django.utils import timezone

from earthbeam.models import Job, Run

WEEKS = 12


@dataclass(frozen=True)
class Week:
    """Rows of the jobs created in the week that begins on ``start``, a Monday."""

    start: date
    ods: int = 0
    across_years: int = 0
    unmatched: int = 0

    @property
    def rows(self) -> int:
        return self.ods + self.across_years + self.unmatched


@dataclass(frozen=True)
class Bar:
    """A part of a column of the chart, in units of its view box."""

    kind: str
    y: float
    height: float


@dataclass(frozen=True)
class Chart:
    """Columns for ``weeks``, scaled so that the highest is 100."""

    weeks: list[Week]

    @property
    def total(self) -> Week:
        return Week(
            self.weeks[0].start,
            sum(week.ods for week in self.weeks),
            sum(week.across_years for week in self.weeks),
            sum(week.unmatched for week in self.weeks),
        )

    @property
    def highest(self) -> int:
        return max(week.rows for week in self.weeks)

    @property
    def width(self) -> int:
        return 10 * len(self.weeks)

    @property
    def columns(self) -> list[tuple[Week, int, list[Bar]]]:
        """Each week with its x coordinate and its bars, from the bottom up."""
        return [(week, 10 * index + 1, self._bars(week)) for index, week in enumerate(self.weeks)]

    def _bars(self, week: Week) -> list[Bar]:
        bars, ground = [], 100.0
        parts = (("ods", week.ods), ("edu", week.across_years), ("unmatched", week.unmatched))
        for kind, rows in parts:
            if rows:
                height = 100 * rows / self.highest
                ground -= height
                bars.append(Bar(kind, round(ground, 2), round(height, 2)))
        return bars


def chart(jobs: QuerySet[Job], now: datetime | None = None) -> Chart:
    """Count where the rows of ``jobs`` went, in completed last runs of the last WEEKS weeks.

    Leaves out previews, and what was withdrawn.
    """
    today = (now or timezone.now()).date()
    monday = today - timedelta(days=today.weekday())
    starts = [monday - timedelta(weeks=weeks) for weeks in range(WEEKS - 1, -1, -1)]
    since = datetime.combine(starts[0], time.min, tzinfo=UTC)
    sums = (
        jobs.order_by()
        .filter(created_at__gte=since)
        .filter(last_run__status=Run.Status.SUCCESS, last_run__kind__in=Run.SENDING)
        .values_list(TruncWeek("created_at"))
        .annotate(
            Sum("last_run__matches__ods_matched"),
            Sum("last_run__matches__cross_year_matched"),
            Sum("last_run__matches__unmatched"),
        )
    )
    known = {week.date(): [rows or 0 for rows in of] for week, *of in sums}
    return Chart([Week(start, *known.get(start, ())) for start in starts])
