import csv
import json
import os
import subprocess
from pathlib import Path

import pytest
import yaml

from runway.sandbox.bundle_repository import BUNDLES, create_bundle_repository

REGISTRY = json.loads((BUNDLES / "registry.json").read_text())["assessments"]


def git(repository: Path, *arguments: str) -> str:
    result = subprocess.run(
        ("git", *arguments), cwd=repository, check=True, capture_output=True, text=True
    )
    return result.stdout.strip()


def test_a_clone_of_main_holds_every_file(bundle_repository: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "--quiet", "--branch", "main", str(bundle_repository), "clone")
    cloned = {path.relative_to(tmp_path / "clone") for path in (tmp_path / "clone").rglob("*")}
    assert {path.relative_to(BUNDLES) for path in BUNDLES.rglob("*")} <= cloned


def test_making_it_again_changes_nothing(tmp_path: Path) -> None:
    repository = create_bundle_repository(tmp_path / "bundles")
    head = git(repository, "rev-parse", "HEAD")
    create_bundle_repository(repository)
    assert git(repository, "rev-parse", "HEAD") == head


def test_making_it_again_mends_what_somebody_changed(tmp_path: Path) -> None:
    repository = create_bundle_repository(tmp_path / "bundles")
    (repository / "registry.json").write_text("{}")
    (repository / "stray.txt").write_text("stray")
    git(repository, "add", "--all")
    git(repository, "-c", "user.name=x", "-c", "user.email=x@localhost", "commit", "-qm", "damage")
    create_bundle_repository(repository)
    assert json.loads(git(repository, "show", "main:registry.json"))["assessments"]
    assert "stray.txt" not in git(repository, "ls-tree", "--name-only", "main")


def test_it_needs_nothing_of_the_users_git_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".gitconfig").write_text(
        "[user]\n\tname = somebody\n[commit]\n\tgpgsign = true\n[core]\n\texcludesFile = ~/ignore\n"
    )
    (tmp_path / "ignore").write_text("*.csv\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_DIR", os.devnull)
    repository = create_bundle_repository(tmp_path / "bundles")
    monkeypatch.delenv("GIT_DIR")
    assert git(repository, "log", "--format=%an <%ae>") == "sandbox <sandbox@localhost>"
    assert "seeds/gradeLevelDescriptors.csv" in git(repository, "ls-files")


@pytest.mark.parametrize("entry", REGISTRY, ids=lambda entry: entry["path"])
def test_registry_names_what_is_there(entry: dict[str, list[str]]) -> None:
    folder = BUNDLES / str(entry["path"])
    assert (folder / "earthmover.yaml").is_file()
    assert yaml.safe_load((folder / "lightbeam.yaml").read_text())["edfi_api"]["version"] == 3
    for name in entry["descriptor_mapping_files"]:
        with (folder / "seeds" / name).open(newline="") as file:
            header = next(csv.reader(file))
        assert header[-1] == "edfi_descriptor"
        assert len(header) > 1


def test_registry_has_every_assessment() -> None:
    folders = {f"assessments/{path.name}" for path in (BUNDLES / "assessments").iterdir()}
    assert folders == {entry["path"] for entry in REGISTRY}
