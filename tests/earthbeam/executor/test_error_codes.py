"""Every error code of the contract that an executor can report: its fields, size and secrecy."""

import json

import pytest

from runway.sandbox.ods import Faults
from runway.sandbox.population import CURRENT, in_group
from tests.earthbeam.executor import hostile
from tests.earthbeam.executor.test_runs import INTERIM, interim

pytestmark = pytest.mark.slow

change_bundles = hostile.change_bundles
KNOWN = in_group(CURRENT)[10:14]
NAME = "Okafor, Marisol"


class Case:
    """A job that would succeed, for a test to spoil."""

    def __init__(self, app, ods, workbench, change_bundles, write_file):
        self.app, self.ods, self.workbench = app, ods, workbench
        self.change_bundles, self.write_file = change_bundles, write_file
        self.variables = {}
        self.give(interim([(s.state_id, "", NAME) for s in KNOWN]))

    def give(self, content, **options):
        path = self.write_file("scores.csv", content.encode())
        self.workbench.job(path, INTERIM, self.ods, **options)

    def run_code(self, code, when):
        self.workbench.bundle_repo = self.change_bundles(hostile.running(code, when=when))


def unknown(case):
    case.app.refuse["summary"] = [400]


def executor_timeout(case):
    case.ods.faults = Faults(delay_seconds=30)
    case.variables["TIMEOUT_SECONDS"] = "8"


def invalid_job(case):
    case.app.payload["inputFiles"] = {}


def lightbeam_fetch(case):
    case.ods.faults = Faults(refuse_credentials=True)


def missing_ods_roster(case):
    case.ods.faults = Faults(empty_roster=True)


def lightbeam_send(case):
    case.ods.faults = Faults(reject_posts=True)


def input_s3_download(case):
    case.app.payload["inputFiles"]["INPUT_FILE"] = "INPUT_FILE__gone.csv"


def bundle_git_pull(case):
    case.app.payload["bundle"]["branch"] = "gone"


def artifact_not_found(case):
    case.run_code("import os\nos._exit(0)", hostile.IN_RUN)


def artifact_empty(case):
    empty = "os.path.join(os.path.dirname(os.getcwd()), 'drafts', 'em-results.json')"
    case.run_code(f"import os\nopen({empty}, 'w').close()\nos._exit(0)", hostile.IN_RUN)


def artifact_s3_upload(case):
    (case.workbench.root / "files" / case.workbench.base.split("/files/")[1] / "output").touch()


def earthmover_deps(case):
    case.run_code("raise ValueError", hostile.IN_DEPS)


def earthmover_run(case):
    content = interim([(s.state_id, "", NAME) for s in KNOWN])
    case.give(content.replace("09/13/2025", NAME.replace(",", "")))


def cross_year_roster_fetch(case):
    rows = [*((s.state_id, "", NAME) for s in KNOWN), ("nobody", "", NAME)]
    case.give(interim(rows), cross_year=True)
    case.app.roster_status = 409


def insufficient_matches(case):
    case.give(interim([("9900000001", "V-1", NAME), (KNOWN[0].state_id, "V-2", NAME)] * 3
                      + [("9900000002", "V-1", NAME)]))  # fmt: skip


# The contract's list, with the fields that go with each code.
CODES = {
    unknown: (),
    executor_timeout: ("timeout_seconds",),
    invalid_job: ("message",),
    lightbeam_fetch: ("resource",),
    missing_ods_roster: (),
    lightbeam_send: (),
    input_s3_download: ("name", "path"),
    bundle_git_pull: (),
    artifact_not_found: ("name", "path"),
    artifact_empty: ("name", "path"),
    artifact_s3_upload: ("name", "path"),
    earthmover_deps: (),
    earthmover_run: (),
    cross_year_roster_fetch: (),
    insufficient_matches: ("match_rate", "match_threshold", "id_name", "id_type"),
}


@pytest.mark.parametrize("spoil", CODES, ids=lambda spoil: spoil.__name__)
def test_every_code_is_reported_with_its_fields_and_nothing_that_is_secret(
    app, ods, workbench, change_bundles, write_file, spoil
):
    case = Case(app, ods, workbench, change_bundles, write_file)
    spoil(case)

    ended = workbench.run(**case.variables)

    error = app.error()
    assert error["code"] == spoil.__name__, ended.log
    assert {"message", "stacktrace", *CODES[spoil]} <= set(error["payload"])
    assert len(json.dumps(error["payload"])) < 8_000
    assert [name for name, _ in app.reports][-2:] == ["error", "status"]
    assert app.outcome() == "done failure"
    assert ended.exit_status == (1 if spoil is invalid_job else 0)
    for told in (json.dumps(app.reports), ended.log):
        for secret in ("init-token-abc", "access-token-xyz", ods.client_secret):
            assert secret not in told
        for student in KNOWN:
            assert student.state_id not in told
            assert student.unique_id not in told
        assert "Okafor" not in told
        assert "Marisol" not in told
