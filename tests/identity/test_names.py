"""Names in any usual form are compared as the names they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earthbeam.identity.names import compare_first, compare_last, words

names = st.text(max_size=20)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("García", "GARCIA"),
        ("O'Neil", "O\u2019NEIL"),
        ("O'Neil", "Oneil"),
        ("Smith-Jones", "Smith Jones"),
        ("Smith Jones", "JONES-SMITH"),
        ("Van der Berg", "Vanderberg"),
        ("de la Cruz", "Cruz"),
        ("Baker, Jr.", "Baker"),
        ("Baker III", "baker"),
        ("Müller", "Mu\u0308ller"),
        ("Sørensen", "Sorensen"),
        ("Strauß", "STRAUSS"),
        ("\u738b", "\u738b"),
        ("Иванова", "ИВАНОВА"),
        ("Baker 😀", "Baker"),
        (' "Baker" ', "Baker"),
        ("Baker,", "Baker"),
    ],
)
def test_one_last_name_in_two_spellings_is_the_same(one, other):
    assert compare_last(words(one), words(other)) == "same"


@pytest.mark.parametrize(
    ("one", "other", "level"),
    [
        ("Garcia Lopez", "Garcia", "close"),
        ("Smyth", "Smith", "close"),
        ("Johnson", "Johnston", "close"),
        ("Baker", "Castro", "different"),
        ("王", "李", "different"),
        ("", "Baker", None),
        ("…", "Baker", None),
    ],
)
def test_last_names_that_are_close_different_or_missing(one, other, level):
    assert compare_last(words(one), words(other)) == level


@pytest.mark.parametrize(
    ("one", "other", "level"),
    [
        ("Mary Ann", "Maryann", "same"),
        ("Mary Ann", "Mary", "close"),
        ("Bill", "William", "close"),
        ("LIZ", "Elizabeth", "close"),
        ("Paco", "Francisco", "close"),
        ("J.", "Jonas", "close"),
        ("Katherine", "Catherine", "close"),
        ("Mary", "Anna", "different"),
        ("Mia", "Noah", "different"),
        (" ", "Noah", None),
    ],
)
def test_first_names_may_be_nicknames_initials_or_one_of_two(one, other, level):
    assert compare_first(words(one), words(other)) == level
    assert compare_first(words(other), words(one)) == level


@given(names, names)
def test_names_compare_alike_in_both_orders_whatever_they_are(one, other):
    a, b = words(one), words(other)
    assert compare_last(a, b) == compare_last(b, a)
    assert compare_first(a, b) == compare_first(b, a)


@given(names)
def test_a_name_in_one_form_stays_as_it_is(name):
    once = words(name)
    assert words(" ".join(once)) == once
    assert compare_last(once, once) == ("same" if once else None)
