"""What holds for every error that an executor reports: its fields, size, and secrecy."""

import json

from runway.sandbox.ods.server import CLIENT_SECRET

# The contract's list, with the fields that go with each code.
FIELDS: dict[str, tuple[str, ...]] = {
    "unknown": (),
    "executor_timeout": ("timeout_seconds",),
    "invalid_job": ("message",),
    "lightbeam_fetch": ("resource",),
    "missing_ods_roster": (),
    "lightbeam_send": (),
    "input_s3_download": ("name", "path"),
    "bundle_git_pull": (),
    "artifact_not_found": ("name", "path"),
    "artifact_empty": ("name", "path"),
    "artifact_s3_upload": ("name", "path"),
    "earthmover_deps": (),
    "earthmover_run": (),
    "cross_year_roster_fetch": (),
    "insufficient_matches": ("match_rate", "match_threshold", "id_name", "id_type"),
}


def check_error(app, log):
    """Check the error that a run has reported; ``log`` is what its executor printed."""
    error = app.error()
    assert {"message", "stacktrace", *FIELDS[error["code"]]} <= set(error["payload"])
    assert len(json.dumps(error["payload"])) < 8_000
    for told in (json.dumps(app.reports), log):
        for secret in ("init-token-abc", "access-token-xyz", CLIENT_SECRET):
            assert secret not in told
