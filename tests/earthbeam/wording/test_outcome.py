import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earthbeam.wording.outcome import Facts, Rows, outcome

SPLIT = Rows(total=312, ods=251, earlier=44, unmatched=17, blank=5, ambiguous=1)


def text(facts):
    told = outcome(facts)
    return " ".join([told.headline, *told.sentences])


@pytest.mark.parametrize(
    ("facts", "tone", "expected"),
    [
        (
            Facts(True, True, Rows(312, 312, 0, 0), ods_set=True),
            "rw-good",
            "All results were sent to the ODS. "
            "All 312 rows matched students in this year's roster.",
        ),
        (
            Facts(True, True, SPLIT, unmatched=17, ods_set=True, edu_set=True),
            "rw-warn",
            "Of 312 rows, 251 were sent to the ODS, 44 matched a prior year and are ready for EDU, "
            "17 did not match a student. Of the unmatched rows, 5 have no ID and 1 has an ID that "
            "belongs to more than one student.",
        ),
        (
            Facts(
                True,
                True,
                Rows(*(30, 25, 0, 5), blank=1, identity_checks="hold", disagreeing=2, suggested=4),
                unmatched=5,
                ods_set=True,
            ),
            "rw-warn",
            "Of 30 rows, 25 were sent to the ODS, 5 did not match a student. Of the unmatched "
            "rows, 1 has no ID and 2 lead to a student with another name and another birth date. "
            "Runway suggests students for 4 rows.",
        ),
        (
            Facts(
                True,
                True,
                Rows(30, 30, 0, 0, identity_checks="report", disagreeing=1, suggested=0),
                ods_set=True,
            ),
            "rw-good",
            "All results were sent to the ODS. All 30 rows matched students in this year's roster. "
            "1 row leads to a student with another name and another birth date, and was loaded "
            "all the same.",
        ),
        (
            Facts(True, True, Rows(30, 30, 0, 0, identity_checks="hold"), ods_set=True),
            "rw-good",
            "All results were sent to the ODS. All 30 rows matched students in this year's roster. "
            "Names could not be compared: the rosters or the file have no names that Runway can "
            "read.",
        ),
        (
            Facts(True, True, Rows(295, 251, 44, 0), ods_set=True, edu_set=True),
            "rw-good",
            "Of 295 rows, 251 were sent to the ODS, 44 matched a prior year and are ready for EDU.",
        ),
        (
            Facts(True, True, Rows(10, 10, 0, 0), ods_set=True, refused=2, skipped=1),
            "rw-flawed",
            "Of 10 rows, 10 were sent to the ODS (it refused 2 records). 1 record was skipped as "
            "already sent.",
        ),
        (
            Facts(True, True, ods_set=True, refused=2),
            "rw-flawed",
            "Results were sent to the ODS. The ODS refused 2 records.",
        ),
        (
            Facts(True, True, Rows(3, 0, 3, 0), edu_set=True),
            "rw-good",
            "Of 3 rows, 3 matched a prior year and are ready for EDU.",
        ),
        (
            Facts(True, True, Rows(3, 2, 1, 0), edu_set=True),
            "rw-good",
            "Of 3 rows, 2 matched, but produced no records for the ODS, 1 matched a prior year "
            "and is ready for EDU.",
        ),
        (
            Facts(True, False, Rows(4, 0, 4, 0), edu_set=True),
            "rw-good",
            "The results are ready for EDU. All 4 rows matched students in the roster.",
        ),
        (
            Facts(True, False, Rows(4, 0, 3, 1), unmatched=1, edu_set=True),
            "rw-warn",
            "Of 4 rows, 3 matched a student and are ready for EDU, 1 did not match a student.",
        ),
        # Executors that tell no rows.
        (Facts(True, True, ods_set=True), "rw-good", "All results were sent to the ODS."),
        (
            Facts(True, True, ods_set=True, edu_set=True, unmatched=17),
            "rw-warn",
            "Some results were sent to the ODS. The others are ready for EDU. These belong to "
            "students found only in a prior year. 17 rows did not match a student.",
        ),
        (
            Facts(True, True, ods_set=True, unmatched=None),
            "rw-warn",
            "Results were sent to the ODS. Some rows did not match a student. The run "
            "did not report how many.",
        ),
        (
            Facts(True, True, ods_set=True, counted=False),
            "rw-good",
            "Results were sent to the ODS. The run did not report how many the ODS accepted.",
        ),
        (
            Facts(True, True, edu_set=True),
            "rw-good",
            "The results are ready for EDU. Nothing was sent to the ODS.",
        ),
        (Facts(True, False, edu_set=True), "rw-good", "The results are ready for EDU."),
        (Facts(True, True), "rw-good", "The run is finished. It reported no results."),
        # Runs that failed.
        (Facts(False, True), "rw-bad", "The run failed. Nothing was sent to the ODS."),
        (
            Facts(False, True, sending_began=True),
            "rw-bad",
            "The run failed. Sending had started, so some records may be in the ODS. You can run "
            "the job again: the ODS replaces the records it already has.",
        ),
        (
            Facts(False, False, cancelled=True),
            "rw-bad",
            "The run was cancelled. It left no results for EDU.",
        ),
    ],
)
def test_words_and_tone(facts, tone, expected):
    assert (outcome(facts).tone, text(facts)) == (tone, expected)


