"""Whether bubblewrap works on this machine, for the tests that cannot do without it."""

import os

import pytest

from earthbeam.launchers import sandbox


def _fault() -> str:
    try:
        sandbox.probe()
    except sandbox.Unusable as error:
        return str(error)
    return ""


FAULT = _fault()

# Set in CI, where a missing sandbox is a failure and no reason to leave tests out.
needed = pytest.mark.skipif(
    bool(FAULT) and os.environ.get("REQUIRE_SANDBOX") != "1",
    reason=f"bubblewrap is not to be used here: {FAULT}",
)
