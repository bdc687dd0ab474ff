"""The rule, one example each; ``test_decision_properties`` tries the combinations."""

import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from earthbeam.matching import (
    UNIQUE_ID,
    BadRosterLine,
    InsufficientMatches,
    Outcome,
    Pair,
    PairRate,
    RosterStudent,
    RowMatch,
    match,
    read_roster,
)

BLANK = RowMatch(Outcome.BLANK)
AMBIGUOUS = RowMatch(Outcome.AMBIGUOUS)
UNKNOWN = RowMatch(Outcome.UNKNOWN)


def primary(student):
    return RowMatch(Outcome.PRIMARY, student)


def second(student):
    return RowMatch(Outcome.SECOND, student)


def student(unique_id, *codes):
    return RosterStudent(unique_id, codes)


def state(unique_id, *codes):
    return student(unique_id, *(("State", code) for code in codes))


class Roster:
    """A roster that counts how often it is opened, and is read from its start each time."""

    def __init__(self, *students):
        self.students = students
        self.opened = 0

    def __call__(self):
        self.opened += 1
        return iter(self.students)


def never():
    raise AssertionError("a roster was read that nobody needed")


# One roster


def test_each_row_gets_its_student_and_the_rest_a_reason():
    plan = match(
        {"ID": ["S1", "S2.0", "", None, "S9", "S1", "S3", "S3.0.0"]},
        Roster(state("1", "S1"), state("2", "S2"), state("3", "S3"), state("4", "S4")),
    )
    assert plan.winner == Pair("ID", "State")
    assert plan.rows == [
        *(primary("1"), primary("2"), BLANK, BLANK, UNKNOWN, primary("1"), primary("3"), UNKNOWN)
    ]
    assert plan.counts() == {Outcome.PRIMARY: 4, Outcome.BLANK: 2, Outcome.UNKNOWN: 2}
    assert (plan.match_rate, plan.second_rates) == (0.5, [])


def test_a_blank_id_is_not_given_to_students_without_that_id():
    roster = Roster(state("1", "S1"), student("2"), student("3", ("State", "")))
    assert match({"ID": ["S1", "", " "]}, roster, required_rate=0.3).rows == [
        *(primary("1"), BLANK, BLANK)
    ]


def test_an_id_of_two_students_is_held_as_ambiguous():
    roster = Roster(state("1", "S1", "S"), state("2", "S"), state("3", "S3"))
    plan = match({"ID": ["S1", "S", "S3"]}, roster)
    assert plan.rows == [primary("1"), AMBIGUOUS, primary("3")]


def test_ambiguous_ids_count_in_no_rate():
    roster = Roster(state("1", "S"), state("2", "S"), state("3", "S3"))
    plan = match({"ID": ["S", "S", "S3"]}, roster, required_rate=0.1)
    assert plan.primary_rates == [PairRate(Pair("ID", "State"), 1, 3)]


def test_a_student_of_two_education_organizations_is_not_ambiguous():
    roster = Roster(state("1", "S1"), state("1", "S1"))
    assert match({"ID": ["S1"]}, roster).rows == [primary("1")]


def test_leading_zeros_and_case_tell_ids_apart():
    roster = Roster(state("1", "007"), state("2", "a"), state("3", "é"))
    plan = match({"ID": ["007", "7", "A", "a", "é", "e\u0301"]}, roster, required_rate=0.1)
    assert plan.rows == [*(primary("1"), UNKNOWN, UNKNOWN, primary("2"), primary("3"), UNKNOWN)]


@pytest.mark.parametrize(
    "seen", [" 7", "7\t", "\xa07\u2007", "\ufeff7", "\u200b7\u200d", "\u00ad7.0 ", "\u30007"]
)
def test_what_nobody_can_see_does_not_count(seen):
    assert match({"ID": [seen]}, Roster(state("1", "7"))).rows == [primary("1")]
    blank = match({"ID": ["\u200b \xa0", "7"]}, Roster(state("1", "7")))
    assert blank.rows[0].outcome is Outcome.BLANK


def test_the_pair_with_the_most_matching_rows_wins():
    columns = {"A": ["L1", "x", "x"], "B": ["S1", "S2", "x"]}
    roster = Roster(
        student("1", ("State", "S1"), ("Local", "L1")), student("2", ("State", "S2")), student("x")
    )
    plan = match(columns, roster)
    assert plan.winner == Pair("B", "State")
    assert plan.primary_rates == [
        PairRate(Pair("B", "State"), 2, 3),
        PairRate(Pair("A", UNIQUE_ID), 2, 3),
        PairRate(Pair("B", UNIQUE_ID), 1, 3),
        PairRate(Pair("A", "Local"), 1, 3),
    ]
    assert plan.rows == [primary("1"), primary("2"), UNKNOWN]


