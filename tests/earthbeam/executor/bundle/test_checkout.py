import os
import shutil
import subprocess
import sys
import tarfile

import pytest

from earthbeam.executor.bundle import checkout
from earthbeam.executor.environment import DEFAULT_BUNDLE_REPO
from earthbeam.executor.errors import StepFailed
from earthbeam.executor.workspace.folders import Workspace
from runway.sandbox.bundle_repository import create_bundle_repository
from tests.earthbeam.executor.conftest import PROJECT
from tests.earthbeam.executor.hostile import BUNDLE, commit

pytestmark = pytest.mark.slow


def test_a_first_fetch_that_was_killed_leaves_nothing_for_long(monkeypatch, tmp_path, bundle_repo):
    monkeypatch.setattr(checkout, "_mirrors_folder", lambda: tmp_path)
    with Workspace() as workspace:
        mirror = checkout.refresh_mirror(str(bundle_repo), workspace)
        mirror.path.rename(checkout.half_fetched(mirror))

        assert checkout.refresh_mirror(str(bundle_repo), workspace) == mirror
    assert {path.name for path in tmp_path.iterdir()} == {
        mirror.path.name,
        f"{mirror.path.name}.lock",
    }


@pytest.fixture
def mirrors(monkeypatch, tmp_path):
    folder = tmp_path / "mirrors"
    folder.mkdir()
    monkeypatch.setattr(checkout, "_mirrors_folder", lambda: folder)
    return folder


def test_git_locks_of_a_fetch_that_was_killed_stop_no_later_one(mirrors, tmp_path):
    repository = create_bundle_repository(tmp_path / "repository")
    with Workspace() as workspace:
        mirror = checkout.refresh_mirror(str(repository), workspace)
        # SIGKILL leaves these, and git would refuse to go on until somebody removes them.
        for name in ("packed-refs.lock", "shallow.lock", "refs/heads/main.lock", "HEAD.lock"):
            (mirror.path / name).touch()
        (repository / "README.md").write_text("changed")
        commit(repository)

        checkout.refresh_mirror(str(repository), workspace)
        checkout.check_out(mirror, BUNDLE, "main", workspace)
    assert head_of(mirror.path) == head_of(repository)


def test_executors_that_share_a_mirror_take_turns(mirrors, tmp_path):
    repository = create_bundle_repository(tmp_path / "repository")
    code = (
        "import sys; from pathlib import Path\n"
        "from earthbeam.executor.bundle import checkout\n"
        "from earthbeam.executor.workspace.folders import Workspace\n"
        f"checkout._mirrors_folder = lambda: Path({str(mirrors)!r})\n"
        "for _ in range(3):\n"
        "    with Workspace() as workspace:\n"
        f"        mirror = checkout.refresh_mirror({str(repository)!r}, workspace)\n"
        f"        checkout.check_out(mirror, {BUNDLE!r}, 'main', workspace)\n"
    )
    executors = [
        subprocess.Popen((sys.executable, "-c", code), stderr=subprocess.PIPE, cwd=PROJECT)
        for _ in range(4)
    ]
    # Meanwhile its source changes, as branches do.
    for number in range(5):
        (repository / "README.md").write_text(f"version {number}")
        commit(repository)
    for executor in executors:
        _, told = executor.communicate(timeout=60)
        assert executor.returncode == 0, told.decode()
    (mirror,) = (path for path in mirrors.iterdir() if path.is_dir())
    check = subprocess.run(("git", "-C", mirror, "fsck", "--strict"), capture_output=True)
    assert check.returncode == 0, check.stderr


@pytest.fixture(params=["filters", "no filters"])
def python_with(request, monkeypatch):
    """Python 3.11.4 and newer know filters for what is unpacked; older 3.11s do not."""
    if request.param == "no filters":
        monkeypatch.delattr("tarfile.data_filter")

        def extractall(self, path=".", members=None, *, numeric_owner=False):
            whole(self, path, members, numeric_owner=numeric_owner, filter=fully_trusted)

        whole, fully_trusted = tarfile.TarFile.extractall, tarfile.fully_trusted_filter
        monkeypatch.setattr("tarfile.TarFile.extractall", extractall)


def test_a_bundle_is_unpacked_by_any_python(python_with, mirrors, bundle_repo):
    with Workspace() as workspace:
        mirror = checkout.refresh_mirror(str(bundle_repo), workspace)
        checkout.check_out(mirror, BUNDLE, "main", workspace)
        assert (workspace.bundle / "seeds" / "assessments.csv").is_file()


@pytest.mark.parametrize("link", ["/etc", "../../..", "../../other/secret"])
def test_a_bundle_whose_links_lead_out_of_it_is_refused(python_with, mirrors, tmp_path, link):
    repository = create_bundle_repository(tmp_path / "repository")
    (repository / BUNDLE / "seeds" / "elsewhere").symlink_to(link)
    commit(repository)
    with Workspace() as workspace:
        mirror = checkout.refresh_mirror(str(repository), workspace)
        with pytest.raises(StepFailed, match="cannot be unpacked") as failed:
            checkout.check_out(mirror, BUNDLE, "main", workspace)
    assert failed.value.code == "bundle_git_pull"


def head_of(repository):
    command = ("git", "-C", str(repository), "rev-parse", "refs/heads/main")
    return subprocess.run(command, capture_output=True, check=True).stdout


