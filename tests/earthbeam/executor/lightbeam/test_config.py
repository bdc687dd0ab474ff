"""lightbeam's configuration is ours, and what it says arrives: with lightbeam's own loader."""

import os

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from lightbeam.lightbeam import SafeLineEnvVarLoader

from earthbeam.executor.job import Ods
from earthbeam.executor.lightbeam import config
from earthbeam.executor.lightbeam.config import BundleSettings

# What an environment variable can hold.
texts = st.text(
    alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1
)


def loaded(folder, settings, ods, page_size=None):
    """The configuration as lightbeam sees it."""
    path = folder / "lightbeam.yaml"
    config.write(path, settings, ods, page_size)
    os.environ.update(config.variables(ods, folder / "data", folder / "state"))
    return yaml.load(path.read_text(), Loader=SafeLineEnvVarLoader)  # noqa: S506


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.setattr(os, "environ", os.environ.copy())


@given(client_id=texts, secret=texts, path=texts)
def test_credentials_of_any_characters_reach_lightbeam(tmp_path_factory, client_id, secret, path):
    folder = tmp_path_factory.mktemp("config")
    ods = Ods("2026", f"https://ods.example.org/{path}", client_id, secret)
    config = loaded(folder, BundleSettings(), ods)
    api = config["edfi_api"]
    assert (api["client_id"], api["client_secret"], api["base_url"]) == (client_id, secret, ods.url)
    assert secret not in (folder / "lightbeam.yaml").read_text() or len(secret) < 20


ODS = Ods("2026", "https://ods.example.org", "key", "hush")


def read(tmp_path, text):
    path = tmp_path / "bundle.yaml"
    path.write_text(text)
    return config.read(path)


def test_a_bundles_plain_settings_are_taken(tmp_path):
    settings = read(
        tmp_path,
        """\
state_dir: ${STATE_DIR}
data_dir: ${DATA_DIR}
namespace: tpdm
namespace_overrides: {ed-fi: [students, schools]}
edfi_api:
  base_url: ${EDFI_API_BASE_URL}
  version: 3
  mode: district_specific
  year: ${API_YEAR}
  client_id: ${EDFI_API_CLIENT_ID}
  client_secret: ${EDFI_API_CLIENT_SECRET}
connection:
  pool_size: 2
  timeout: 6000
  num_retries: 3
  backoff_factor: 2
  retry_statuses: [429, 502]
  verify_ssl: True
""",
    )
    config = loaded(tmp_path, settings, ODS, page_size=500)
    assert config["namespace"] == "tpdm"
    assert config["namespace_overrides"]["ed-fi"] == ["students", "schools"]
    assert (config["edfi_api"]["mode"], config["edfi_api"]["year"]) == ("district_specific", 2026)
    connection = {key: value for key, value in config["connection"].items() if key != "__line__"}
    assert connection == {
        "pool_size": 2,
        "timeout": 6000,
        "num_retries": 3,
        "backoff_factor": 2,
        "retry_statuses": [429, 502],
        "verify_ssl": True,
    }
    assert config["fetch"]["page_size"] == 500


SECRET = "${EDFI_API_CLIENT_SECRET}"


@pytest.mark.parametrize(
    "text",
    [
        f"namespace: {SECRET}",
        f"namespace_overrides: {{leak: ['{SECRET}']}}",
        f"namespace_overrides: {{leak: '{SECRET}'}}",
        f"namespace_overrides: {{'{SECRET}': [students]}}",
        f"edfi_api: {{mode: '{SECRET}'}}",
        f"connection: {{pool_size: '{SECRET}', retry_statuses: ['{SECRET}']}}",
        "connection: {verify_ssl: false}",
        "edfi_api: {base_url: 'http://elsewhere', oauth_url: 'http://elsewhere'}",
        "connection: {pool_size: true, timeout: .nan, num_retries: [], backoff_factor: {}}",
        "log_level: DEBUG\nstate_dir: /etc\ndata_dir: /etc\nfetch: {page_size: 1}",
        "- a list",
        "{% for x in y %}: [",
        "&a [*a]",
    ],
)
def test_nothing_else_of_a_bundles_configuration_counts(tmp_path, text):
    assert read(tmp_path, text) == BundleSettings()


def test_a_configuration_that_is_missing_or_huge_counts_as_empty(tmp_path):
    assert config.read(tmp_path / "lightbeam.yaml") == BundleSettings()
    assert read(tmp_path, "namespace: tpdm\n" + "# x\n" * 100_000) == BundleSettings()


def test_the_deployments_number_of_requests_replaces_the_bundles(tmp_path):
    path = tmp_path / "lightbeam.yaml"
    path.write_text("connection:\n  pool_size: 2\n")
    assert config.read(path).pool_size == 2
    assert config.read(path, 32).pool_size == 32


def test_numbers_are_brought_into_their_range(tmp_path):
    settings = read(tmp_path, "connection: {pool_size: 5000, num_retries: 0, timeout: 0.1}")
    assert (settings.pool_size, settings.num_retries, settings.timeout) == (64, 1, 1)