def test_the_picture_has_a_part_for_each_place_that_rows_went_to():
    told = outcome(Facts(True, True, SPLIT, unmatched=17, ods_set=True, edu_set=True))
    assert [(part.kind, part.label, part.rows) for part in told.parts] == [
        ("rw-ods", "Sent to the ODS", 251),
        ("rw-edu", "Ready for EDU", 44),
        ("rw-unmatched", "Unmatched", 17),
    ]


counts = st.integers(0, 5)


@st.composite
def any_facts(draw):
    to_ods = draw(st.booleans())
    rows = None
    if draw(st.booleans()):
        ods = draw(counts) if to_ods else 0
        earlier, blank, ambiguous, unknown = draw(st.tuples(counts, counts, counts, counts))
        unmatched = blank + ambiguous + unknown
        rows = Rows(ods + earlier + unmatched, ods, earlier, unmatched, blank, ambiguous)
    succeeded = draw(st.booleans())
    return Facts(
        succeeded=succeeded,
        to_ods=to_ods,
        rows=rows,
        unmatched=rows.unmatched if rows else draw(st.none() | counts),
        ods_set=to_ods and draw(st.booleans()),
        edu_set=draw(st.booleans()),
        counted=draw(st.booleans()),
        refused=draw(counts) if to_ods else 0,
        skipped=draw(counts) if to_ods else 0,
        sending_began=to_ods and draw(st.booleans()),
        cancelled=not succeeded and draw(st.booleans()),
    )


@given(any_facts())
def test_all_is_said_only_if_nothing_was_left_out(facts):
    if not re.search(r"\ball\b", text(facts), re.IGNORECASE):
        return
    assert facts.succeeded
    assert (facts.unmatched, facts.refused, facts.skipped) == (0, 0, 0)
    if facts.to_ods:
        assert facts.ods_set
        assert facts.counted
        assert not facts.edu_set
    if facts.rows:
        assert facts.rows.unmatched == 0
        assert facts.rows.total == (facts.rows.ods if facts.to_ods else facts.rows.earlier)


@given(any_facts())
def test_a_job_that_goes_to_no_ods_hears_of_none(facts):
    told = outcome(facts)
    if not facts.to_ods:
        assert "ODS" not in text(facts) + " ".join(part.label for part in told.parts)


@given(any_facts())
def test_sent_is_said_only_of_what_was_sent(facts):
    said = text(facts) + " ".join(part.label for part in outcome(facts).parts)
    if re.search(r"(?<!Nothing was )(?<!were )sent to the ODS|Sent to the ODS", said):
        assert facts.succeeded
        assert facts.ods_set


@given(any_facts())
def test_numbers_are_those_that_were_reported(facts):
    known = {facts.refused, facts.skipped, facts.unmatched}
    if facts.rows:
        known |= set(vars(facts.rows).values())
    assert {int(number) for number in re.findall(r"\d+", text(facts))} <= known
    told = outcome(facts)
    assert told.headline.endswith(".")
    if told.parts and facts.rows:
        assert sum(part.rows for part in told.parts) == facts.rows.total


@given(any_facts())
def test_good_is_only_what_leaves_nothing_to_do(facts):
    if outcome(facts).tone == "rw-good":
        assert facts.succeeded
        assert facts.unmatched == 0
        assert facts.refused == 0


@pytest.mark.parametrize(
    ("held", "words"),
    [
        (17, "44 matched a prior year and are ready for EDU, 17 could not be read"),
        (2, "15 did not match a student, 2 could not be read as this assessment."),
    ],
)
def test_rows_that_could_not_be_read_are_told_apart_from_unmatched_ones(held, words):
    rows = replace(SPLIT, blank=0, ambiguous=0, untransformable=held)
    told = outcome(Facts(True, True, rows, unmatched=17, ods_set=True, edu_set=True))
    assert words in told.headline
    assert sum(part.rows for part in told.parts) == 312
