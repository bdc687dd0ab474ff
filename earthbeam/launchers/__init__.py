"""Start executors. The setting EXECUTOR_LAUNCHER chooses one of LAUNCHERS."""

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
    """Starts the executors of runs."""

    def launch(self, run: Run, should_stop: Callable[[], bool]) -> None:
        """Start an executor for ``run``, which is new, with a fresh init token.

        May return at once or wait for the executor to end. While waiting, it polls ``should_stop``,
        which returns True when the worker is shutting down. Raises LaunchFailed, with the run still
        new, if no executor was started, or if it was stopped before it called init. Raises
        LauncherMisconfigured if a retry cannot help.
        """

    def watch(self) -> None:
        """Handle executors that ``launch`` does not wait for; called each minute, even during one.

        Ends the runs of executors that are gone, and the executors of runs that have ended.
        """


def passed_on() -> dict[str, str]:
    """Return the app's settings that are for executors, without those that are their default."""
    variables = {}
    if tuple(settings.BUNDLE_HOSTS) != DEFAULT_BUNDLE_HOSTS:
        variables["BUNDLE_HOSTS"] = ",".join(settings.BUNDLE_HOSTS)
    if settings.ROSTER_GZIP:
        variables["ROSTER_GZIP"] = "1"
    if settings.ODS_REQUESTS_AT_ONCE:
        variables["ODS_REQUESTS_AT_ONCE"] = str(settings.ODS_REQUESTS_AT_ONCE)
    return variables


def get_launcher() -> Launcher:
    """Return the launcher of this deployment. Raises LauncherMisconfigured."""
    try:
        path = LAUNCHERS[settings.EXECUTOR_LAUNCHER]
    except KeyError:
        raise LauncherMisconfigured(
            f"EXECUTOR_LAUNCHER is {settings.EXECUTOR_LAUNCHER!r}, which is no launcher. "
            f"Set it to one of: {', '.join(LAUNCHERS)}."
        ) from None
    return cast(Launcher, import_string(path)())
