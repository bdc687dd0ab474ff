import pytest
from hypothesis import given
from hypothesis import strategies as st

from earthbeam.launchers.output import BoundedText, Masker


@given(st.lists(st.text(alphabet="aé", max_size=9), max_size=60))
def test_a_bounded_text_keeps_whole_lines_of_both_ends(words):
    lines = [f"{word}\n" for word in words]
    kept = BoundedText(head_bytes=30, tail_bytes=50)
    for line in lines:
        kept.add(line)
    text = kept.text()
    if sum(len(line.encode()) for line in lines) <= 30:
        assert text == "".join(lines)
    head, note, tail = text.partition("[… 1 kB left out …]\n")
    assert "".join(lines).startswith(head)
    if note:
        assert "".join(lines).endswith(tail)
        assert len(head.encode()) <= 30
        assert len(tail.encode()) <= 50
    else:
        assert text == "".join(lines)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("plain words", "plain words"),
        ("s3cr/t+ and s3cr%2Ft%2B", "[masked] and [masked]"),
        ("bearer of good news", "bearer of good news"),
        ("AUTHORIZATION: BEARER abcdefghijkl", "AUTHORIZATION: BEARER [masked]"),
        ("x=eyJhbGciOiJI.eyJydW5JZCI6.c2lnbmF0dXJl;", "x=[masked];"),
    ],
)
def test_masking(text, masked):
    assert Masker(["s3cr/t+"])(text) == masked


def test_a_secret_that_is_an_ordinary_word_is_left():
    assert Masker(["a"])("a banana") == "a banana"
