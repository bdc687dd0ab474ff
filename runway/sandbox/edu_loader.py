"""A stand-in for EDU's loader: fetches the sets that went to no ODS, and loads them exactly once.

It does what a partner's loader does, using only the external API: list the sets that are not sent
to the ODS, download their files, and load each line into EDU. A set is loaded in one transaction
with a record that it has been, so a loader that is killed leaves a whole set or nothing. A lock
makes concurrent loaders take turns. Sets published at nearly the same time may become visible in
another order, so each poll looks back over ``OVERLAP`` and skips sets that are recorded as loaded.
A set that supersedes another replaces its lines, and the other is not loaded any more: its files
are those of the later run. Lines of a withdrawn set are deleted, in one transaction with a record
of that. docs/output-sets.md has the rules.
"""

import argparse
import fcntl
import json
import os
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests
from cryptography.hazmat.primitives import serialization

from edu.connect import connect
from edu.credentials import EduCredentials

OVERLAP = timedelta(minutes=10)
BATCH = 500
"""Lines per statement."""
PAGE = 100
_TIMEOUT = 60
_BEGINNING = "2000-01-01T00:00:00+00:00"

_TABLES = (
    "create table if not exists runway_output_sets ("
    "set_uid varchar, created_at varchar, loaded_at varchar, records int, supersedes varchar)",
    "create table if not exists runway_withdrawals (set_uid varchar, withdrawn_at varchar)",
    "create table if not exists runway_records ("
    "set_uid varchar, job_uid varchar, tenant_code varchar, api_year int, "
    "resource varchar, line int, record varchar)",
)
_INSERT = """
    insert into runway_records
    select ?, ?, ?, ?, ?, f.value:line::int, f.value:record::varchar
    from table(flatten(input => parse_json(?))) f
"""


@dataclass(frozen=True)
class Api:
    """The external API, as an issuer's client uses it."""

    url: str
    issuer: str
    client_id: str
    client_secret: str
    audience: str

    def get(self, url: str, params: dict[str, str] | None = None) -> requests.Response:
        return self._call("GET", url, params=params)

    def post(self, url: str) -> requests.Response:
        return self._call("POST", url)

    def _call(self, method: str, url: str, **options: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self._token()}"}
        answer = requests.request(method, url, headers=headers, timeout=_TIMEOUT, **options)
        answer.raise_for_status()
        return answer

    def _token(self) -> str:
        answer = requests.post(
            f"{self.issuer}/token",
            data={"grant_type": "client_credentials", "audience": self.audience},
            auth=(self.client_id, self.client_secret),
            timeout=_TIMEOUT,
        )
        answer.raise_for_status()
        return str(answer.json()["access_token"])


