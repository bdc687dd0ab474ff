import io
import uuid

import pytest
from django.core.management import CommandError, call_command
from procrastinate.contrib.django.models import ProcrastinateJob

from tests import factories
from tests.earthbeam.queue import queue  # noqa: F401

pytestmark = pytest.mark.usefixtures("queue")


def cancel(run_id, *arguments):
    out = io.StringIO()
    call_command("cancel_run", str(run_id), *arguments, stdout=out)
    return out.getvalue()


@pytest.mark.parametrize("status", ["new", "running"])
def test_an_unfinished_run_ends_and_says_who_cancelled_it(status):
    run = factories.make_run(status=status)
    assert "cancelled" in cancel(run.pk, "--by", "Ada")
    run.refresh_from_db()
    error = run.errors.get()
    assert (run.status, error.code) == ("error", "unknown")
    assert error.payload == {"message": "Cancelled by Ada."}
    assert run.ended_at is not None


def test_whoever_runs_the_command_is_named():
    run = factories.make_run()
    cancel(run.pk)
    message = run.errors.get().payload["message"]
    assert message.startswith("Cancelled by ")
    assert len(message) > len("Cancelled by .")


def test_launchers_are_told_at_once_and_only_once():
    for _ in range(2):
        cancel(factories.make_run(factories.make_job()).pk)
    assert ProcrastinateJob.objects.filter(task_name="watch_executors").count() == 1


@pytest.mark.parametrize("status", ["success", "error"])
def test_a_run_that_has_ended_stays_as_it_is(status):
    run = factories.make_run(status=status)
    with pytest.raises(CommandError, match="has ended already"):
        cancel(run.pk)
    run.refresh_from_db()
    assert run.status == status
    assert not run.errors.exists()


def test_an_unknown_run_is_told_as_such():
    unknown = uuid.uuid4()
    with pytest.raises(CommandError, match=f"no run {unknown}"):
        cancel(unknown)
    with pytest.raises(CommandError, match="invalid UUID"):
        cancel("12")
