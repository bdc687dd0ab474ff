import io
import json
import socket
import subprocess

import pytest
from django.core.management import CommandError, call_command

from earthbeam.bundles import registry
from earthbeam.errors import RegistryError
from earthbeam.models import Bundle
from tests import factories

pytestmark = pytest.mark.django_db


def entry(name, **changes):
    return {
        "display_name": name.title(),
        "path": f"assessments/{name}",
        "input_files": [{"display_name": "Data", "env_var": "INPUT_FILE", "is_required": True}],
        **changes,
    }


@pytest.fixture
def repository(tmp_path, settings):
    """A bundle repository whose registry a test sets."""
    folder = tmp_path / "bundles"
    folder.mkdir()
    settings.BUNDLE_REPO, settings.BUNDLE_BRANCH = str(folder), "main"

    def git(*arguments):
        subprocess.run(
            ("git", "-c", "user.name=t", "-c", "user.email=t@t", *arguments),
            cwd=folder,
            check=True,
            capture_output=True,
        )

    git("init", "--initial-branch=main")

    def publish(*entries, text=None, yamls=None):
        for name, yaml in (yamls or {}).items():
            file = folder / "assessments" / name / "earthmover.yaml"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(yaml)
        (folder / "registry.json").write_text(text or json.dumps({"assessments": entries}))
        git("add", ".")
        git("commit", "-m", "publish")

    return publish


def sync():
    out = io.StringIO()
    call_command("sync_bundles", stdout=out)
    return out.getvalue()


def test_bundles_follow_the_registry(repository):
    repository(entry("one"), entry("two"))
    assert "2 added" in sync()
    partner = factories.make_partner()
    Bundle.objects.get(pk="assessments/one").enabled_for.add(partner)

    repository(entry("one", display_name="First"), entry("three"))
    assert "1 added, 1 changed, 0 unchanged, 1 retired" in sync()
    rows = Bundle.objects.order_by("path").values_list("path", "display_name", "in_registry")
    assert list(rows) == [
        ("assessments/one", "First", True),
        ("assessments/three", "Three", True),
        ("assessments/two", "Two", False),
    ]
    assert Bundle.objects.get(pk="assessments/one").enabled_for.get() == partner
    assert Bundle.objects.get(pk="assessments/one").template["display_name"] == "First"
    assert "2 unchanged, 0 retired" in sync()

    repository(entry("one"), entry("two"), entry("three"))
    sync()
    assert Bundle.objects.filter(in_registry=True).count() == 3


def test_the_columns_for_student_ids_come_from_the_bundles_themselves(repository):
    def yaml(columns):
        return (
            f"config:\n  parameter_defaults:\n    POSSIBLE_STUDENT_ID_COLUMNS: {columns}\n"
            "sources:\n  input:\n    file: ${INPUT_FILE}\n"
        )

    repository(entry("one"), entry("two"), yamls={"one": yaml("A,B")})
    sync()
    assert Bundle.objects.get(pk="assessments/one").student_id_columns == ["A", "B"]
    assert Bundle.objects.get(pk="assessments/two").student_id_columns == []
    repository(entry("one"), entry("two"), yamls={"one": yaml("C")})
    assert "1 changed, 1 unchanged" in sync()
    assert Bundle.objects.get(pk="assessments/one").student_id_columns == ["C"]


def test_the_registry_is_read_at_the_branch(repository, settings):
    repository(entry("one"))
    settings.BUNDLE_BRANCH = "nowhere"
    with pytest.raises(CommandError, match=r"BUNDLE_BRANCH.*nowhere"):
        sync()


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"path": "../outside"}, "path must be assessments/NAME"),
        ({"path": "assessments/.."}, "path must be assessments/NAME"),
        ({"display_name": None}, "display_name must be a text"),
        ({"input_files": []}, "at least one file"),
        ({"input_files": "INPUT_FILE"}, "input_files must be a list of objects"),
        ({"input_params": [{"display_name": "A", "env_var": "A=B"}]}, "env_var must be"),
        (
            {"input_params": [{"display_name": "A", "env_var": "INPUT_FILE"}]},
            "env_var occurs twice",
        ),
        (
            {"input_params": [{"display_name": "A", "env_var": "A", "allowed_values": "x"}]},
            "allowed_values must be a list or null",
        ),
        (
            {"input_params": [{"display_name": "A", "env_var": "A", "is_required": "yes"}]},
            "is_required must be true or false",
        ),
        ({"descriptor_mapping_files": [1]}, "descriptor_mapping_files must be"),
    ],
)
def test_an_unusable_entry_is_named_and_keeps_nothing_else_back(repository, changes, complaint):
    repository(entry("one"), entry("two"))
    sync()
    repository(entry("one", **{"display_name": "Newer", **changes}), entry("two"), entry("three"))
    with pytest.raises(CommandError, match=complaint):
        sync()
    assert Bundle.objects.get(pk="assessments/one").display_name == "One"
    assert Bundle.objects.filter(pk="assessments/three").exists()


def test_real_entries_leave_parts_out_or_say_null(repository):
    params = [{"display_name": "A", "env_var": "A", "is_required": True, "allowed_values": None}]
    repository(
        entry("one", input_params=params),
        entry("two", input_params=None, descriptor_mapping_files=None),
    )
    assert "2 added" in sync()


@pytest.mark.parametrize("text", ["{", "[]", '{"assessments": []}', '{"assessments": {}}'])
def test_a_registry_that_is_none_changes_nothing(repository, text):
    repository(entry("one"))
    sync()
    repository(text=text)
    with pytest.raises(CommandError, match=r"registry\.json"):
        sync()
    assert Bundle.objects.get().in_registry


@pytest.mark.parametrize(
    "address", ["/does/not/exist", "--upload-pack=touch /tmp/x", "http://127.0.0.1:9/x.git"]
)
def test_a_repository_that_cannot_be_read_says_what_to_check(settings, address):
    settings.BUNDLE_REPO = address
    with pytest.raises(CommandError, match="check BUNDLE_REPO"):
        sync()


def test_a_repositorys_password_is_not_shown():
    with pytest.raises(RegistryError) as caught:
        registry.read_registry("http://user:hush@127.0.0.1:9/x.git", "main")
    assert "hush" not in str(caught.value)


def test_a_repository_that_never_answers_is_given_up(monkeypatch):
    monkeypatch.setattr(registry, "GIT_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"git://127.0.0.1:{server.getsockname()[1]}/x.git"
        with pytest.raises(RegistryError, match="did not answer"):
            registry.read_registry(address, "main")
