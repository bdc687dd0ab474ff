"""The sandbox's students: one deterministic population behind the ODS, EDU, and the sample files.

The sample district's students fall into the groups that a cross-year job distinguishes. Every
stand-in derives its data from here, so the demo knows in advance what its job must report.
"""

import random
from dataclasses import dataclass
from datetime import date, timedelta

TENANT = "grand_bend"
OTHER_TENANT = "glendale"
ED_ORG_ID = 255901
OTHER_ED_ORG_ID = 867530
CURRENT_YEAR = 2026
"""The end year of the ODS's school year."""

WITHOUT_CODES = "604000"
"""Unique ID of the student without any identification code in the ODS, the first of its roster."""

TWO_ED_ORGS, SECOND_ED_ORG_ID = "604001", 255901001
"""Unique ID of a student with two education organizations in the ODS, and the second of these."""

SHARED_STATE_ID = ("604002", "604003")
"""Unique IDs of this year's two students who have the same State ID everywhere."""

CURRENT, EARLIER, OTHER_DISTRICT, UNKNOWN = "current", "earlier", "other-district", "unknown"

_FIRST = "Ana Ben Chloé Dev Elif Finn Grace Hugo Inés Jonas Kim Lena Mia Noah Olga Pia Ravi Siân"
_LAST = "Abbott Baker Castro Díaz Evans Fischer Grant Huang O'Neil Jones Kumar Lopez Müller"


@dataclass(frozen=True)
class Student:
    """A student, as the stand-ins know them.

    ``years`` are the end years of the school years in which a district lists them. A student
    without any is on no roster.
    """

    unique_id: str
    first_name: str
    last_name: str
    state_id: str
    local_id: str
    grade: int
    years: tuple[int, ...]
    tenant: str
    ed_org_id: int
    group: str

    @property
    def birth_date(self) -> date:
        """A day that fits the grade; no two students of a grade in a row have the same."""
        oldest = date(CURRENT_YEAR - self.grade - 7, 9, 1)
        return oldest + timedelta(days=int(self.unique_id) * 137 % 365)


def students() -> list[Student]:
    """Return every student of the sandbox, the same list at every call.

    700 attend the sample district this year, 260 did in earlier years, 180 attend another district
    of the same EDU, and 40 are on no roster (they occur in sample files only). State IDs keep
    leading zeros. A Local ID of the other district may equal one of ours. The two students of
    ``SHARED_STATE_ID`` have the State ID of the first of them.
    """
    rng = random.Random(20260)
    sizes = ((CURRENT, 700), (EARLIER, 260), (OTHER_DISTRICT, 180), (UNKNOWN, 40))
    result: list[Student] = []
    for group, size in sizes:
        for number in range(size):
            serial = len(result)
            newest = CURRENT_YEAR if group != EARLIER else CURRENT_YEAR - 1 - number % 3
            oldest = max(newest - rng.randrange(4), CURRENT_YEAR - 5)
            elsewhere = group == OTHER_DISTRICT
            unique_id = str(604_000 + serial)
            shares = unique_id == SHARED_STATE_ID[1]
            state_id = result[-1].state_id if shares else f"{serial * 7919 % 10_000_000:010d}"
            result.append(
                Student(
                    unique_id=unique_id,
                    first_name=rng.choice(_FIRST.split()),
                    last_name=rng.choice(_LAST.split()),
                    state_id=state_id,
                    local_id=str(10_000 + (number if elsewhere else serial)),
                    grade=rng.randrange(3, 9),
                    years=() if group == UNKNOWN else tuple(range(oldest, newest + 1)),
                    tenant=OTHER_TENANT if elsewhere else TENANT,
                    ed_org_id=OTHER_ED_ORG_ID if elsewhere else ED_ORG_ID,
                    group=group,
                )
            )
    return result


def in_group(group: str) -> list[Student]:
    """Return the students of one group, in order."""
    return [student for student in students() if student.group == group]
