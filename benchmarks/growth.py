"""`make bench-growth`: what a year of runs takes in the database, before and after it is tidied.

    python -m benchmarks.growth [--jobs 100000] [--runs 200000] [--data FOLDER]

A year of an installation is inserted as if nothing were ever deleted: jobs, runs with their reports
and logs, notices, audit entries, and the queue's jobs with their events. Then the worker's own
tasks tidy it, as they would have each hour and night. The sizes are those of the tables with their
indexes, without what deletion leaves for autovacuum to reuse.
"""

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.admin import set_up, stop
from benchmarks.measure import RESULTS, machine, write_results

DATA = RESULTS / "growth-postgres"
MINUTELY = 4
"""Tasks of the queue that run each minute."""

# Over a year, instead of the season's ten months.
_SPREAD = (
    """create temporary table moved as select id, random() * interval '365 days' as age
       from earthbeam_job""",
    """update earthbeam_job set created_at = now() - age from moved
       where moved.id = earthbeam_job.id""",
    """update earthbeam_run set created_at = now() - age, started_at = now() - age,
           ended_at = case when ended_at is not null then now() - age + interval '5 minutes' end
       from moved where moved.id = job_id""",
    """update earthbeam_notice set created_at = run.created_at, body = jsonb_build_object(
           'runId', run.id, 'jobId', run.job_id, 'text', repeat('outcome ', 90))
       from earthbeam_run run where run.id = run_id""",
    """update auditlog_logentry set timestamp = now() - age from moved
       where object_pk = moved.id::text""",
    "delete from procrastinate_jobs",
    """insert into procrastinate_jobs (queue_name, task_name, priority, args, status, attempts)
       select 'launch', 'launch_run', 0, jsonb_build_object('run_id', id), 'succeeded', 1
       from earthbeam_run where ended_at is not null""",
    """insert into procrastinate_jobs (queue_name, task_name, priority, args, status, attempts)
       select 'housekeeping', 'reap_runs', 0, '{"timestamp": 0}', 'succeeded', 1
       from generate_series(1, %(periodic)s)""",
    "delete from procrastinate_events",
    """insert into procrastinate_events (job_id, type, at)
       select id, kind::procrastinate_job_event_type,
           now() - interval '365 days' * (id - least) / (most - least + 1)
       from procrastinate_jobs, (select min(id) as least, max(id) as most
           from procrastinate_jobs) ends, unnest(array['deferred', 'started', 'succeeded']) kind""",
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=200_000)
    parser.add_argument("--data", type=Path, default=DATA, help="where the database lies")
    options = parser.parse_args()
    os.environ["LOG_LEVEL"] = "ERROR"
    try:
        set_up(options.data)
        figures = bench(options.jobs, options.runs)
        if options.data == DATA:
            path = write_results("growth", machine("django", "procrastinate"), [], figures)
            print(f"\nwritten to {path}")
        return 0
    finally:
        from django.db import connections

        connections.close_all()
        stop(options.data)


def bench(jobs: int, runs: int) -> dict[str, Any]:
    from django.core.management import call_command

    from benchmarks.admin_data import UPDATES_A_RUN, Size, seed

    call_command("migrate", verbosity=0)
    seed(Size(jobs, max(20, jobs // 100), runs * UPDATES_A_RUN))
    _spread(periodic=MINUTELY * 60 * 24 * 365 * runs // 200_000)
    before = sizes()
    seconds = {name: round(_seconds(task), 1) for name, task in _tasks().items()}
    after = sizes()
    width = max(map(len, before))
    print(f"{'table':{width}} {'rows':>10} {'MB':>7}   {'rows':>10} {'MB':>7}")
    for name in sorted(before, key=lambda name: -before[name][1]):
        (rows, mb), (rows_after, mb_after) = before[name], after.get(name, (0, 0.0))
        print(f"{name:{width}} {rows:10,} {mb:7.1f}   {rows_after:10,} {mb_after:7.1f}")
    totals = [round(sum(mb for _, mb in each.values()), 1) for each in (before, after)]
    print(f"{'all of them':{width}} {'':10} {totals[0]:7.1f}   {'':10} {totals[1]:7.1f}")
    for name, taken in seconds.items():
        print(f"{name}: {taken} s")
    return {"before": before, "after": after, "total_mb": totals, "seconds": seconds}


def _spread(periodic: int) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("set session_replication_role = replica")  # no triggers of the queue
        for statement in _SPREAD:
            cursor.execute(statement, {"periodic": periodic} if "%(" in statement else None)
        cursor.execute("reset session_replication_role")


def _tasks() -> dict[str, Callable[[], object]]:
    from procrastinate.contrib.django import app

    from earthbeam.jobs import retention
    from earthbeam.notify import notices
    from earthbeam.tasks import purge_queue

    def purge() -> None:
        purge_queue.defer(timestamp=0)
        with app.replace_connector(app.connector.get_worker_connector()):
            app.run_worker(wait=False, queues=["housekeeping"], install_signal_handlers=False)

    return {
        "retention of jobs' files and logs": retention.apply,
        "audit trail": retention.forget_audit,
        "notices": notices.forget_old,
        "queue": purge,
    }


def _seconds(task: Callable[[], object]) -> float:
    started = time.perf_counter()
    task()
    return time.perf_counter() - started


def sizes() -> dict[str, tuple[int, float]]:
    """Return rows and megabytes (with indexes) of each table that a year fills."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("vacuum full analyze")
        cursor.execute(
            "select relname, reltuples::bigint, pg_total_relation_size(oid) from pg_class "
            "where relkind = 'r' and relnamespace = 'public'::regnamespace "
            "and pg_total_relation_size(oid) > 200000"
        )
        return {name: (rows, round(size / 1e6, 1)) for name, rows, size in cursor.fetchall()}


if __name__ == "__main__":
    raise SystemExit(main())
