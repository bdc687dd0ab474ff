"""Runway's API, as methods. See docs/external-api.md for what each call does."""

import hashlib
import logging
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import httpx

from runway_client.errors import Damaged, JobFailed, NotInTime, Refused, Unreachable
from runway_client.types import Job, NewJob, OutputSet, Run

PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds between tries, unless the answer names a time."""
_AGAIN = {429, 502, 503, 504}
_ANSWER_LOST = {502, 504}
"""Of these, those of a proxy that may have passed the request on."""
_GOING_ON = {"queued", "running"}
_LONGEST_PAUSE = 120.0


class _HideLinks(logging.Filter):
    """httpx logs each URL. Whoever has the link to a file can open it, so these are left out."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                each.copy_with(raw_path=b"/...")
                if isinstance(each, httpx.URL) and _is_link(each)
                else each
                for each in record.args
            )
        return True


def _is_link(url: httpx.URL) -> bool:
    return not url.path.startswith("/api/v1/") or url.path.startswith("/api/v1/files/")


logging.getLogger("httpx").addFilter(_HideLinks())


class Runway:
    """A client of one installation, for ``with``. Threads may share it.

    ``auth`` is an access token, or something that gets them, such as ``ClientCredentials``. Every
    method raises ``Refused`` if Runway refuses the request, and ``Unreachable`` if it cannot be
    reached after several tries.
    """

    def __init__(
        self, url: str, auth: str | httpx.Auth, *, transport: httpx.BaseTransport | None = None
    ) -> None:
        headers = {"Accept": "application/json", "User-Agent": "runway-client"}
        if isinstance(auth, str):
            headers["Authorization"] = f"Bearer {auth}"
        timeout = httpx.Timeout(60, connect=10)
        self._api = httpx.Client(
            base_url=f"{url.rstrip('/')}/api/v1/",
            auth=None if isinstance(auth, str) else auth,
            headers=headers,
            timeout=timeout,
            transport=transport,
        )
        # Links to files have their own permission, and the token is none of the storage's business.
        self._storage = httpx.Client(timeout=timeout, transport=transport)

    def __enter__(self) -> "Runway":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._api.close()
        self._storage.close()

    # --- Jobs ---------------------------------------------------------------------------------

    def submit(
        self,
        *,
        partner: str,
        tenant: str,
        bundle: str,
        school_year: int | str,
        files: Mapping[str, Path],
        params: Mapping[str, str] | None = None,
        key: str | None = None,
        preview: bool = False,
    ) -> Job:
        """Create a job, upload its files, and start it.

        ``school_year`` is its end year, such as 2026. With the same ``key`` within a day, the same
        job is meant: a program that was interrupted may call this again.
        """
        made = self.create_job(
            partner=partner,
            tenant=tenant,
            bundle=bundle,
            school_year=school_year,
            files={name: path.name for name, path in files.items()},
            params=params,
            key=key,
        )
        job = self.job(made["uid"])
        if job["status"] != "waiting":
            return job
        for name, path in files.items():
            self.upload(made["uploadUrls"][name], path)
        return self.start(job["uid"], preview=preview)

    def create_job(
        self,
        *,
        partner: str,
        tenant: str,
        bundle: str,
        school_year: int | str,
        files: Mapping[str, str],
        params: Mapping[str, str] | None = None,
        key: str | None = None,
    ) -> NewJob:
        """Create a job that waits for its files; ``files`` are their names."""
        body = {
            "partner": partner,
            "tenant": tenant,
            "bundle": bundle,
            "schoolYear": str(school_year),
            "files": dict(files),
            "params": dict(params or {}),
        }
        headers = {"Idempotency-Key": key or str(uuid.uuid4())}
        return cast(NewJob, self._call("POST", "jobs", json=body, headers=headers))

    def upload(self, url: str, path: Path) -> None:
        """Upload a file to one of a new job's URLs, without reading it into memory."""
        size = {"Content-Length": str(path.stat().st_size)}

        def send() -> httpx.Response:
            with path.open("rb") as content:
                return self._storage.put(url, content=content, headers=size)

        _checked(_with_tries(send))

    def start(self, uid: str, *, preview: bool = False, resend: bool = False) -> Job:
        """Start the job: load, preview, or send refused records again."""
        kinds = {name: True for name, on in (("preview", preview), ("resend", resend)) if on}
        self._call("POST", f"jobs/{uid}/start", json=kinds, once=True)
        return self.job(uid)

    def cancel(self, uid: str) -> Job:
        """End the run that is in progress."""
        self._call("POST", f"jobs/{uid}/cancel", once=True)
        return self.job(uid)

    def job(self, uid: str) -> Job:
        """Return the job with its last run."""
        return cast(Job, self._call("GET", f"jobs/{uid}"))

    def jobs(self, *, partner: str, **filters: str) -> Iterator[Job]:
        """Yield the partner's jobs, the oldest first, from as many pages as there are."""
        return cast(Iterator[Job], self._pages("jobs", {"partner": partner, **filters}))

    def wait(self, uid: str, *, seconds: float = 3600.0, every: float = 5.0) -> Job:
        """Wait until the job's run has ended, and return the job.

        Raises JobFailed if it failed, and NotInTime after ``seconds``.
        """
        end = time.monotonic() + seconds
        while (job := self.job(uid))["status"] in _GOING_ON:
            if time.monotonic() + every > end:
                raise NotInTime(f"Job {uid} is still {job['status']}.")
            time.sleep(every)
        run = job.get("run")
        if job["status"] == "error":
            errors = run.get("errors", []) if run else []
            codes = ", ".join(str(error.get("code")) for error in errors)
            raise JobFailed(f"Job {uid} failed: {codes or 'see its page'}.", job)
        return job

    def open_rows(self, uid: str, target: Path) -> Path:
        """Store the rows that are still open as CSV. The scope read:jobs:students is needed."""
        return self._download(self._api, f"jobs/{uid}/open-rows.csv", target)

    # --- Results ------------------------------------------------------------------------------

    def runs(self, *, partner: str, **filters: str) -> Iterator[Run]:
        """Yield the runs that have ended, the earliest first."""
        return cast(Iterator[Run], self._pages("runs", {"partner": partner, **filters}))

    def output_sets(self, *, partner: str, **filters: str) -> Iterator[OutputSet]:
        """Yield the output sets, the oldest first; ``sentToOds="false"`` for those to load."""
        query = {"partner": partner, "limit": "500", **filters}
        return cast(Iterator[OutputSet], self._pages("output-sets", query))

    def download(self, output_set: OutputSet, folder: Path) -> list[Path]:
        """Store the set's files in ``folder``, which is made if need be.

        Raises Damaged if a file is not the one that the set names by its SHA-256.
        """
        answer = self._call("POST", f"output-sets/{output_set['uid']}/download-links")
        hashes = output_set.get("sha256") or {}
        folder.mkdir(parents=True, exist_ok=True)
        stored = []
        for name, link in sorted(answer["downloadLinks"].items()):
            target = folder / Path(name).name
            stored.append(self._download(self._storage, link, target, hashes.get(name)))
        return stored

    # --- Requests -----------------------------------------------------------------------------

    def _call(self, method: str, path: str, *, once: bool = False, **options: Any) -> Any:
        """``once``: a request that may have arrived is not sent again."""
        response = _checked(
            _with_tries(lambda: self._api.request(method, path, **options), once=once)
        )
        return response.json() if response.content else None

    def _pages(self, path: str, query: Mapping[str, str]) -> Iterator[Any]:
        url: str | None = str(httpx.URL(path, params=dict(query)))
        while url:
            at = url
            response = _checked(_with_tries(lambda at=at: self._api.get(at)))
            yield from response.json()
            url = response.links.get("next", {}).get("url")

    def _download(
        self, client: httpx.Client, url: str, target: Path, sha256: str | None = None
    ) -> Path:
        partial = target.with_name(f"{target.name}.partial")

        def fetch() -> httpx.Response:
            found = hashlib.sha256()
            with client.stream("GET", url) as response, partial.open("wb") as file:
                if not response.is_success:
                    response.read()
                    return response
                for chunk in response.iter_bytes():
                    found.update(chunk)
                    file.write(chunk)
            if sha256 and found.hexdigest() != sha256:
                raise Damaged(f"{target.name} is not the file that Runway has: download it again.")
            partial.replace(target)
            return response

        try:
            _checked(_with_tries(fetch))
        finally:
            partial.unlink(missing_ok=True)
        return target


