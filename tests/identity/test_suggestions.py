"""Who a row may be about, and how sure that is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earthbeam.identity import OpenRow, RosterPerson, Suggester, disagrees, too_many_disagree
from earthbeam.identity.dates import read
from earthbeam.identity.people import UNKNOWN_PERSON, from_record, of_parts


def student(unique_id, first="", last="", birth="", state=None):
    record = {"firstName": first, "lastSurname": last, "birthDate": birth}
    codes = (("State", state),) if state else ()
    return RosterPerson(unique_id, codes, from_record(record))


def person(first="", last="", birth=""):
    return of_parts(first, "", last, read(birth))


def suggestions(row, *roster, others=()):
    suggester = Suggester([row], "State")
    suggester.read("ods", roster)
    suggester.read("edu", others)
    return suggester.of_row(0)


def found(row, *roster, others=()):
    return [
        (each.student.unique_id, each.likelihood, each.sure)
        for each in suggestions(row, *roster, others=others)
    ]


def row(cell="", **of):
    return OpenRow((("StateID", cell),) if cell else (), person(**of))


MIA = student("1", "Mia", "Castro", "2014-03-05", "0009067255")
NOAH = student("2", "Noah", "Evans", "2013-11-20", "0009067300")


@pytest.mark.parametrize(
    "of",
    [
        {"first": "Mia", "last": "Castro", "birth": "3/5/2014"},
        {"first": "MIA", "last": "Castro-Diaz", "birth": "2014-03-05"},
        {"first": "Mia", "last": "Castro", "birth": "5/3/2014"},
        {"first": "Castro", "last": "Mia", "birth": "2014-03-05"},
        {"first": "Mía", "last": "Castrp", "birth": "2014-03-05"},
    ],
)
def test_names_and_birth_date_find_the_student_in_spite_of_slips(of):
    assert found(row(**of), NOAH, MIA) == [("1", "very_likely", True)]


def test_a_name_alone_is_never_very_likely():
    assert found(row(first="Mia", last="Castro"), NOAH, MIA) == [("1", "likely", False)]


def test_twins_are_very_likely_only_if_the_first_name_decides():
    twin = student("3", "Ana", "Castro", "2014-03-05")
    decided = found(row(first="Mia", last="Castro", birth="2014-03-05"), MIA, twin)
    assert decided == [("1", "very_likely", True)]
    alike = found(row(last="Castro", birth="2014-03-05"), MIA, twin)
    assert [(likelihood, sure) for _, likelihood, sure in alike] == [("possible", False)] * 2
    third = found(row(first="Eva", last="Castro", birth="2014-03-05"), MIA)
    assert third in ([], [("1", "possible", False)], [("1", "likely", False)])


def test_a_first_name_that_is_missing_keeps_the_only_one_from_being_very_likely():
    assert found(row(last="Castro", birth="2014-03-05"), MIA) == [("1", "likely", False)]


def test_two_students_that_fit_equally_well_are_both_unsure():
    other = student("9", "Mia", "Castro", "2014-03-05")
    both = found(row(first="Mia", last="Castro", birth="2014-03-05"), MIA, other)
    assert [(likelihood, sure) for _, likelihood, sure in both] == [("possible", False)] * 2


def test_siblings_are_not_suggested_for_each_other():
    assert found(row(first="Leo", last="Castro", birth="2016-07-30"), MIA) == []


def test_a_damaged_id_leads_to_its_student_and_names_confirm_it():
    [only] = suggestions(row("9067255", first="Mia", last="Castro"), NOAH, MIA)
    assert (only.student.unique_id, only.repair, only.sure) == ("1", "leading_zeros", True)
    [unnamed] = suggestions(row("9067255"), NOAH, MIA)
    assert (unnamed.likelihood, unnamed.repair) == ("likely", "leading_zeros")
    assert suggestions(row("9067255", first="Leo", last="Baker", birth="2010-01-02"), MIA) == []


def test_a_repair_counts_only_if_it_leads_to_one_student():
    suggester = Suggester([row("9067255"), row("9067300")], "State")
    suggester.read("ods", [MIA, NOAH, student("3", state="09067255")])
    assert suggester.repair_of(0) is None
    repaired = suggester.repair_of(1)
    assert repaired is not None
    assert repaired.student.unique_id == "2"


def test_an_intact_id_of_another_type_or_in_another_column_is_named_so():
    [typed] = suggestions(row("1"), MIA)
    assert typed.repair == "other_type"
    columns = OpenRow((("StateID", "x"), ("LocalID", "0009067255")), UNKNOWN_PERSON)
    [elsewhere] = suggestions(columns, MIA)
    assert elsewhere.repair == "other_column"


def test_a_student_of_both_rosters_is_suggested_once_as_this_years():
    [only] = suggestions(row(first="Mia", last="Castro", birth="3/5/2014"), MIA, others=[MIA])
    assert only.source == "ods"


def test_at_most_three_are_suggested_the_best_first():
    many = [student(str(n), "Mia", "Castro", f"2014-03-0{n}") for n in range(1, 10)]
    best, *rest = suggestions(row(first="Mia", last="Castro", birth="2014-03-04"), *many)
    assert best.student.unique_id == "4"
    assert len(rest) == 2


def test_the_student_to_whom_a_disagreeing_id_leads_is_not_suggested_again():
    of = person(first="Mia", last="Castro", birth="2014-03-05")
    assert found(OpenRow((("StateID", "0009067255"),), of, not_of="1"), MIA, NOAH) == []


def test_what_agrees_is_told_part_by_part():
    [only] = suggestions(row(first="Mía", last="Castrp", birth="2014-03-06"), MIA)
    assert only.comparison.agrees() == {
        "lastSurname": "close",
        "firstName": "same",
        "birthDate": "close",
    }


text = st.text(max_size=12)
people = st.builds(person, first=text, last=text, birth=st.sampled_from(["", "2014-03-05", "x"]))


@given(st.lists(people, max_size=8), people, text)
def test_scores_are_likelihoods_that_add_up_to_one_at_most(roster, of, cell):
    students = [RosterPerson(str(n), (), each) for n, each in enumerate(roster)]
    made = suggestions(OpenRow((("ID", cell),), of), *students)
    assert sum(each.score for each in made) <= 1.000001
    assert sorted((each.score for each in made), reverse=True) == [each.score for each in made]
    assert sum(each.sure for each in made) <= 1


@pytest.mark.parametrize(
    ("of", "held"),
    [
        ({"first": "Leo", "last": "Baker", "birth": "2010-01-02"}, True),
        ({"first": "Leo", "last": "Baker"}, True),
        ({"first": "Mia", "last": "Baker", "birth": "2010-01-02"}, False),
        ({"first": "Leo", "last": "Baker", "birth": "2014-05-03"}, False),
        ({"first": "Castro", "last": "Mia"}, False),
        ({"birth": "2010-01-02"}, False),
        ({"last": "Baker"}, False),
        ({}, False),
    ],
)
def test_a_row_disagrees_if_neither_a_name_nor_the_birth_date_confirms_it(of, held):
    assert disagrees(person(**of), MIA.person) is held
    assert disagrees(MIA.person, person(**of)) is held


def test_more_than_a_tenth_of_a_file_is_too_many_but_one_row_never_is():
    assert too_many_disagree(7, 60)
    assert not too_many_disagree(6, 60)
    assert not too_many_disagree(1, 5)
    assert too_many_disagree(2, 5)


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ("Ольга", "Иванова"),
        ("小龙", "李"),
        ("محمد", "العلي"),
        ('Zoë "Zo"', "O’Neil"),
        ("Ana, María", "García-López, Jr."),
        ("Mia 🙂", "Castro"),
        ("=cmd|' /C calc'!A0", "<b>"),
    ],
)
def test_names_of_any_alphabet_and_with_any_signs_find_their_student(first, last):
    theirs = student("1", first, last, "2014-03-05")
    others = [student(str(n), f"Other{n}", f"Person{n}", "2014-03-05") for n in range(2, 6)]
    [best, *_] = suggestions(row(first=first, last=last, birth="3/5/2014"), *others, theirs)
    assert best.student.unique_id == "1"
    assert best.comparison.birth == "same"


def test_a_roster_whose_half_has_no_birth_dates_is_searched_by_name_for_those():
    roster = [
        student(str(n), first, last, "2014-03-05" if n % 2 else "")
        for n, (first, last) in enumerate(
            [("Mia", "Castro"), ("Leo", "Baker"), ("Ana", "Abbott"), ("Hugo", "Fischer")]
        )
    ]
    with_date = found(row(first="Leo", last="Baker", birth="2014-03-05"), *roster)
    assert with_date == [("1", "very_likely", True)]
    [without] = suggestions(row(first="Ana", last="Abbott", birth="2014-03-05"), *roster)
    assert without.student.unique_id == "2"
    assert without.comparison.birth is None
    assert without.likelihood != "very_likely"


def test_twenty_thousand_open_rows_each_find_their_student():
    names = [(f"F{chr(97 + n % 26)}{n % 97}", f"L{chr(97 + n % 23)}{n}") for n in range(400)]
    roster = [
        student(str(n), *name, f"20{10 + n % 9}-0{1 + n % 9}-1{n % 10}")
        for n, name in enumerate(names)
    ]
    rows = [OpenRow((), each.person) for _ in range(50) for each in roster]
    suggester = Suggester(rows, "")
    suggester.read("ods", iter(roster))
    best = [suggester.of_row(place)[0].student.unique_id for place in range(len(rows))]
    assert best == [each.unique_id for _ in range(50) for each in roster]