def test_ties_go_to_the_later_column_then_the_later_type():
    roster = Roster(student("1", ("State", "7"), ("state", "7"), ("District", "7")))
    plan = match({"b": ["7"], "B": ["7"], "é": ["7"], "c": ["7"]}, roster)
    assert [rate.pair for rate in plan.primary_rates] == [
        Pair(column, id_type)
        for column in ("é", "c", "b", "B")
        for id_type in ("state", "State", "District")
    ]
    assert plan.winner == Pair("é", "state")


def test_student_unique_id_wins_a_tie_with_state_as_text_order_has_it():
    codes = [("State", "1"), ("State", "x")]
    assert match({"ID": ["1"]}, Roster(student("1", *codes))).winner == Pair("ID", UNIQUE_ID)


def test_matches_are_compared_as_numbers_where_text_would_mislead():
    rows = 100_000
    columns = {
        "A": ["S1"] * 20 + ["x"] * (rows - 20),  # 0.0002
        "B": ["S1"] * 5 + ["x"] * (rows - 5),  # 5e-05, which as text comes after 0.0002
    }
    plan = match(columns, Roster(state("1", "S1")), required_rate=0)
    assert plan.winner == Pair("A", "State")


@pytest.mark.parametrize("blanks", [0, 1])
def test_the_required_rate_is_of_all_rows_and_may_be_met_exactly(blanks):
    columns = {"ID": ["S1", "x"] + [""] * blanks}
    if not blanks:
        assert match(columns, Roster(state("1", "S1"))).match_rate == 0.5
    else:
        with pytest.raises(InsufficientMatches):
            match(columns, Roster(state("1", "S1")))


# What users call the best id


def same_ids(*unique_ids):
    return Roster(*(state(unique_id, unique_id) for unique_id in unique_ids))


def test_users_read_state_where_state_ids_are_the_unique_ids():
    plan = match({"ID": ["1", "2"]}, same_ids("1", "2"))
    assert (plan.winner, plan.display_type) == (Pair("ID", UNIQUE_ID), "State")
    assert plan.id_types == []
    assert plan.primary_rates == [PairRate(Pair("ID", UNIQUE_ID), 2, 2)]


def test_a_type_of_its_own_is_offered_to_bundles_and_keeps_its_name():
    roster = Roster(student("1", ("State", "1"), ("Local", "L1")))
    plan = match({"ID": ["L1"]}, roster)
    assert (plan.display_type, plan.id_types) == ("Local", ["Local"])


def test_the_roster_that_chose_the_pair_names_its_type():
    plan = match({"ID": ["1", "2"]}, Roster(student("9")), same_ids("1", "2"))
    assert (plan.winner.id_type, plan.display_type) == (UNIQUE_ID, "State")


# Too few matches


def test_too_few_matches_name_the_best_pair_as_users_know_it():
    with pytest.raises(InsufficientMatches) as caught:
        match({"A": ["x", "x", "x"], "B": ["1", "x", "x"]}, same_ids("1", "2"))
    error = caught.value
    assert (error.match_rate, error.match_threshold) == (pytest.approx(1 / 3), 0.5)
    assert (error.id_name, error.id_type) == ("B", "State")
    assert "33.3%" in str(error) and "50.0%" in str(error)


def test_too_few_matches_in_both_rosters_report_the_better_rate():
    columns = {"A": ["S1", "", "", "", ""], "B": ["L1", "L2", "", "", ""]}
    first = Roster(state("1", "S1"))
    other = Roster(student("1", ("Local", "L1")), student("2", ("Local", "L2")))
    for rosters in [(first, other), (other, first)]:
        with pytest.raises(InsufficientMatches) as caught:
            match(columns, *rosters)
        error = caught.value
        assert (error.match_rate, error.id_name, error.id_type) == (0.4, "B", "Local")


@pytest.mark.parametrize(
    ("roster", "id_type"), [(same_ids("1"), "State"), (Roster(state("1", "S1")), UNIQUE_ID)]
)
def test_nothing_matched_at_all_names_the_first_column(roster, id_type):
    with pytest.raises(InsufficientMatches) as caught:
        match({"B": ["x"], "A": ["x"]}, roster, Roster())
    error = caught.value
    assert (error.match_rate, error.id_name, error.id_type) == (0.0, "B", id_type)


def test_nothing_matched_at_all_is_too_few_even_if_nothing_is_required():
    with pytest.raises(InsufficientMatches):
        match({"ID": ["x"]}, Roster(state("1", "S1")), required_rate=0)


