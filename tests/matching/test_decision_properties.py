"""The rule against a second telling of it: quadratic, without indexes, obviously right."""

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from earthbeam.matching import (
    UNIQUE_ID,
    InsufficientMatches,
    Outcome,
    Pair,
    PairRate,
    RosterStudent,
    RowMatch,
    match,
)

pytestmark = pytest.mark.slow

# Few ids, so that they collide: shared ids, ids that are another student's id of another type,
# leading zeros, inner and outer blanks, endings, other scripts.
IDS = ["1", "01", " 1", "1.0", "2", "é", 'O"\u2028B', "9" * 38]
CELLS = [*IDS, *(f"{value}.0" for value in IDS), "unknown", "", " ", ".0", None]
TYPES = ["State", "Local", UNIQUE_ID]

students = st.builds(
    RosterStudent,
    names=st.none(),
    unique_id=st.sampled_from(IDS),
    codes=st.lists(st.tuples(st.sampled_from(TYPES), st.sampled_from(IDS)), max_size=4).map(tuple),
)
"""Drawn with repetition, so a student comes again with other ids, as in another education
organization or another year."""

rosters = st.lists(students, max_size=8)


@st.composite
def same_state_rosters(draw):
    """Rosters whose State ids repeat most unique ids, as many real ones do."""
    unique_ids = draw(st.lists(st.sampled_from(IDS), min_size=1, max_size=8))
    roster = [RosterStudent(unique_id, (("State", unique_id),)) for unique_id in unique_ids]
    return draw(st.permutations([*roster * 5, *draw(rosters)]))


any_roster = rosters | same_state_rosters()


@st.composite
def inputs(draw):
    rows = draw(st.integers(1, 10))
    names = draw(st.lists(st.sampled_from("aBbé"), min_size=1, max_size=3, unique=True))
    cells = st.lists(st.sampled_from(CELLS), min_size=rows, max_size=rows)
    return {name: draw(cells) for name in names}


class Naive:
    """One roster, asked one cell at a time."""

    def __init__(self, roster):
        self.roster = roster

    def owners(self, cell, id_type):
        """Every student that a cell may mean as an id type; none for a blank one."""
        value = text(cell)
        if value == "":
            return set()
        if id_type == UNIQUE_ID:
            return {unique_id for unique_id, _, _ in self.roster if unique_id == value}
        return {unique_id for unique_id, codes, _ in self.roster if (id_type, value) in codes}

    def types(self):
        """The types that the roster shows, and those of them that repeat the unique id."""
        own: list[str] = []
        repeating: list[tuple[float, int, str]] = []
        for name in dict.fromkeys(name for _, codes, _ in self.roster for name, _ in codes):
            holders = [s for s in self.roster if name in [other for other, _ in s.codes]]
            values = [(v, s.unique_id) for s in self.roster for n, v in s.codes if n == name]
            equal = [value == unique_id for value, unique_id in values]
            if name == UNIQUE_ID:
                continue
            if 2 * len(holders) >= len(self.roster) and 100 * sum(equal) >= 95 * len(values):
                repeating.append((-sum(equal) / len(values), len(own + repeating), name))
            else:
                own.append(name)
        return own, [name for _, _, name in sorted(repeating)]

    def rates(self, columns):
        rates = [
            (sum(len(self.owners(cell, id_type)) == 1 for cell in cells), column, id_type)
            for column, cells in columns.items()
            for id_type in [*self.types()[0], UNIQUE_ID]
        ]
        return sorted((rate for rate in rates if rate[0]), reverse=True)

    def name(self, id_type):
        return next(iter(self.types()[1]), UNIQUE_ID) if id_type == UNIQUE_ID else id_type


def text(cell):
    cell = (cell or "").strip()
    return cell[:-2] if cell[-2:] == ".0" else cell