class EduLoader:
    """Loads a partner's sets into the EDU that ``open_edu`` connects to.

    ``lock`` is a file that all loaders of that EDU share.
    """

    def __init__(self, api: Api, partner: str, open_edu: Callable[[], Any], lock: Path) -> None:
        self._api, self._partner = api, partner
        self._open_edu, self._lock = open_edu, lock

    def poll(self) -> int:
        """Load what is new since the last poll, and return how many sets that was.

        Then delete what was withdrawn, also of what was just loaded. A failure raises, and a later
        poll does what is missing.
        """
        with self._alone():
            edu = self._open_edu()
            try:
                cursor = edu.cursor()
                for table in _TABLES:
                    cursor.execute(table)
                count = 0
                for found in self._new_sets(cursor):
                    self._load(cursor, found)
                    count += 1
                for found in self._withdrawn_sets(cursor):
                    self._delete(cursor, found)
                return count
            finally:
                edu.close()

    def _new_sets(self, cursor: Any) -> Iterator[dict[str, Any]]:
        query = {"partner": self._partner, "sentToOds": "false", "limit": str(PAGE)}
        cursor.execute("select max(created_at) from runway_output_sets")
        if newest := cursor.fetchone()[0]:
            query["createdAfter"] = (datetime.fromisoformat(newest) - OVERLAP).isoformat()
        cursor.execute(
            "select set_uid, supersedes from runway_output_sets"
            " union all select set_uid, null from runway_withdrawals"
        )
        done = {uid for row in cursor.fetchall() for uid in row if uid}
        yield from (each for each in self._listed(query) if each["uid"] not in done)

    def _withdrawn_sets(self, cursor: Any) -> Iterator[dict[str, Any]]:
        cursor.execute("select set_uid, withdrawn_at from runway_withdrawals")
        done = dict(cursor.fetchall())
        since = datetime.fromisoformat(max(done.values(), default=_BEGINNING)) - OVERLAP
        query = {"partner": self._partner, "sentToOds": "false", "limit": str(PAGE)}
        query["withdrawnAfter"] = since.isoformat()
        yield from (each for each in self._listed(query) if each["uid"] not in done)

    def _listed(self, query: dict[str, str]) -> Iterator[dict[str, Any]]:
        answer = self._api.get(f"{self._api.url}/output-sets", query)
        while True:
            yield from answer.json()
            following = answer.links.get("next", {}).get("url")
            if following is None:
                return
            answer = self._api.get(following)

    def _delete(self, cursor: Any, found: dict[str, Any]) -> None:
        with _transaction(cursor):
            cursor.execute("delete from runway_records where set_uid = ?", (found["uid"],))
            cursor.execute(
                "insert into runway_withdrawals values (?, ?)",
                (found["uid"], found["withdrawnAt"]),
            )

    def _load(self, cursor: Any, found: dict[str, Any]) -> None:
        links = self._api.post(f"{self._api.url}/output-sets/{found['uid']}/download-links")
        with _transaction(cursor):
            records = 0
            if found["supersedes"]:
                cursor.execute(
                    "delete from runway_records where set_uid = ?", (found["supersedes"],)
                )
            for name, link in links.json()["downloadLinks"].items():
                resource = name.removesuffix(".jsonl")
                given = [found["uid"], found["jobUid"], found["tenant"], found["schoolYear"]]
                for batch in _batches(link):
                    cursor.execute(_INSERT, (*given, resource, json.dumps(batch)))
                    records += len(batch)
            cursor.execute(
                "insert into runway_output_sets values (?, ?, ?, ?, ?)",
                (
                    found["uid"],
                    found["createdAt"],
                    datetime.now(UTC).isoformat(),
                    records,
                    found["supersedes"],
                ),
            )

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with self._lock.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


@contextmanager
def _transaction(cursor: Any) -> Iterator[None]:
    cursor.execute("begin")
    try:
        yield
        cursor.execute("commit")
    except BaseException:
        cursor.execute("rollback")
        raise


def _batches(link: str) -> Iterator[list[dict[str, Any]]]:
    """Yield batches of the file's lines with their numbers. Raises if the download breaks off."""
    batch: list[dict[str, Any]] = []
    with requests.get(link, stream=True, timeout=_TIMEOUT) as answer:
        answer.raise_for_status()
        for number, line in enumerate(answer.iter_lines(delimiter=b"\n"), start=1):
            if line.strip():
                batch.append({"line": number, "record": line.decode()})
            if len(batch) == BATCH:
                yield batch
                batch = []
    if batch:
        yield batch


def open_edu(variables: dict[str, str]) -> Any:
    """Connect to the EDU named by ``EDU_SNOWFLAKE_…`` variables."""
    given = {
        name.removeprefix("EDU_SNOWFLAKE_").lower(): value
        for name, value in variables.items()
        if name.startswith("EDU_SNOWFLAKE_") and value
    }
    pem = serialization.load_pem_private_key(b64decode(given.pop("private_key")), None)
    key = pem.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    port = int(given.pop("port"))
    return connect(EduCredentials(private_key=key, port=port, **given))


def main() -> None:
    """Poll repeatedly. EDU comes from EDU_SNOWFLAKE_… variables, the secret from CLIENT_SECRET."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--api", required=True, help="such as http://127.0.0.1:8000/api/v1")
    parser.add_argument("--issuer", required=True)
    parser.add_argument("--client-id", required=True)
    parser.add_argument("--audience", required=True)
    parser.add_argument("--partner", required=True)
    parser.add_argument("--lock", type=Path, required=True)
    parser.add_argument("--pause", type=float, default=5.0, help="seconds between polls")
    options = parser.parse_args()
    api = Api(
        options.api,
        options.issuer,
        options.client_id,
        os.environ["CLIENT_SECRET"],
        options.audience,
    )
    loader = EduLoader(api, options.partner, lambda: open_edu(dict(os.environ)), options.lock)
    while True:
        print(f"loaded {loader.poll()} sets", flush=True)
        time.sleep(options.pause)


if __name__ == "__main__":
    main()