# Two rosters, the primary one reaching the required rate


def test_rows_that_the_primary_roster_leaves_are_matched_on_the_winning_pair_alone():
    columns = {"ID": ["S1", "S2", "S3", "L4"], "Other": ["", "", "", "S4"]}
    first = Roster(state("1", "S1"), state("2", "S2"))
    other = Roster(state("3", "S3"), student("4", ("State", "S4"), ("Local", "L4")))
    plan = match(columns, first, other)
    assert plan.rows == [primary("1"), primary("2"), second("3"), UNKNOWN]
    assert plan.match_rate == 0.5
    assert plan.primary_rates == [PairRate(Pair("ID", "State"), 2, 4)]
    assert plan.second_rates == [PairRate(Pair("ID", "State"), 1, 2)]


def test_the_second_roster_is_asked_whatever_its_rate():
    columns = {"ID": ["S1"] * 50 + ["S2"] + ["x"] * 49}
    plan = match(columns, Roster(state("1", "S1")), Roster(state("2", "S2")))
    assert plan.counts() == {Outcome.PRIMARY: 50, Outcome.SECOND: 1, Outcome.UNKNOWN: 49}


def test_an_id_shared_in_the_second_roster_is_ambiguous():
    columns = {"ID": ["S1", "S"]}
    plan = match(columns, Roster(state("1", "S1")), Roster(state("2", "S"), state("3", "S")))
    assert plan.rows == [primary("1"), AMBIGUOUS]
    assert plan.second_rates == []


def test_an_id_shared_in_the_primary_roster_is_not_asked_of_the_second():
    first = Roster(state("1", "S1"), state("2", "S"), state("3", "S"))
    plan = match({"ID": ["S1", "S"]}, first, never)
    assert plan.rows == [primary("1"), AMBIGUOUS]


def test_the_primary_roster_keeps_its_word_when_the_second_disagrees():
    first = Roster(state("1", "S1"))
    other = Roster(state("9", "S1"), state("2", "S2"))
    assert match({"ID": ["S1", "S2"]}, first, other).rows == [primary("1"), second("2")]


def test_a_student_of_the_primary_roster_goes_there_though_only_the_second_knows_the_id():
    first = Roster(state("1", "S1"), state("2", "new"), student("3"))
    other = Roster(state("2", "old"), state("3", "S3"), state("4", "S4"))
    plan = match({"ID": ["S1", "old", "S3", "S4", "S1"]}, first, other, required_rate=0.4)
    assert plan.rows == [*(primary("1"), primary("2"), primary("3"), second("4"), primary("1"))]
    assert plan.second_rates == [PairRate(Pair("ID", "State"), 3, 3)]


def test_a_second_roster_with_other_id_types_leaves_rows_unknown():
    plan = match({"ID": ["S1", "S2"]}, Roster(state("1", "S1")), Roster(student("S2")))
    assert plan.rows == [primary("1"), UNKNOWN]


# Two rosters, the primary one falling short


def test_below_the_rate_the_second_roster_chooses_the_pair_and_rows_are_split_with_it():
    columns = {"ID": ["L1", "S2", "S3", "S4"], "Blank": ["", "", "", ""]}
    first = Roster(student("1", ("Local", "L1")), state("2", "S2"))
    other = Roster(state("2", "S2"), state("3", "S3"), state("4", "S4"))
    plan = match(columns, first, other)
    assert plan.winner == Pair("ID", "State")
    assert plan.match_rate == 0.75
    assert plan.rows == [UNKNOWN, primary("2"), second("3"), second("4")]
    assert {rate.pair.id_type for rate in plan.primary_rates} == {"State", "Local"}
    assert plan.second_rates == [PairRate(Pair("ID", "State"), 3, 4)]


def test_below_the_rate_a_primary_student_known_by_another_id_goes_to_the_primary_set():
    first = Roster(state("1", "new"), student("5"))
    other = Roster(state("1", "old"), state("2", "S2"))
    plan = match({"ID": ["old", "S2"]}, first, other)
    assert plan.rows == [primary("1"), second("2")]
    assert first.opened == 2


def test_below_the_rate_the_primary_roster_keeps_its_word_on_the_winning_pair():
    first = Roster(state("1", "S1"), state("8", "S"), state("9", "S"))
    other = Roster(state("7", "S1"), state("2", "S2"), state("8", "S"))
    plan = match({"ID": ["S1", "S2", "S"]}, first, other)
    assert plan.rows == [primary("1"), second("2"), AMBIGUOUS]


