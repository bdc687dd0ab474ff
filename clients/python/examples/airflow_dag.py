"""Submit the day's file to Runway, wait for its job, and load each new output set exactly once.

For Airflow 3. The connection ``runway`` has the installation's URL as its host, the
client's ID and secret as login and password, and in its extra ``token_url``. ``load`` stands for
the warehouse's own way to load a folder in one transaction, together with a note of the set's uid:
only so is a set loaded once, however often a task is tried.
"""

from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from airflow.sdk import BaseHook, PokeReturnValue, dag, task
from airflow.sdk.exceptions import AirflowFailException
from runway_client import ClientCredentials, Refused, Runway

PARTNER, TENANT, BUNDLE, YEAR = "ea", "grand_bend", "assessments/SAMPLE_INTERIM", 2026
OVERLAP = timedelta(minutes=10)
"""Two runs that end at nearly the same time may become visible in the other order."""


def connect() -> Runway:
    found = BaseHook.get_connection("runway")
    token_url = found.extra_dejson["token_url"]
    auth = ClientCredentials(token_url, found.login, found.password, audience=found.host)
    return Runway(found.host, auth)


def load(folder: Path, uid: str) -> None:
    """Load the files and the note of ``uid`` in one transaction, unless the note is there."""
    raise NotImplementedError


@dag(schedule="@daily", start_date=datetime(2026, 1, 1), catchup=False, max_active_runs=1)
def runway_scores() -> None:
    @task(retries=3)
    def submit(ds: str | None = None) -> str:
        with connect() as runway:
            try:
                job = runway.submit(
                    partner=PARTNER,
                    tenant=TENANT,
                    bundle=BUNDLE,
                    school_year=YEAR,
                    files={"INPUT_FILE": Path(f"/data/scores_{ds}.csv")},
                    key=f"scores-{ds}",  # a try that is repeated means the same job
                )
            except Refused as error:
                raise AirflowFailException(str(error)) from error  # another try would not help
        return job["uid"]

    @task.sensor(poke_interval=30, timeout=4 * 3600, mode="reschedule")
    def wait(uid: str) -> PokeReturnValue:
        with connect() as runway:
            job = runway.job(uid)
        if job["status"] == "error":
            raise AirflowFailException(f"Job {uid} failed: see its page.")
        return PokeReturnValue(is_done=job["status"] not in ("queued", "running"))

    @task(retries=3)
    def load_sets(data_interval_start: Any = None) -> None:
        since = (data_interval_start - OVERLAP).isoformat()
        with connect() as runway, TemporaryDirectory() as folder:
            for each in runway.output_sets(partner=PARTNER, sentToOds="false", createdAfter=since):
                target = Path(folder) / each["uid"]
                runway.download(each, target)
                load(target, each["uid"])

    uid = submit()
    wait(uid) >> load_sets()


runway_scores()