def _with_tries(send: Any, *, once: bool = False) -> httpx.Response:
    """Return the answer to ``send()``, which is called again while that may help."""
    failure: httpx.TransportError
    for pause in (*PAUSES, None):
        try:
            response: httpx.Response = send()
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            failure = error
        except httpx.TransportError as error:
            if once:
                raise Unreachable(
                    f"The answer was lost ({type(error).__name__}): look whether it was done."
                ) from None
            failure = error
        else:
            if once and response.status_code in _ANSWER_LOST:
                raise Unreachable(
                    f"The answer was lost (status {response.status_code}): look whether it was "
                    "done."
                )
            if response.status_code not in _AGAIN or pause is None:
                return response
            named = response.headers.get("Retry-After", "")
            time.sleep(min(float(named) if named.isdecimal() else pause, _LONGEST_PAUSE))
            continue
        if pause is None:
            raise Unreachable(f"No answer, in several tries ({type(failure).__name__}).") from None
        time.sleep(pause)
    raise AssertionError  # the last try returns or raises


def _checked(response: httpx.Response) -> httpx.Response:
    """Return a good answer. Raises Refused for any other."""
    if response.is_success:
        return response
    try:
        body = response.json()
    except ValueError:
        body = {}
    body = body if isinstance(body, dict) else {}
    message = body.get("message") or body.get("detail") or response.reason_phrase
    message = "; ".join(map(str, message)) if isinstance(message, list) else str(message)
    fields = {
        name: value
        for name, value in body.items()
        if name not in ("message", "detail", "statusCode")
    }
    raise Refused(response.status_code, message, fields)
