"""The process behind ``SandboxEdu``: fakesnow's HTTP server, seeded, with a check of the login.

It ends when its standard input does, so that nothing is left behind however its parent ends.
"""

import argparse
import asyncio
import gzip
import json
import math
import os
import threading
import time
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import jwt
import pyarrow
import uvicorn
from fakesnow.server import app, sessions, shared_fs, to_token
from starlette.requests import Request
from starlette.responses import JSONResponse

from runway.sandbox.edu import (
    ACCOUNT,
    DATABASE,
    ROLE,
    SCHEMA,
    USER,
    WAREHOUSE,
    Association,
    Code,
    Name,
    Seed,
    associations,
    codes,
    names,
)

IDLE_LIMIT = 1.0
"""Seconds after which an idle transaction that blocks another is ended: minutes in Snowflake."""


def serve(
    port: int,
    public_key: bytes,
    rows: Seed,
) -> None:
    """Seed fakesnow and serve it on 127.0.0.1 until the process is ended."""
    _create_tables(shared_fs.connect(DATABASE, SCHEMA), rows)
    guarded = LoginCheck(AbandonedTransactions(app), public_key)

    class Server(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets=sockets)
            print("ready", self.servers[0].sockets[0].getsockname()[1], flush=True)

    Server(uvicorn.Config(guarded, host="127.0.0.1", port=port, log_level="warning")).run()


def _create_tables(connection: Any, rows: Seed) -> None:
    """Create the tables with their rows, in the connection's schema."""
    cursor = connection.cursor()
    cursor.execute(
        "create table stg_ef3__student_education_organization_associations ("
        "tenant_code varchar, api_year int, k_student varchar, k_student_xyear varchar, "
        "student_unique_id varchar, ed_org_id number(38, 0))"
    )
    cursor.execute(
        "create table stg_ef3__stu_ed_org__identification_codes ("
        "k_student varchar, id_system varchar, id_code varchar)"
    )
    if len(rows) > 2:
        cursor.execute(
            "create table stg_ef3__students ("
            "tenant_code varchar, api_year int, k_student varchar, first_name varchar, "
            "middle_name varchar, last_name varchar, birth_date date)"
        )
    duck = connection._duck_conn
    # fakesnow limits whole numbers to 64 bits; Snowflake's have 38 digits.
    duck.execute(
        "alter table stg_ef3__student_education_organization_associations "
        "alter ed_org_id set data type decimal(38, 0)"
    )
    # Functions of Snowflake that fakesnow lacks.
    duck.execute(f"create macro current_warehouse() as '{WAREHOUSE}'")
    duck.execute(f"create macro current_role() as '{ROLE}'")
    tables = (
        ("stg_ef3__student_education_organization_associations", Association._fields),
        ("stg_ef3__stu_ed_org__identification_codes", Code._fields),
        ("stg_ef3__students", Name._fields),
    )
    for (table, fields), given in zip(tables, rows, strict=False):
        columns = list(zip(*given, strict=True)) or [()] * len(fields)
        # DuckDB finds this by its name. Inserting row by row would take minutes.
        arrow = pyarrow.table(
            {
                name: pyarrow.array([None if v is None else str(v) for v in column], "string")
                for name, column in zip(fields, columns, strict=True)
            }
        )
        duck.register("seed_rows", arrow)
        duck.execute(f"insert into {table} select * from seed_rows")  # noqa: S608
        duck.unregister("seed_rows")


class LoginCheck:
    """ASGI middleware: requires a login's JWT to be signed with the known key, as Snowflake does.

    fakesnow accepts any login, so without this a wrong key would seem right.
    """

    def __init__(self, app: Any, public_key: bytes) -> None:
        self._app = app
        self._public_key = public_key

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"] != "/session/v1/login-request":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        body = await request.body()
        if self._accepts(body, request.headers.get("content-encoding")):
            await self._app(scope, _again(body), send)
            return
        refused = {"data": {}, "code": "390144", "message": "JWT token is invalid."}
        await JSONResponse({**refused, "success": False})(scope, receive, send)

    def _accepts(self, body: bytes, encoding: str | None) -> bool:
        data = _read_json(body, encoding)["data"]
        try:
            claims = jwt.decode(data.get("TOKEN") or "", self._public_key, algorithms=["RS256"])
        except jwt.PyJWTError:
            return False
        return bool(claims["sub"] == f"{ACCOUNT}.{USER}".upper())


class AbandonedTransactions:
    """ASGI middleware: a transaction waits for the one before, and ends it if it is idle.

    So does Snowflake if both write the same rows. fakesnow would keep the transaction of a client
    that was killed, and fail those that conflict with it.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self._idle_since: dict[str, float] = {}
        """Of the sessions with an open transaction; infinity while a statement runs."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"] != "/queries/v1/query-request":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        body, session = await request.body(), to_token(request)
        statement = _read_json(body, request.headers.get("content-encoding"))["sqlText"]
        if statement == "begin":
            await self._end_others(session)
        if statement == "begin" or session in self._idle_since:
            self._idle_since[session] = math.inf
        await self._app(scope, _again(body), send)
        if statement in ("commit", "rollback"):
            self._idle_since.pop(session, None)
        elif session in self._idle_since:
            self._idle_since[session] = time.monotonic()

    async def _end_others(self, session: str) -> None:
        while others := self._idle_since.keys() - {session}:
            for other in others:
                if time.monotonic() - self._idle_since[other] > IDLE_LIMIT:
                    del self._idle_since[other]
                    if ended := sessions.pop(other, None):
                        ended.close()
            await asyncio.sleep(0.02)


def _again(body: bytes) -> Callable[[], Awaitable[dict[str, Any]]]:
    """Return what an ASGI app receives a body with that was read already."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


def _read_json(body: bytes, encoding: str | None) -> Any:
    return json.loads(gzip.decompress(body) if encoding == "gzip" else body)


def _end_with_stdin() -> None:
    """End this process when its parent is gone or has closed our standard input."""

    def wait() -> None:
        while os.read(0, 1):
            pass
        os._exit(0)

    threading.Thread(target=wait, name="end-with-stdin", daemon=True).start()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 picks a free one")
    parser.add_argument("--public-key", type=Path, required=True, help="PEM")
    parser.add_argument("--seed", type=Path, help="JSON: [associations, codes, names]")
    options = parser.parse_args()
    _end_with_stdin()
    try:
        rows: Any = (associations(), codes(), names())
        if options.seed:
            given = json.loads(options.seed.read_text())
            kinds = (Association, Code, Name)
            rows = tuple(
                [kind(*row) for row in some] for kind, some in zip(kinds, given, strict=False)
            )
        serve(options.port, options.public_key.read_bytes(), rows)
    except BaseException:  # noqa: BLE001  (told here, and then the process ends)
        traceback.print_exc()
        # At an ordinary exit, DuckDB would print pages about itself after the reason.
        os._exit(1)


if __name__ == "__main__":
    main()
