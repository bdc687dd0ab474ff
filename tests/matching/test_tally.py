from earthbeam.matching import UNIQUE_ID, RosterStudent, take_tally


def student(unique_id, *codes):
    return RosterStudent(unique_id, codes)


def holders(tally):
    return {id_type: dict(held) for id_type, held in tally.holders.items() if held}


def test_only_what_was_asked_for_is_kept():
    roster = [student("1", ("State", "S1"), ("Local", "L1")), student("2", ("State", "S2"))]
    tally = take_tally(roster, {"S2", "L1", "nobody's"})
    assert holders(tally) == {"State": {"S2": "2"}, "Local": {"L1": "1"}}


def test_an_id_of_two_students_is_nobodys():
    roster = [student("1", ("State", "S")), student("2", ("State", "S")), student("1")]
    assert take_tally(roster, {"S", "1"}).holders_of("State") == {"S": None}


def test_an_id_once_shared_stays_nobodys_when_its_first_student_comes_again():
    roster = [student("1", ("State", "S")), student("2", ("State", "S"))] * 2
    assert take_tally(roster, {"S"}).holders_of("State") == {"S": None}


def test_the_same_student_in_two_education_organizations_is_one_student():
    roster = [student("1", ("State", "S")), student("1", ("State", "S"))]
    tally = take_tally(roster, {"S", "1"})
    assert holders(tally) == {UNIQUE_ID: {"1": "1"}, "State": {"S": "1"}}


def test_a_value_may_be_different_students_in_different_types():
    roster = [student("1", ("State", "2")), student("2", ("Local", "2"))]
    tally = take_tally(roster, {"2"})
    assert holders(tally) == {UNIQUE_ID: {"2": "2"}, "State": {"2": "1"}, "Local": {"2": "2"}}


def test_every_code_of_a_type_counts_not_only_the_first():
    tally = take_tally([student("1", ("State", "old"), ("State", "new"))], {"old", "new"})
    assert tally.holders_of("State") == {"old": "1", "new": "1"}


def test_a_code_type_that_calls_itself_student_unique_id_is_ignored():
    tally = take_tally([student("1", (UNIQUE_ID, "2")), student("2")], {"1", "2"})
    assert holders(tally) == {UNIQUE_ID: {"1": "1", "2": "2"}}
    assert tally.id_types == []


def test_id_types_come_in_order_of_first_appearance():
    roster = [student("1", ("Z", "x"), ("A", "y")), student("2", ("M", "z"), ("A", "y"))]
    assert take_tally(roster, set()).id_types == ["Z", "A", "M"]


def roster_where(held: int, equal: int, of: int):
    """``of`` students, ``held`` of them with a State id, ``equal`` of those with their own."""
    return [
        student(f"{n}", *([("State", f"{n}" if n < equal else f"x{n}")] if n < held else []))
        for n in range(of)
    ]


def test_a_type_that_half_the_roster_has_and_that_nearly_always_equals_the_unique_id_names_it():
    tally = take_tally(roster_where(held=100, equal=95, of=200), set())
    assert tally.display_type(UNIQUE_ID) == "State"
    assert tally.id_types == []


def test_a_type_that_differs_more_often_does_not_name_the_unique_id():
    tally = take_tally(roster_where(held=100, equal=94, of=200), set())
    assert tally.display_type(UNIQUE_ID) == UNIQUE_ID
    assert tally.id_types == ["State"]


def test_a_type_that_less_than_half_of_the_roster_has_does_not_name_the_unique_id():
    tally = take_tally(roster_where(held=99, equal=99, of=200), set())
    assert tally.display_type(UNIQUE_ID) == UNIQUE_ID
    assert tally.id_types == ["State"]


def test_of_two_types_that_equal_the_unique_id_the_one_that_does_so_more_often_names_it():
    roster = [student(f"{n}", ("A", f"{n}" if n else "x"), ("B", f"{n}")) for n in range(20)]
    tally = take_tally(roster, set())
    assert tally.display_type(UNIQUE_ID) == "B"
    assert tally.id_types == []


def test_students_with_two_values_of_a_type_count_as_one_holder_and_two_values():
    roster = [student("1", ("State", "1"), ("State", "x")), student("2")]
    tally = take_tally(roster, set())
    assert (tally.types["State"].lines, tally.types["State"].values) == (1, 2)
    assert tally.display_type(UNIQUE_ID) == UNIQUE_ID


def test_other_types_keep_their_names():
    assert take_tally(roster_where(10, 10, 10), set()).display_type("Local") == "Local"


def test_an_empty_roster_is_a_tally_of_nothing():
    tally = take_tally([], {"1"})
    assert (tally.lines, tally.id_types, tally.display_type(UNIQUE_ID)) == (0, [], UNIQUE_ID)


def test_what_is_kept_grows_with_the_input_and_not_with_the_roster():
    wanted = {f"{n}" for n in range(0, 50, 5)} | {"unknown"}

    def roster(size):
        for n in range(size):
            # ``S`` ids are shared by pairs of students, so that the ambiguous ones are many too.
            yield student(f"{n}", ("State", f"{n}"), ("Local", f"S{n // 2}"), ("Old", f"{n % 50}"))

    tally = take_tally(roster(200_000), wanted)
    assert tally.lines == 200_000
    kept = sum(len(held) for held in tally.holders.values()) + len(tally.types)
    assert kept <= len(wanted) * 4 + 3
