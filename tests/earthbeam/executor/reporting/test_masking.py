"""Errors are reported and logged without the students they are about."""

import json

import pytest

from earthbeam.executor.errors import StepFailed
from earthbeam.executor.job import app_urls
from earthbeam.executor.reporting.counts import CountReporter
from earthbeam.executor.reporting.log import Redactor
from earthbeam.executor.reporting.masking import mask_words_of
from earthbeam.executor.reporting.progress import Progress
from runway.sandbox.population import CURRENT, in_group
from tests.earthbeam.executor import hostile
from tests.earthbeam.executor.conftest import roster_line
from tests.earthbeam.executor.test_job import PAYLOAD
from tests.earthbeam.executor.test_runs import INTERIM, interim

change_bundles = hostile.change_bundles

BUNDLE = {
    "earthmover.yaml": 'from_format: "%m/%d/%Y"\ncolumn: TestDate\noperation: Mathematics\n',
    "data/sample.csv": "Marisol,Okafor\n",
}
INPUT = 'StudentName,TestDate,StateID\n"Okafor, Marisol",born 03/14/2011,0000158380\nann,5,x\n'


@pytest.fixture
def mask(tmp_path):
    bundle = tmp_path / "bundle"
    for name, text in BUNDLE.items():
        (bundle / name).parent.mkdir(parents=True, exist_ok=True)
        (bundle / name).write_text(text)
    path = tmp_path / "scores.csv"
    path.write_bytes(INPUT.encode("cp1252"))
    return lambda text: mask_words_of([path], bundle, text)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("time data 'born 03/14/2011' doesn't match format \"%m/%d/%Y\"",
         "time data '***' doesn't match format \"%m/%d/%Y\""),
        ("KeyError: 'Okafor'", "KeyError: '***'"),
        ("in row Okafor, Marisol of 12", "in row ***, *** of 12"),
        ("invalid literal for int(): 'ann'", "invalid literal for int(): '***'"),
        ("no such id 0000158380", "no such id ***"),
        ("`TestDate` is not in Mathematics", "`TestDate` is not in Mathematics"),
        ("KeyError: 'somebody'", "KeyError: 'somebody'"),
        ("line 5 of x", "line 5 of x"),
        ("", ""),
    ],
)  # fmt: skip
def test_words_of_the_input_are_masked_unless_they_are_the_bundles(mask, text, masked):
    assert mask(text) == masked


class Reports:
    """Takes what is reported, instead of the app."""

    def __init__(self):
        self.bodies = []

    def report(self, url, body):
        self.bodies.append(body)

    def count_reporter(self, url):
        return CountReporter(None, {})


URLS = app_urls(PAYLOAD)


@pytest.mark.parametrize("letter", ["x", "é", "\x1b", "\U0001f600", "\n"])
def test_an_error_is_under_8_kb_whatever_a_child_prints(letter):
    app = Reports()
    progress = Progress(app, URLS, lambda text: text)  # type: ignore[arg-type]
    progress.fail(
        StepFailed(
            "earthmover_run", letter * 9_000, path=letter * 9_000, stacktrace=letter * 99_000
        )
    )
    (error, _) = app.bodies
    assert len(json.dumps(error["payload"])) < 8_000
    assert error["payload"]["stacktrace"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "value"),
    [
        (lambda text: text, "Marisol Okafor"),
        (
            lambda text: text.replace("{{ Subject | upper }}", "{{ {}[StudentName] + 1 }}"),
            "09/13/2025",
        ),
    ],
    ids=["a date that is none", "a template that fails"],
)
def test_a_failing_earthmover_tells_nothing_of_a_student(
    app, workbench, write_file, change_bundles, change, value
):
    workbench.bundle_repo = change_bundles({f"{INTERIM}/earthmover.yaml": change})
    known = in_group(CURRENT)[10:14]
    content = interim([(s.state_id, "", "Okafor, Marisol") for s in known])
    path = write_file("scores.csv", content.replace("09/13/2025", value).encode())
    roster = write_file("roster.jsonl", b"".join(roster_line(student) for student in known))
    workbench.job(path, INTERIM, None, rosterFilePath=f"file://{roster}")

    ended = workbench.run()

    error = app.error()
    assert error["code"] == "earthmover_run", ended.log
    for told in (str(error), ended.log):
        assert "ERROR" in told
        for word in ("Okafor", "Marisol", *(s.state_id for s in known)):
            assert word not in told


@pytest.mark.slow
def test_a_row_that_is_held_tells_nothing_of_its_student(app, workbench, write_file):
    known = in_group(CURRENT)[10:24]
    content = interim([(s.state_id, "", "Okafor, Marisol") for s in known])
    content = content.replace("09/13/2025", "Marisol Okafor", 1)
    roster = write_file("roster.jsonl", b"".join(roster_line(student) for student in known))
    path = write_file("scores.csv", content.encode())
    workbench.job(path, INTERIM, None, rosterFilePath=f"file://{roster}")

    ended = workbench.run()

    assert app.outcome() == "done success", ended.log
    assert "error during `date_format` operation" in ended.log
    for told in (json.dumps(app.reports), ended.log):
        for word in ("Okafor", "Marisol", *(s.state_id for s in known)):
            assert word not in told


def test_a_secret_is_masked_in_every_field():
    redactor = Redactor()
    redactor.add_secrets("hush-hush")
    app = Reports()
    progress = Progress(app, URLS, redactor.redact)  # type: ignore[arg-type]
    progress.fail(
        StepFailed("unknown", "with hush-hush", path="a/hush-hush", stacktrace="hush-hush")
    )
    assert "hush-hush" not in str(app.bodies)
