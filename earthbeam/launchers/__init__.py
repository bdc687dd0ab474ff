"""How executors are started. The setting EXECUTOR_LAUNCHER chooses one of LAUNCHERS."""

from collections.abc import Callable
from typing import Protocol, cast

from django.conf import settings
from django.utils.module_loading import import_string

from earthbeam.errors import LauncherMisconfigured
from earthbeam.executor.environment import DEFAULT_BUNDLE_HOSTS
from earthbeam.models import Run

LAUNCHERS = {
    "local": "earthbeam.launchers.local.LocalLauncher",
    "ecs": "earthbeam.launchers.ecs.EcsLauncher",
}


class Launcher(Protocol):
    """Starts the executor of a run."""

    def launch(self, run: Run, should_stop: Callable[[], bool]) -> None:
        """Start an executor for ``run``, which is new, with a fresh init token.

        It may return at once, or wait for the executor's end; while it waits it asks
        ``should_stop``, which answers True when the worker is to end. Raises LaunchFailed, with the
        run still new, when no executor was started or it was stopped before it reported for work.
        LauncherMisconfigured says that no other try helps.
        """

    def watch(self) -> None:
        """Called each minute, also while a launch is under way: see to executors that ``launch``
        does not wait for. End the runs of those that are gone, and those of runs that have ended.
        """


def bundle_hosts() -> dict[str, str]:
    """The executor's variable for the hosts of packages, where they are not its own default."""
    hosts = settings.BUNDLE_HOSTS
    return {} if tuple(hosts) == DEFAULT_BUNDLE_HOSTS else {"BUNDLE_HOSTS": ",".join(hosts)}


def get_launcher() -> Launcher:
    """The launcher of this deployment. Raises LauncherMisconfigured."""
    try:
        path = LAUNCHERS[settings.EXECUTOR_LAUNCHER]
    except KeyError:
        raise LauncherMisconfigured(
            f"EXECUTOR_LAUNCHER is {settings.EXECUTOR_LAUNCHER!r}, which is no launcher. "
            f"Set it to one of: {', '.join(LAUNCHERS)}."
        ) from None
    return cast(Launcher, import_string(path)())