def test_the_split_reads_the_primary_roster_on_a_type_that_there_merely_repeats_the_unique_id():
    """The primary's State ids equal its unique ids, so State is no candidate there; it wins in the
    second roster, and the primary's word on it counts all the same."""
    first = Roster(*(state(f"{n}", f"{n}") for n in range(20)))
    other = Roster(*(state(f"E{n}", f"{n}") for n in range(19, 40)))
    plan = match({"ID": [f"{n}" for n in range(19, 40)]}, first, other)
    assert plan.winner == Pair("ID", "State")
    assert plan.rows == [primary("19"), *(second(f"E{n}") for n in range(20, 40))]


# Rosters are read no more often than needed


def test_the_second_roster_is_left_alone_when_every_id_is_known_or_blank():
    first = Roster(state("1", "S1"))
    assert match({"ID": ["S1", "S1", ""]}, first, never).rows == [primary("1"), primary("1"), BLANK]
    assert first.opened == 1


def test_the_second_roster_is_left_alone_when_the_input_has_no_ids_at_all():
    with pytest.raises(InsufficientMatches):
        match({"ID": ["", " "]}, Roster(state("1", "S1")), never)


def test_the_primary_roster_is_read_once_when_the_second_resolves_nothing():
    first, other = Roster(state("1", "S1")), Roster(state("2", "S"), state("3", "S"))
    match({"ID": ["S1", "S"]}, first, other)
    assert (first.opened, other.opened) == (1, 1)


def test_the_second_roster_is_read_once_in_either_case():
    other = Roster(state("1", "S1"), state("2", "S2"))
    match({"ID": ["S1", "S2"]}, Roster(state("1", "S1")), other)
    assert other.opened == 1
    match({"ID": ["S1", "S2"]}, Roster(), other)
    assert other.opened == 2


# Faults of rosters


def test_a_roster_that_breaks_off_ends_the_match_with_its_own_error():
    def broken():
        yield state("2", "S2")
        raise ConnectionError("cut")

    with pytest.raises(ConnectionError, match="cut"):
        match({"ID": ["S1", "S2"]}, Roster(state("1", "S1")), broken)


def test_a_bad_line_ends_the_match():
    with pytest.raises(BadRosterLine):
        match({"ID": ["S1"]}, lambda: read_roster([b"{}"]))


def test_matching_needs_nothing_but_the_standard_library_and_orjson():
    code = (
        f"import sys; sys.path.append({str(Path(orjson.__file__).parents[1])!r})\n"
        "import earthbeam.matching\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}"
        " - sys.stdlib_module_names - {'__main__', 'earthbeam', 'orjson'}))"
    )
    root = Path(__file__).parents[2]
    argv = [sys.executable, "-S", "-c", code]
    result = subprocess.run(argv, cwd=root, capture_output=True, text=True)
    assert (result.stdout.strip(), result.stderr) == ("", "")


# Rows that a person has decided


def test_a_decided_row_goes_to_its_student_whatever_its_id():
    plan = match(
        {"ID": ["S1", "S1", "", "S9", "S2"]},
        Roster(state("1", "S1"), state("2", "S2")),
        Roster(state("3", "S3")),
        decided={1: "2", 2: "3", 3: "2"},
    )
    assert plan.rows == [primary("1"), primary("2"), second("3"), primary("2"), primary("2")]
    assert plan.winner == Pair("ID", "State")
    assert plan.primary_rates == [PairRate(Pair("ID", "State"), 2, 5)]


def test_a_decided_student_whom_no_roster_has_leaves_the_row_unmatched():
    roster = Roster(state("1", "S1"))
    assert match({"ID": ["S1", "S9"]}, roster, decided={1: "9"}).rows == [primary("1"), UNKNOWN]
    away = match({"ID": ["S1", "S9"]}, roster, Roster(state("3", "S3")), decided={1: "9"})
    assert away.rows == [primary("1"), UNKNOWN]


def test_decided_rows_count_for_the_required_rate():
    roster = Roster(state("1", "S1"), state("2", "S2"))
    columns = {"ID": ["S7", "S8", "S9"]}
    plan = match(columns, roster, decided={0: "1", 2: "2"})
    assert plan.rows == [primary("1"), UNKNOWN, primary("2")]
    assert plan.winner == Pair("ID", UNIQUE_ID)
    with pytest.raises(InsufficientMatches):
        match(columns, roster, decided={0: "1"})


def test_a_file_of_decided_rows_alone_reads_no_second_roster_that_it_does_not_need():
    plan = match({"ID": ["", "S9"]}, Roster(state("1", "S1")), never, decided={0: "1", 1: "1"})
    assert plan.rows == [primary("1"), primary("1")]
