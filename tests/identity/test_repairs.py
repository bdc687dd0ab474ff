"""What spreadsheets do to IDs is recognized, and never taken for more than it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earthbeam.identity.repairs import canonical, has_lost_digits, kind_of


@pytest.mark.parametrize(
    ("damaged", "intact", "kind"),
    [
        ("9067255", "0009067255", "leading_zeros"),
        ("9067255.00", "9067255", "decimals"),
        ("9067255.00", "0009067255", "leading_zeros"),
        ("9.067255E+06", "9067255", "scientific"),
        ("9.067255E6", "0009067255", "leading_zeros"),
        ("9,067,255", "9067255", "separators"),
        ('="0009067255"', "0009067255", "formula"),
        ("'0009067255", "0009067255", "apostrophe"),
        ("\uff19\uff10\uff16", "906", "full_width"),
        ("ab-12", "AB-12", "case"),
        ("906-72-55", "9067255", "punctuation"),
        ("9067 255", "906-7255", "punctuation"),
        ("AB12", "ab 12", "punctuation"),
        ("0009067255", "0009067255", None),
    ],
)
def test_each_kind_of_damage_is_undone_and_named(damaged, intact, kind):
    assert canonical(damaged) == canonical(intact)
    assert kind_of(damaged, intact) == kind


@pytest.mark.parametrize(
    ("one", "other"),
    [("12", "120"), ("1.5", "15"), ("1,5", "15"), ("12a", "12"), ("A-1", "A-10"), ("0", "")],
)
def test_different_ids_stay_different(one, other):
    assert canonical(one) != canonical(other)


@pytest.mark.parametrize(
    ("value", "lost"),
    [("1.23E+09", True), ("9.06726E+06", True), ("9.067255E+06", False), ("9E0", False),
     ("1E5", True), ("E12", False), ("12", False), ("", False)],
)  # fmt: skip
def test_digits_that_a_spreadsheet_rounded_away_are_not_invented(value, lost):
    assert has_lost_digits(value) is lost
    if lost:
        assert canonical(value) == canonical(value.lower())
        assert not canonical(value).isdigit()


@given(st.text(st.characters(max_codepoint=127), max_size=20))
def test_a_canonical_form_is_final(value):
    once = canonical(value)
    assert canonical(once) == once


@given(st.from_regex(r"[0-9]{1,12}", fullmatch=True), st.from_regex(r"[0-9]{1,12}", fullmatch=True))
def test_two_ids_of_digits_are_one_only_if_they_differ_in_leading_zeros(one, other):
    assert (canonical(one) == canonical(other)) is (int(one) == int(other))
