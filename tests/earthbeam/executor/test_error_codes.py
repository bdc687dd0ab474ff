"""Error codes that neither test_failures.py nor bundle/test_hostile_bundles.py comes by."""

import re
from pathlib import Path

import pytest

from runway.sandbox.population import CURRENT, in_group
from tests.earthbeam.executor import hostile
from tests.earthbeam.executor.error_reports import FIELDS, check_error
from tests.earthbeam.executor.test_runs import INTERIM, interim

pytestmark = pytest.mark.slow

change_bundles = hostile.change_bundles
KNOWN = in_group(CURRENT)[10:14]
NAME = "Okafor, Marisol"


class Case:
    """A job that would succeed, for a test to spoil."""

    def __init__(self, app, ods, workbench, change_bundles, write_file):
        self.app, self.workbench, self.change_bundles = app, workbench, change_bundles
        content = interim([(s.state_id, "", NAME) for s in KNOWN])
        workbench.job(write_file("scores.csv", content.encode()), INTERIM, ods)

    def run_code(self, code, when):
        self.workbench.bundle_repo = self.change_bundles(hostile.running(code, when=when))


def unknown(case):
    case.app.refuse["summary"] = [400]


def artifact_empty(case):
    empty = "os.path.join(os.path.dirname(os.getcwd()), 'drafts', 'em-results.json')"
    case.run_code(f"import os\nopen({empty}, 'w').close()\nos._exit(0)", hostile.IN_RUN)


def artifact_s3_upload(case):
    (case.workbench.root / "files" / case.workbench.base.split("/files/")[1] / "output").touch()


@pytest.mark.parametrize(
    "spoil",
    [unknown, artifact_empty, artifact_s3_upload],
    ids=lambda spoil: spoil.__name__,
)
def test_a_code_is_reported_with_its_fields_and_nothing_that_is_secret(
    app, ods, workbench, change_bundles, write_file, spoil
):
    case = Case(app, ods, workbench, change_bundles, write_file)
    spoil(case)

    ended = workbench.run()

    error = app.error()
    assert error["code"] == spoil.__name__, ended.log
    check_error(app, ended.log)
    assert [name for name, _ in app.reports][-2:] == ["error", "status"]
    assert app.outcome() == "done failure"
    assert ended.exit_status == 0


def test_every_code_of_the_contract_is_tried_here_or_with_the_other_failures():
    here = Path(__file__).parent
    others = (here / "test_failures.py", here / "bundle" / "test_hostile_bundles.py")
    tried = "".join(path.read_text() for path in (Path(__file__), *others))
    assert [code for code in FIELDS if not re.search(rf"\b{code}\b", tried)] == []
