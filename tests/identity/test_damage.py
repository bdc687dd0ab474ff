"""What was done to the IDs of a file of which too few rows match."""

from earthbeam.identity import UNKNOWN_PERSON, RosterPerson, find_damage, from_record, repair

STUDENTS = [
    RosterPerson(str(n), (("State", f"000{n}8"), ("Local", str(500 + n))), UNKNOWN_PERSON)
    for n in range(10, 20)
]


def damage(columns, people=None, students=STUDENTS):
    rows = len(next(iter(columns.values())))
    found = find_damage(columns, people or [UNKNOWN_PERSON] * rows, students)
    return [(each.kind, each.rows) for each in found]


def test_the_pair_counts_that_most_rows_match_with_repairs():
    state = [f"{n}8" for n in range(10, 18)]
    local = ["510", "511", "512", *["x"] * 5]
    assert damage({"LocalID": local, "StateID": state}) == [("leading_zeros", 8)]


def test_intact_ids_count_with_those_that_are_repaired():
    assert damage({"StateID": ["000108", "118", "128.00", "7"]}) == [("leading_zeros", 3)]


def test_ids_that_nothing_repairs_are_no_damage():
    assert damage({"StateID": ["x", None, "", "000108"]}) == []


def test_rounded_ids_are_told_though_nothing_restores_them():
    assert damage({"StateID": ["1.2E+09", "118", "x"]}) == [
        ("leading_zeros", 1),
        ("scientific", 1),
    ]


def test_a_repair_that_leads_to_two_students_or_to_somebody_else_does_not_count():
    two = [*STUDENTS, RosterPerson("99", (("State", "0108"),), UNKNOWN_PERSON)]
    assert damage({"StateID": ["108", "118"]}, students=two) == [("leading_zeros", 1)]
    mia = from_record({"firstName": "Mia", "lastSurname": "Castro"})
    leo = from_record({"firstName": "Leo", "lastSurname": "Baker"})
    students = [RosterPerson("1", (("State", "0108"),), mia)]
    assert damage({"StateID": ["108"]}, [leo], students) == []
    assert damage({"StateID": ["108"]}, [mia], students) == [("leading_zeros", 1)]


def test_only_the_damage_that_a_person_wants_undone_is_undone_and_only_in_the_best_column():
    columns = {"LocalID": ["0510", "x", "512"], "StateID": ["108", "118.00", "000128"]}
    people = [UNKNOWN_PERSON] * 3
    repaired = repair(columns, people, STUDENTS, ["leading_zeros"])
    assert repaired == {"LocalID": ["0510", "x", "512"], "StateID": ["000108", "000118", "000128"]}
    assert repair(columns, people, STUDENTS, ["case"]) == columns
