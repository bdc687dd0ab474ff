import pytest

from earthbeam.errors import LauncherMisconfigured
from earthbeam.launchers import get_launcher
from earthbeam.launchers.local import LocalLauncher


def test_the_setting_chooses_the_launcher(settings):
    settings.EXECUTOR_LAUNCHER = "local"
    assert isinstance(get_launcher(), LocalLauncher)


def test_an_unknown_launcher_is_named_with_the_known_ones(settings):
    settings.EXECUTOR_LAUNCHER = "rocket"
    with pytest.raises(LauncherMisconfigured, match=r"'rocket'.*local"):
        get_launcher()
