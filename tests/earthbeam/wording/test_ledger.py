"""Whatever becomes of a file's rows, all that is said of them adds up to the file."""

from hypothesis import given
from hypothesis import strategies as st

from earthbeam.api.serializers import MatchesReport
from earthbeam.executor.match_step import Matched
from earthbeam.executor.workspace.folders import ODS_SET, OTHER_SET
from earthbeam.matching import Outcome, Pair, Plan, RowMatch
from earthbeam.wording.outcome import Facts, Rows, outcome

OUTCOMES = st.sampled_from(Outcome)


def matched(rows):
    plan = Plan(Pair("id", "State"), 0.5, "State", [], [], [], rows)
    sets = {Outcome.PRIMARY: ODS_SET, Outcome.SECOND: OTHER_SET}
    unmatched = sum(not row.outcome.matched for row in rows)
    return Matched(plan, {}, unmatched, (), None, 0, ",", 1, sets, lambda plan: ({}, 0))


@given(st.lists(OUTCOMES, min_size=1), st.data())
def test_a_runs_figures_and_its_picture_account_for_each_row(outcomes, data):
    rows = [RowMatch(each, "1" if each.matched else None) for each in outcomes]
    figures = matched(rows).counts()
    refused = data.draw(st.integers(0, figures["odsMatched"]))
    report = MatchesReport(data={**figures, "refusedRows": refused})
    assert report.is_valid(), report.errors
    told = report.validated_data
    parts = ("ods_matched", "cross_year_matched", "unmatched")
    assert sum(told[part] for part in parts) == told["input_rows"] == len(rows)

    facts = Facts(
        succeeded=True,
        to_ods=True,
        rows=Rows(
            total=told["input_rows"],
            ods=told["ods_matched"],
            earlier=told["cross_year_matched"],
            unmatched=told["unmatched"],
            untransformable=told["untransformable"],
            refused=refused,
        ),
        unmatched=told["unmatched"],
        ods_set=bool(told["ods_matched"]),
        edu_set=bool(told["cross_year_matched"]),
        refused=refused,
        kind=data.draw(st.sampled_from(["load", "preview", "resend"])),
    )
    assert sum(part.rows for part in outcome(facts).parts) == len(rows)


@given(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9), st.integers(0, 40))
def test_figures_that_do_not_add_up_are_refused(ods, earlier, unmatched, total):
    figures = {
        **{"inputRows": total, "odsMatched": ods, "crossYearMatched": earlier},
        **{"unmatched": unmatched, "blankIds": 0, "ambiguousIds": 0, "matchRate": 0.5},
        **{"idName": "id", "idType": "State"},
    }
    report = MatchesReport(data=figures)
    assert report.is_valid() == (total == ods + earlier + unmatched)
