"""What people give a run, in files, names, params or mappings, arrives as text, never as code."""

import csv
import io

import pytest

from runway.sandbox.population import CURRENT, in_group
from tests.earthbeam.executor import hostile
from tests.earthbeam.executor.test_runs import HEADER, INTERIM, ids_sent, interim, json_lines

pytestmark = pytest.mark.slow

change_bundles = hostile.change_bundles
KNOWN = in_group(CURRENT)[10:16]
BETWEEN_DOUBLE_QUOTES = {
    f"{INTERIM}/earthmover.yaml": lambda text: text.replace(
        "        columns:\n          assessmentIdentifier:",
        '        columns:\n          kind: "Kind ${TEST_TYPE}"\n          assessmentIdentifier:',
    )
}


@pytest.mark.parametrize(
    "value",
    [
        r"CAP\x7b\x7b cycler.__init__.__globals__.os.system('touch MARK') \x7d\x7d",
        r"CAP\u007b\u007b cycler.__init__.__globals__.os.system('touch MARK') \u007d\u007d",
        r"\x7b% set x = cycler.__init__.__globals__.os.system('touch MARK') %\x7d",
    ],
)
def test_a_parameter_with_escapes_never_runs(
    app, ods, workbench, write_file, change_bundles, tmp_path, value
):
    mark = tmp_path / "mark"
    workbench.bundle_repo = change_bundles(BETWEEN_DOUBLE_QUOTES)
    content = interim([(s.state_id, "", "A") for s in KNOWN])
    params = {"API_YEAR": "2026", "TEST_TYPE": value.replace("MARK", str(mark))}
    workbench.job(write_file("a.csv", content.encode()), INTERIM, ods, inputParams=params)

    ended = workbench.run()

    assert not mark.exists(), ended.log
    assert (app.outcome(), app.error()["code"]) == ("done failure", "invalid_job")
    assert "“\\” at position" in app.error()["payload"]["message"]
    assert ods.received_counts() == {}


def attacks(mark):
    call = f"cycler.__init__.__globals__.os.system('touch {mark}')"
    return [
        f"{{{{ {call} }}}}",
        rf"\x7b\x7b {call} \x7d\x7d",
        f"{{% set x = {call} %}}",
        f'"}}}} {{{{ {call} }}}}',
        "${EDFI_ROSTER_FILE} $HOME #} {# ' : - &a *a",
    ]


def test_headers_cells_mappings_and_names_arrive_as_they_are(
    app, ods, workbench, write_file, tmp_path
):
    """Each attack is a cell, a header, a mapping's column and value, and the file's name."""
    mark = tmp_path / "mark"
    texts = attacks(mark)
    names = dict(zip((s.state_id for s in KNOWN), [*texts, "plain"], strict=False))
    plain = csv.reader(io.StringIO(interim([(s, "", "NAME") for s in names])))
    written = io.StringIO()
    writer = csv.writer(written)
    header = next(plain)
    assert header == HEADER.split(",")
    writer.writerow([*header, *texts])
    for row in plain:
        writer.writerow([names[row[0]] if cell == "NAME" else cell for cell in row] + texts)
    file = write_file("scores.csv", written.getvalue().encode())
    seed = "gradeLevelDescriptors"
    mappings = [
        {
            "v_other_columns": {"assessmentIdentifier": "INTERIM-MATHEMATICS", "Grade": "5"},
            "edfi_descriptor": "Fifth grade",
            "local_descriptor": None,
        },
        *(
            {
                "v_other_columns": {"assessmentIdentifier": text, "Grade": text},
                "edfi_descriptor": text,
                "local_descriptor": text,
            }
            for text in texts
        ),
    ]
    workbench.job(file, INTERIM, ods, customDescriptorMappings={seed: mappings})
    stored = f"INPUT_FILE__{texts[0].replace('/', '__')} SR.csv"
    workbench.files.upload(file, f"input/{stored}")
    app.payload["inputFiles"] = {"INPUT_FILE": stored}

    ended = workbench.run()

    assert not mark.exists(), ended.log
    assert app.outcome() == "done success", ended.log
    made = json_lines(workbench.output()["ods/studentAssessments.jsonl"])
    assert ids_sent(made) == {s.unique_id for s in KNOWN}
