from earthbeam.executor import bundles
from earthbeam.executor.workspace import Workspace


def test_a_first_fetch_that_was_killed_leaves_nothing_for_long(monkeypatch, tmp_path, bundle_repo):
    monkeypatch.setattr(bundles, "_mirrors_folder", lambda: tmp_path)
    with Workspace() as workspace:
        mirror = bundles.refresh_mirror(str(bundle_repo), workspace)
        mirror.path.rename(bundles.half_fetched(mirror))

        assert bundles.refresh_mirror(str(bundle_repo), workspace) == mirror
    assert {path.name for path in tmp_path.iterdir()} == {
        mirror.path.name,
        f"{mirror.path.name}.lock",
    }
