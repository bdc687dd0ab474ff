"""Birth dates in any usual form are read as the dates they are."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earthbeam.identity.dates import compare, read

DAY = (2014, 3, 5)
days = st.dates(date(1940, 1, 1), date(2025, 12, 31))


@pytest.mark.parametrize(
    "text",
    [
        "2014-03-05", "2014-3-5", "2014/03/05", "20140305", "3/5/2014", "03/05/2014", "3-5-14",
        "03.05.2014", "03052014", "2014-03-05T00:00:00", "2014-03-05 00:00:00.000",
        "2014-03-05T00:00:00Z", "3/5/2014 12:00:00 AM", "3/5/2014 0:00", "Mar 5, 2014",
        "March 5, 2014", "5-Mar-2014", "05MAR2014", "5 March 2014", "05-Mar-14", " 3/5/2014 ",
        "41703", "41703.0",
    ],
)  # fmt: skip
def test_usual_forms_of_a_date_are_read(text):
    assert read(text) == DAY


@pytest.mark.parametrize(
    "text",
    ["", " ", "n/a", "5", "2014", "2014-13-05", "02/30/2014", "00/00/0000", "1/1/1899", "3/5",
     "12:30", "3/5/2099", "99999999", "14-3", "May", "\u0663/\u0665/2014", "3/5/2014; drop"],
)  # fmt: skip
def test_what_is_no_birth_date_is_none(text):
    assert read(text) is None


def test_the_day_may_come_first_and_does_if_nothing_else_is_possible():
    assert read("5/3/2014", day_first=True) == DAY
    assert read("25/3/2014") == (2014, 3, 25)
    assert read("3/25/2014", day_first=True) == (2014, 3, 25)


def test_years_of_two_digits_are_in_the_past():
    assert read("3/5/08") == (2008, 3, 5)
    assert read("3/5/98") == (1998, 3, 5)


@given(days, st.sampled_from(["%Y-%m-%d", "%m/%d/%Y", "%Y%m%d", "%d-%b-%Y", "%B %d, %Y"]))
def test_what_is_written_in_a_usual_form_is_read_again(day, form):
    assert read(day.strftime(form)) == (day.year, day.month, day.day)


@given(st.text(max_size=24))
def test_no_text_breaks_it(text):
    day = read(text)
    assert day is None or 1 <= day[1] <= 12


@pytest.mark.parametrize(
    ("other", "level"),
    [
        ((2014, 3, 5), "same"),
        ((2014, 5, 3), "close"),
        ((2014, 3, 6), "close"),
        ((2013, 3, 5), "close"),
        ((2041, 3, 5), "close"),
        ((2013, 4, 5), "different"),
        ((2012, 11, 28), "different"),
        (None, None),
    ],
)
def test_slips_of_the_hand_are_close(other, level):
    assert compare(DAY, other) == compare(other, DAY) == level
