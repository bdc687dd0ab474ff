"""Files as people's programs leave them: the same students as in the tidy file."""

import csv
import io

import pytest

from earthbeam.delimited import DelimitedFile, writing_rows
from earthbeam.executor.match_step import _names_for_bundle
from runway.sandbox.input_files import write_interim_file
from runway.sandbox.population import CURRENT, in_group
from tests.earthbeam.executor.conftest import edu_roster
from tests.earthbeam.executor.test_runs import INTERIM, csv_rows, interim

pytestmark = pytest.mark.slow


def untidy(content):
    """Lines above the header, semicolons, and what nobody sees around names and cells."""
    header, *rows = csv.reader(io.StringIO(content, newline=""))
    header = [f"{name} " for name in header]
    header = [name.upper() if name.startswith("StateStudentID") else name for name in header]
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=";")
    writer.writerows([["Interim results"], [], ["Printed on 09/30/2025", ""], header])
    places = [place for place, name in enumerate(header) if "student" in name.lower()]
    for row in rows:
        for place in places:
            row[place] = row[place] and f"\xa0{row[place]}\u200b "
        writer.writerow(row)
    return text.getvalue()


def test_an_untidy_file_gives_what_the_tidy_one_gives(app, ods, workbench, tmp_path):
    sample = write_interim_file(tmp_path)
    expected = sample.expected
    content = sample.path.read_text(encoding="utf-8")
    sample.path.write_text(untidy(content), encoding="utf-8")
    app.roster = edu_roster
    workbench.job(sample.path, sample.bundle, ods, cross_year=True)

    ended = workbench.run()

    assert app.outcome() == "done success", ended.log
    (matches,) = app.posted("matches")
    assert (matches["inputRows"], matches["odsMatched"]) == (expected.rows, expected.ods)
    assert matches["crossYearMatched"] == expected.cross_year
    assert matches["unmatched"] == expected.unmatched
    assert (matches["idName"], matches["idType"]) == (expected.id_name, expected.id_type)
    assert matches["missingIdColumns"] == []
    assert len(ods.received("studentAssessments")) == expected.ods
    assert "delimited by semicolons" in ended.log
    left = workbench.output()["input_no_student_id_match.csv"]
    assert left.splitlines()[0].startswith(b"TestWindow ,")  # as it was
    assert len(csv_rows(left)) == expected.unmatched


def test_an_id_column_that_the_file_lacks_is_named(app, ods, workbench, tmp_path):
    rows = interim([(s.state_id, "", "A") for s in in_group(CURRENT)[10:14]])
    path = tmp_path / "scores.csv"
    path.write_text(rows.replace("StudentNumber", "Number", 1))
    workbench.job(path, INTERIM, ods)
    ended = workbench.run()
    assert app.outcome() == "done success", ended.log
    (matches,) = app.posted("matches")
    assert matches["missingIdColumns"] == ["StudentNumber"]


def test_names_that_a_bundle_spells_with_a_blank_are_left_alone(tmp_path):
    (tmp_path / "earthmover.yaml").write_text("columns: ['Grade ', Score]")
    names = _names_for_bundle(["ID ", "Grade ", "Score ", "\xa0Other"], ["id"], tmp_path)
    assert names == ["id", "Grade ", "Score", "Other"]


def test_a_header_elsewhere_keeps_as_many_rows_above_it_as_the_bundle_skips(tmp_path):
    path = tmp_path / "scores.csv"
    with writing_rows(path, ",", [["a"], ["b"], ["c"], ["ID", "Score"]]) as rows:
        rows.write(["1", "2"])
    found = DelimitedFile(path, "utf-8", ",", header_row=2).located(["ID"])
    assert (found.header_row, found.columns()) == (4, ["ID", "Score"])
    assert list(found.rows()) == [["1", "2"]]