def test_bundle_and_packages_come_from_the_commit_that_was_synced(mirrors, tmp_path):
    repository = create_bundle_repository(tmp_path / "repository")
    commit_id = head_of(repository).decode().strip()
    with Workspace() as workspace:
        for number in range(2):  # the second time the branch has moved on
            if number:
                for name in (f"{BUNDLE}/README.md", "packages/sample_shared/README.md"):
                    (repository / name).write_text("unreviewed")
                commit(repository)
            mirror = checkout.refresh_mirror(str(repository), workspace, commit=commit_id)
        pinned = checkout.at_commit(mirror, "main", commit_id, workspace)
        checkout.check_out(pinned, BUNDLE, "main", workspace)
        assert (workspace.bundle / "README.md").read_text() != "unreviewed"
        # As earthmover clones a package: by the public address.
        for address in (str(repository), DEFAULT_BUNDLE_REPO):
            package = workspace.folder("package")
            env = os.environ | pinned.redirection()
            subprocess.run(("git", "clone", "-q", address, "."), cwd=package, env=env, check=True)
            assert (package / "packages/sample_shared/README.md").read_text() != "unreviewed"
            shutil.rmtree(package)


def test_a_commit_that_is_gone_is_said_to_be(mirrors, bundle_repo):
    with Workspace() as workspace:
        mirror = checkout.refresh_mirror(str(bundle_repo), workspace)
        with pytest.raises(StepFailed, match="no commit bbbbbbbbbbbb any more") as failed:
            checkout.at_commit(mirror, "main", "b" * 40, workspace)
    assert failed.value.code == "bundle_git_pull"


@pytest.mark.parametrize(
    "address",
    [
        "https://elsewhere.example.org/x.git",
        "http://github.com/x.git",
        "ssh://git@github.com/x.git",
        "git@github.com:x.git",
        "file:///etc",
    ],
)
def test_packages_come_from_allowed_hosts_by_https_alone(mirrors, bundle_repo, tmp_path, address):
    with Workspace() as workspace:
        mirror = checkout.refresh_mirror(str(bundle_repo), workspace)
        done = subprocess.run(
            ("git", "clone", address, "package"),
            cwd=tmp_path,
            env=os.environ | mirror.redirection(("github.com",)),
            capture_output=True,
            text=True,
        )
    assert done.returncode != 0
    assert checkout.REFUSED_HELPER in done.stderr


def git(folder, *arguments):
    done = subprocess.run(
        ("git", "-C", str(folder), *arguments), check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_a_shallow_clone_is_as_good_as_the_whole_repository(mirrors, tmp_path):
    whole = create_bundle_repository(tmp_path / "whole")
    (whole / "README.md").write_text("a second commit")
    commit(whole)
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{whole}", str(shallow))
    with Workspace() as workspace:
        mirror = checkout.refresh_mirror(str(shallow), workspace)
        checkout.check_out(mirror, BUNDLE, "main", workspace)


def test_a_broken_branch_that_nobody_uses_harms_nobody(mirrors, tmp_path):
    repository = create_bundle_repository(tmp_path / "repository")
    (repository / ".git" / "refs" / "heads" / "broken").write_text(f"{'1' * 40}\n")
    with Workspace() as workspace:
        mirror = checkout.refresh_mirror(str(repository), workspace)
        checkout.check_out(mirror, BUNDLE, "main", workspace)


def test_other_branches_are_fetched_where_a_bundle_names_them_and_only_then(mirrors, tmp_path):
    repository = create_bundle_repository(tmp_path / "repository")
    for name in ("named", "huge"):
        git(repository, "branch", name)
    definition = repository / BUNDLE / "earthmover.yaml"
    definition.write_text(f"{definition.read_text()}\n# packages:\n    branch: 'named'\n")
    commit(repository)
    with Workspace() as workspace:
        mirror = checkout.refresh_mirror(str(repository), workspace)
    assert git(mirror.path, "branch", "--format=%(refname:short)").split() == ["main", "named"]


def test_a_branch_that_is_gone_is_said_to_be_at_once(mirrors, tmp_path, monkeypatch):
    monkeypatch.setattr("earthbeam.executor.processes.running.wait", pytest.fail)
    repository = create_bundle_repository(tmp_path / "repository")
    git(repository, "branch", "old")
    with Workspace() as workspace:
        checkout.refresh_mirror(str(repository), workspace, "old")
        git(repository, "branch", "-D", "old")
        with pytest.raises(StepFailed, match="no branch 'old'"):
            checkout.refresh_mirror(str(repository), workspace, "old")


def test_a_repository_that_is_away_is_replaced_by_the_mirror_of_the_last_day(
    mirrors, tmp_path, caplog
):
    repository = create_bundle_repository(tmp_path / "repository")
    with Workspace() as workspace:
        mirror = checkout.refresh_mirror(str(repository), workspace)
        repository.rename(tmp_path / "away")
        marker = mirror.path / "fetched" / "main"
        os.utime(marker, (marker.stat().st_mtime - 3 * 3600,) * 2)
        assert checkout.refresh_mirror(str(repository), workspace, pauses=()) == mirror
        assert "goes on with branch main as it was 180 minutes ago" in caplog.text
        checkout.check_out(mirror, BUNDLE, "main", workspace)

        with pytest.raises(StepFailed, match="could not be fetched"):  # never had that one
            checkout.refresh_mirror(str(repository), workspace, "other", pauses=())
        os.utime(marker, (marker.stat().st_mtime - 22 * 3600,) * 2)
        with pytest.raises(StepFailed, match="could not be fetched"):
            checkout.refresh_mirror(str(repository), workspace, pauses=())
