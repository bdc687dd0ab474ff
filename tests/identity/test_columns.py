"""Names and birth dates are found in the file itself."""

import pytest

from earthbeam.identity import learn
from earthbeam.identity.columns import split_name
from earthbeam.identity.people import from_record

STUDENTS = [
    ("Mia", "Castro", "2014-03-05"), ("Noah", "Evans", "2013-11-20"),
    ("Chloé", "Díaz", "2012-07-04"), ("Hugo", "O'Neil", "2014-12-25"),
    ("Ana", "Grant", "2013-01-15"), ("Finn", "Baker", "2012-10-31"),
]  # fmt: skip
PEOPLE = [
    from_record({"firstName": first, "lastSurname": last, "birthDate": birth})
    for first, last, birth in STUDENTS
]


def us(birth):
    year, month, day = birth.split("-")
    return f"{int(month)}/{int(day)}/{year}"


def european(birth):
    year, month, day = birth.split("-")
    return f"{day}.{month}.{year}"


def learned(header, rows):
    return learn(header, list(zip(rows, PEOPLE, strict=False)), rows)


def test_columns_are_learned_from_rows_that_matched_whatever_they_are_called():
    rows = [["Ms. Lopez", "7", last.upper(), us(birth), first] for first, last, birth in STUDENTS]
    found = learned(["a", "b", "c", "d", "e"], rows)
    assert found.named == {"firstName": "e", "lastSurname": "c", "birthDate": "d"}
    who = found.person(["", "", "Díaz", "7/4/2012", "Chloe"])
    assert (who.first, who.last, who.birth) == (("chloe",), ("diaz",), (2012, 7, 4))


@pytest.mark.parametrize("form", ["{last}, {first} M.", "{first} {last}"])
def test_one_column_may_hold_the_whole_name(form):
    rows = [[form.format(first=first, last=last)] for first, last, _ in STUDENTS]
    found = learned(["x"], rows)
    assert found.named == {"name": "x"}
    who = found.person([rows[2][0]])
    assert (who.first, who.last) == (("chloe",), ("diaz",))


def test_a_file_that_writes_the_day_first_is_read_so():
    rows = [[first, last, european(birth)] for first, last, birth in STUDENTS]
    assert learned(["f", "l", "b"], rows).person(["", "", "05.03.2014"]).birth == (2014, 3, 5)


def test_with_too_few_matched_rows_the_header_decides():
    header = ["TeacherLastName", "Student Last Name", "StudentFirstName", "MI", "DOB", "Score"]
    found = learn(header, [], [["Lopez", "Castro", "Mia", "K", "3/5/2014", "200"]])
    assert found.named == {
        "lastSurname": "Student Last Name",
        "firstName": "StudentFirstName",
        "middleName": "MI",
        "birthDate": "DOB",
    }


def test_names_that_disagree_with_the_students_are_found_by_the_header():
    rows = [[f"Zoe{n}", "Quinn", "1/2/2003"] for n in range(6)]
    found = learned(["FirstName", "LastName", "BirthDate"], rows)
    assert set(found.named) == {"firstName", "lastSurname", "birthDate"}


def test_a_file_without_names_has_none():
    rows = [["200", "MAP"] for _ in STUDENTS]
    found = learned(["Score", "Test"], rows)
    assert found.named == {}
    assert not found.person(["200", "MAP"]).is_known


def test_a_date_that_many_rows_have_is_no_birth_date():
    rows = [[first, last, "01/01/1900"] for first, last, _ in STUDENTS]
    rows += [["Leo", "Huang", "2/3/2015"]]
    found = learned(["First Name", "Last Name", "DOB"], rows)
    assert found.person(rows[0]).birth is None
    assert found.person(rows[-1]).birth == (2015, 2, 3)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("Castro, Mia K.", ("Mia", "K.", "Castro")),
        ("Mia K. Castro", ("Mia", "K.", "Castro")),
        ("Castro,", ("Castro", "", "")),
        ("Mia", ("Mia", "", "")),
        ("", ("", "", "")),
        ("de la Cruz, Ana María", ("Ana", "María", "de la Cruz")),
    ],
)
def test_a_name_in_one_text_is_split(name, parts):
    assert split_name(name) == parts
