"""Check each minute on executors on ECS, which no process waits for.

Concurrent watchers do no harm, since every decision is a conditional update.
"""

import logging
from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.db.models import Q
from django.utils import timezone

from earthbeam.executor.unreachable import words_for
from earthbeam.models import Run
from earthbeam.runs import relaunch, states
from runway import aws

logger = logging.getLogger(__name__)

BATCH = 100
"""The most tasks that DescribeTasks accepts per call."""
YOUNG = timedelta(minutes=5)
"""For how long after its start ECS may not know a task yet."""
STRAGGLERS = timedelta(hours=1)
"""For how long after a run's end its task is stopped if it still exists."""

_KILLED = 128 + 9
_FORGOTTEN: dict[str, Any] = {
    "stoppedReason": "ECS does not know the task any more",
    "containers": [],
}


def watch() -> None:
    """End the runs whose task has stopped, and stop the tasks whose run was ended."""
    for cluster, batch in _batches():
        answer = aws.client("ecs").describe_tasks(cluster=cluster, tasks=list(batch))
        for task in answer["tasks"]:
            run = batch[task["taskArn"]]
            if run.status == Run.Status.ERROR:
                _stop(cluster, run, task)
            elif task["lastStatus"] == "STOPPED":
                _conclude(cluster, run, task)
        for arn in batch.keys() - {task["taskArn"] for task in answer["tasks"]}:
            if batch[arn].status in Run.UNFINISHED and _is_old(batch[arn]):
                _conclude(cluster, batch[arn], _FORGOTTEN)


def _batches() -> Iterator[tuple[str, dict[str, Run]]]:
    """Yield clusters, each with a batch of task ARNs and their runs."""
    ended_lately = Q(status=Run.Status.ERROR, ended_at__gt=timezone.now() - STRAGGLERS)
    clusters: defaultdict[str, list[Run]] = defaultdict(list)
    for run in Run.objects.filter(
        Q(status__in=Run.UNFINISHED) | ended_lately, launch_reference__contains=":task/"
    ):
        # arn:aws:ecs:REGION:ACCOUNT:task/CLUSTER/ID
        clusters[run.launch_reference.split("/")[1]].append(run)
    for cluster, members in clusters.items():
        for start in range(0, len(members), BATCH):
            batch = members[start : start + BATCH]
            yield cluster, {run.launch_reference: run for run in batch}


def _stop(cluster: str, run: Run, task: dict[str, Any]) -> None:
    """Stop the task of a run that was cancelled or timed out."""
    if "STOPPED" not in (task["lastStatus"], task["desiredStatus"]):
        aws.client("ecs").stop_task(
            cluster=cluster, task=task["taskArn"], reason="The run has ended."
        )
        logger.info("run %s has ended; its task is stopped", run.pk)


def _conclude(cluster: str, run: Run, task: dict[str, Any]) -> None:
    """Handle a task that stopped before its run ended: retry with more memory, or end the run."""
    if _adopt_other_task(cluster, run):
        return
    out_of_memory = _ran_out_of_memory(task)
    if out_of_memory and run.executor_size in relaunch.NEXT_SIZE:
        relaunch.with_more_memory(run)  # no effect if another watcher has already done so
        return
    message = (
        "The executor ran out of memory. Split the file into smaller files, then submit those."
        if out_of_memory
        else _unreachable(task)
        or f"The executor's task stopped before it reported the outcome: {_reason(task)}."
    )
    if run.status == Run.Status.NEW:
        ended = states.fail_to_start(run.pk, {"message": message}, executor_size=run.executor_size)
    else:
        ended = states.fail(
            run.pk, "unknown", {"message": message}, executor_size=run.executor_size
        )
    if ended:
        logger.warning("run %s: %s", run.pk, message)


def _adopt_other_task(cluster: str, run: Run) -> bool:
    """Watch another task of the same run, if there is one, and return whether there is.

    ECS may have accepted a task although its response was lost. The launch is then retried, and the
    handshake rejects one of the two executors.
    """
    others = aws.client("ecs").list_tasks(
        cluster=cluster, startedBy=str(run.pk), desiredStatus="RUNNING"
    )["taskArns"]
    if not others:
        return False
    Run.objects.filter(pk=run.pk, launch_reference=run.launch_reference).update(
        launch_reference=others[0]
    )
    return True


def _ran_out_of_memory(task: dict[str, Any]) -> bool:
    """Whether ECS reports it, or the kernel killed the container without a request to stop."""
    reasons = [task.get("stoppedReason", "")]
    reasons += [container.get("reason", "") for container in task["containers"]]
    killed = any(container.get("exitCode") == _KILLED for container in task["containers"])
    return any("OutOfMemory" in text for text in reasons) or (
        killed and task.get("stopCode") == "EssentialContainerExited"
    )


def _unreachable(task: dict[str, Any]) -> str | None:
    """Return why the executor could not reach the app, if that is how it ended."""
    statuses = (container.get("exitCode") for container in task["containers"])
    return next(filter(None, (words_for(each) for each in statuses if each is not None)), None)


def _reason(task: dict[str, Any]) -> str:
    """Return ECS's reason for the stop, with the container's own."""
    parts = [task.get("stoppedReason", "").rstrip(".") or "ECS gives no reason"]
    for container in task["containers"]:
        if container.get("reason"):
            parts.append(container["reason"].rstrip("."))
        if container.get("exitCode") is not None:
            parts.append(f"exit status {container['exitCode']}")
    return ", ".join(parts)


def _is_old(run: Run) -> bool:
    return run.launched_at is None or run.launched_at < timezone.now() - YOUNG
