"""Whole runs of the executor, started as a launcher starts it, on the sample bundles."""

import json

import pytest

from runway.sandbox.input_files import write_interim_file
from tests.earthbeam.executor.conftest import edu_roster

pytestmark = pytest.mark.slow


def test_a_cross_year_job_splits_its_rows_between_the_ods_and_edu(app, ods, workbench, tmp_path):
    sample = write_interim_file(tmp_path)
    expected = sample.expected
    app.roster = edu_roster
    workbench.job(sample.path, sample.bundle, ods, cross_year=True)

    ended = workbench.run()

    assert (ended.exit_status, app.outcome()) == (0, "done success"), ended.log
    (matches,) = app.posted("matches")
    assert matches == {
        "inputRows": expected.rows,
        "odsMatched": expected.ods,
        "crossYearMatched": expected.cross_year,
        "unmatched": expected.unmatched,
        "blankIds": expected.blank,
        "ambiguousIds": expected.ambiguous,
        "idName": expected.id_name,
        "idType": expected.id_type,
        "matchRate": pytest.approx(expected.ods / expected.rows),
    }
