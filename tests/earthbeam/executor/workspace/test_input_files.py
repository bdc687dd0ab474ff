"""Names of input files, and of what bundles are told: from people, so of any kind."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earthbeam.executor.errors import StepFailed
from earthbeam.executor.job import parse
from earthbeam.executor.workspace.input_files import local_name, local_path
from runway.sandbox.population import CURRENT, in_group
from tests.earthbeam.executor.conftest import roster_line
from tests.earthbeam.executor.test_failures import fails
from tests.earthbeam.executor.test_job import PAYLOAD
from tests.earthbeam.executor.test_runs import INTERIM, interim, json_lines

FOLDER = Path("/run/input")


@given(st.text(max_size=40))
def test_no_name_leaves_the_input_folder_or_means_anything_to_the_tools(stored_name):
    path = local_path(FOLDER, "INPUT_FILE", stored_name)
    assert path.parent == FOLDER / "input_file"
    assert path.name not in ("", ".", "..")
    assert not set(path.name) & set("/\0\n\r\"'#$%&*,;<=>?@[]^`{}~\\:|!")


@pytest.mark.parametrize(
    ("stored_name", "name"),
    [
        ("INPUT_FILE__SR_2025-26 (final), v1.2.csv", "SR_2025-26 (final)_ v1.2.csv"),
        ("INPUT_FILE__Grundschüler_Año.csv", "Grundschüler_Año.csv"),
        ("INPUT_FILE__%2Fetc%2Fpasswd", "_2Fetc_2Fpasswd"),
        ("INPUT_FILE__-rf.csv", "-rf.csv"),
        ("INPUT_FILE__../../a.csv", "..__..__a.csv"),
        ("/etc/passwd", "__etc__passwd"),
        ("INPUT_FILE__..", "unnamed"),
        ("INPUT_FILE__", "unnamed"),
        ("INPUT_FILE__a {{ 7*7 }} [1] #2: $HOME.csv", "a __ 7_7 __ _1_ _2_ _HOME.csv"),
        ("INPUT_FILE__a\nsources: x.csv", "a_sources_ x.csv"),
    ],
)
def test_a_name_keeps_whatever_is_only_a_character(stored_name, name):
    assert local_name("INPUT_FILE", stored_name) == name


def test_a_name_that_is_too_long_is_said_to_be():
    with pytest.raises(StepFailed, match="longer than 200 bytes") as failed:
        local_name("INPUT_FILE", f"INPUT_FILE__{'é' * 300}.csv")
    assert failed.value.code == "input_s3_download"


RESERVED = ("PATH", "LD_PRELOAD", "PYTHONPATH", "GIT_DIR", "https_proxy", "AWS_SECRET_ACCESS_KEY")


@pytest.mark.parametrize("name", [*RESERVED, "", "A=B", "a b", "../x", "X\0Y"])
@pytest.mark.parametrize("where", ["inputFiles", "inputParams"])
def test_no_input_may_become_a_variable_that_rules_programs(where, name):
    given = PAYLOAD[where] | {name: "INPUT_FILE__a.csv"}
    with pytest.raises(StepFailed, match=f"{where} has a name that cannot be given") as failed:
        parse(PAYLOAD | {where: given})
    assert failed.value.code == "invalid_job"


@pytest.mark.parametrize("value", ["2026\nsources: {}", "{{ cycler }}", "{% set x = 1 %}", "a\0b"])
def test_no_value_may_become_code(value):
    with pytest.raises(StepFailed, match=r"inputParams\.TEST_WINDOW"):
        parse(PAYLOAD | {"inputParams": {"TEST_WINDOW": value}})


def test_ordinary_inputs_pass():
    names = {"INPUT_FILE": "INPUT_FILE__a.csv", "INPUT_FILE_DS": "b.csv", "FORMAT": "c.csv"}
    parameters = {"API_YEAR": "2026", "TEST_TYPE": "PSAT/NMSQT 10", "LDAP": "x"}
    job = parse(PAYLOAD | {"inputFiles": names, "inputParams": parameters})
    assert job.input_params == parameters


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "..",
        "-rf #1 {{ 7*7 }} it's [final]: $HOME %2F 'x' *.csv",
        'sub\nsources: {input: {file: "elsewhere"}}.csv',
    ],
)
def test_a_run_takes_a_file_of_any_name(app, workbench, write_file, name):
    known = in_group(CURRENT)[10:14]
    path = write_file("scores.csv", interim([(s.state_id, "", "A") for s in known]).encode())
    roster = write_file("roster.jsonl", b"".join(roster_line(student) for student in known))
    workbench.job(path, INTERIM, None, rosterFilePath=f"file://{roster}")
    workbench.files.upload(path, f"input/INPUT_FILE__{name}")
    app.payload["inputFiles"]["INPUT_FILE"] = f"INPUT_FILE__{name}"

    ended = workbench.run()

    assert app.outcome() == "done success", ended.log
    assert len(json_lines(workbench.output()["non-ods/studentAssessments.jsonl"])) == 4


@pytest.mark.slow
@pytest.mark.parametrize("name", ["../../../secret.csv", "/etc/hostname", "a" * 300 + ".csv"])
def test_a_name_that_leads_elsewhere_or_is_too_long_is_refused(app, workbench, write_file, name):
    known = in_group(CURRENT)[10:14]
    path = write_file("scores.csv", interim([(s.state_id, "", "A") for s in known]).encode())
    roster = write_file("roster.jsonl", b"".join(roster_line(student) for student in known))
    workbench.job(path, INTERIM, None, rosterFilePath=f"file://{roster}")
    app.payload["inputFiles"]["INPUT_FILE"] = name
    payload = fails(app, workbench, "input_s3_download")
    assert payload["name"] == "INPUT_FILE"


@pytest.mark.slow
def test_two_input_files_of_one_name_do_not_replace_each_other(app, workbench, write_file):
    sample = "runway/sandbox/bundles/assessments/SAMPLE_SUMMATIVE/data"
    project = Path(__file__).resolve().parents[4]
    known = in_group(CURRENT)
    roster = write_file("roster.jsonl", b"".join(roster_line(student) for student in known))
    results = write_file(
        "x_MA_2026.csv", (project / sample / "sample_MA_anonymized_file.csv").read_bytes()
    )
    workbench.job(results, "assessments/SAMPLE_SUMMATIVE", None, rosterFilePath=f"file://{roster}")
    standards = "INPUT_FILE_STANDARDS__x_MA_2026.csv"
    workbench.files.upload(
        project / sample / "standards_MA_anonymized_file.csv", f"input/{standards}"
    )
    app.payload["inputFiles"]["INPUT_FILE_STANDARDS"] = standards

    ended = workbench.run()

    assert app.outcome() == "done success", ended.log
    (first, *_) = json_lines(workbench.output()["non-ods/studentAssessments.jsonl"])
    assert first["studentObjectiveAssessments"]