def expected_plan(columns, first, other, required):
    """The winner, who named it, and each row's outcome; or what InsufficientMatches reports."""
    total = len(next(iter(columns.values())))
    tried = [first] if other is None else [first, other]
    for roster in tried:
        rates = roster.rates(columns)
        if rates and rates[0][0] / total >= required:
            break
    else:
        best = max(tried, key=lambda roster: (roster.rates(columns) or [(0,)])[0][0])
        matches, column, id_type = (best.rates(columns) or [(0, next(iter(columns)), UNIQUE_ID)])[0]
        return matches / total, column, best.name(id_type)

    matches, column, id_type = rates[0]
    second_rates = other.rates(columns) if roster is other else []
    at_home = {unique_id for unique_id, _, _ in first.roster}
    rows = []
    for cell in columns[column]:
        known = first.owners(cell, id_type)
        elsewhere = other.owners(cell, id_type) if other and not known else set()
        if text(cell) == "":
            rows.append((Outcome.BLANK, None))
        elif len(known | elsewhere) > 1:
            rows.append((Outcome.AMBIGUOUS, None))
        elif not known | elsewhere:
            rows.append((Outcome.UNKNOWN, None))
        else:
            (student,) = known | elsewhere
            rows.append((Outcome.PRIMARY if student in at_home else Outcome.SECOND, student))
    if other and roster is first:
        rest = [cell for cell in columns[column] if not first.owners(cell, id_type)]
        if found := sum(len(other.owners(cell, id_type)) == 1 for cell in rest):
            second_rates = [(found, column, id_type)]
    return (column, id_type), matches / total, roster.name(id_type), rows, second_rates


@settings(max_examples=1000)
@given(
    columns=inputs(),
    first=any_roster,
    other=st.none() | any_roster,
    required=st.sampled_from([0, 0.1, 0.25, 0.5, 1]),
)
def test_the_plan_is_what_the_rule_says(columns, first, other, required):
    first_naive, other_naive = Naive(first), None if other is None else Naive(other)
    expected = expected_plan(columns, first_naive, other_naive, required)
    second = None if other is None else lambda: iter(other)
    try:
        plan = match(columns, lambda: iter(first), second, required_rate=required)
    except InsufficientMatches as error:
        event("insufficient")
        assert (error.match_rate, error.id_name, error.id_type) == expected
        return

    event(", ".join(sorted(outcome.value for outcome in plan.counts())))
    assert (plan.winner, plan.match_rate, plan.display_type, plan.rows) == expected[:4]
    total = len(plan.rows)
    assert [(rate.matches, *rate.pair) for rate in plan.second_rates] == expected[4]
    assert plan.primary_rates == [
        PairRate(Pair(column, id_type), matches, total)
        for matches, column, id_type in first_naive.rates(columns)
    ]
    assert plan.id_types == first_naive.types()[0]


@settings(max_examples=300)
@given(columns=inputs(), first=any_roster, other=any_roster, data=st.data())
def test_the_order_of_a_roster_does_not_matter(columns, first, other, data):
    def outcome(first, other):
        try:
            plan = match(columns, lambda: first, lambda: other, required_rate=0.1)
        except InsufficientMatches as error:
            return error.match_rate, error.id_name
        return plan.winner, plan.rows, plan.primary_rates, plan.second_rates

    shuffled = data.draw(st.permutations(first)), data.draw(st.permutations(other))
    assert outcome(first, other) == outcome(*shuffled)


@settings(max_examples=300)
@given(columns=inputs(), first=any_roster, other=any_roster)
def test_a_row_only_ever_becomes_a_student_whose_record_shows_its_id(columns, first, other):
    try:
        plan = match(columns, lambda: first, lambda: other, required_rate=0)
    except InsufficientMatches:
        return
    for cell, row in zip(columns[plan.winner.column], plan.rows, strict=True):
        assert isinstance(row, RowMatch)
        assert row.outcome.matched == (row.student is not None)
        if row.student is not None:
            shown = (
                {row.student}
                if plan.winner.id_type == UNIQUE_ID
                else {
                    code
                    for unique_id, codes, _ in [*first, *other]
                    for id_type, code in codes
                    if unique_id == row.student and id_type == plan.winner.id_type
                }
            )
            assert text(cell) in shown
            in_primary = row.student in {unique_id for unique_id, _, _ in first}
            assert in_primary == (row.outcome is Outcome.PRIMARY)
