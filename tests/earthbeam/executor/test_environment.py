import pytest

from earthbeam.executor.environment import BadEnvironment, Environment

GOOD = {"INIT_TOKEN": "abc", "INIT_JOB_URL": "http://app/api/earthbeam/auth/1/init"}


def test_the_contracts_defaults_hold():
    environment = Environment.read(GOOD)
    assert environment.timeout_seconds == 3600
    assert environment.bundle_repo.endswith("earthmover_edfi_bundles.git")


def test_the_token_does_not_show():
    assert "abc" not in repr(Environment.read(GOOD))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"INIT_TOKEN": ""}, "INIT_TOKEN"),
        ({"INIT_JOB_URL": ""}, "INIT_JOB_URL"),
        ({"INIT_JOB_URL": "file:///etc/passwd"}, "INIT_JOB_URL"),
        ({"TIMEOUT_SECONDS": "soon"}, "TIMEOUT_SECONDS"),
        ({"TIMEOUT_SECONDS": "0"}, "TIMEOUT_SECONDS"),
    ],
)
def test_a_variable_that_is_missing_or_unusable_is_named(change, named):
    with pytest.raises(BadEnvironment, match=named):
        Environment.read(GOOD | change)
