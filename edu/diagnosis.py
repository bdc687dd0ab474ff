"""Diagnose the connection between Runway and a partner's EDU, step by step.

Each step depends on the previous one, so the first failure is the last step. Findings contain
counts, tenants' codes, and names of ID types, but no secret values and no student data.
"""

import base64
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256, Hash
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
)

from edu import remedies
from edu.connect import connect, query_failure
from edu.credentials import EduCredentials, Given, find, parse
from edu.errors import EduError
from edu.roster import ROSTER_SQL

TABLES = {
    "stg_ef3__student_education_organization_associations": (
        "tenant_code, api_year, k_student, k_student_xyear, student_unique_id, ed_org_id"
    ),
    "stg_ef3__stu_ed_org__identification_codes": "k_student, id_system, id_code",
}
"""What the roster's query reads."""
NAMES_TABLE = "stg_ef3__students"
NAMES_COLUMNS = "tenant_code, api_year, k_student, first_name, middle_name, last_name, birth_date"
"""What the roster with names reads as well."""

LEAST_KEY_BITS = 2048
"""Snowflake's own minimum."""
SAMPLE = 100
"""How many lines of the roster to check."""

_TENANTS_SQL = """
select tenant_code, min(api_year), max(api_year)
from stg_ef3__student_education_organization_associations
where tenant_code is not null and api_year is not null
group by tenant_code
order by tenant_code
"""
# The rows that ROSTER_SQL would return for each tenant, counted for all of them in one query.
_ROWS_SQL = """
with newest as (
    select tenant_code, k_student, student_unique_id, ed_org_id
    from stg_ef3__student_education_organization_associations
    qualify max(api_year) over (partition by tenant_code, k_student_xyear) = api_year
),
students as (
    select distinct tenant_code, k_student, student_unique_id, ed_org_id
    from newest
)
select tenant_code, count(*) from students group by tenant_code order by tenant_code
"""


@dataclass(frozen=True)
class Step:
    """One step and its result."""

    title: str
    ok: bool
    finding: str
    """A sentence: what was found, or what is wrong."""
    details: Sequence[str] = ()
    remedy: str = ""
    """If it failed: the likely cause and what to do."""
    may_pass_later: bool = False
    """If it failed: whether it may pass without any change."""
    seconds: float = 0.0


class _Failed(Exception):
    def __init__(self, finding: str, remedy: str, *, may_pass_later: bool = False) -> None:
        super().__init__(finding)
        self.finding = finding
        self.remedy = remedy
        self.may_pass_later = may_pass_later


_Found = str | tuple[str, Sequence[str]]


class _Check:
    """The steps of one check, and what earlier steps pass to later ones."""

    def __init__(self, partner_id: str, tenants: Sequence[str]) -> None:
        self._partner_id = partner_id
        self._asked = tenants
        self._given: Given
        self._credentials: EduCredentials
        self._connection: Any = None
        self._tenants: list[str] = []

    def close(self) -> None:
        if self._connection is not None:
            with suppress(Exception):
                self._connection.close()

    def find_credentials(self) -> _Found:
        self._given = given = find(self._partner_id)
        if given.values is None:
            raise _Failed(f"Nothing is stored: {given.source}.", remedies.store(given.source))
        if given.missing:
            missing = ", ".join(given.missing)
            raise _Failed(
                f"{given.source}: there is no {missing}.", f"Add to {given.source}: {missing}."
            )
        return f"{given.source}: complete."

    def read_key(self) -> _Found:
        self._credentials = parse(self._partner_id, self._given)
        key = load_der_private_key(self._credentials.private_key, None)
        if not isinstance(key, RSAPrivateKey):
            raise _Failed("The private key is not an RSA key.", remedies.NEW_KEY)
        if key.key_size < LEAST_KEY_BITS:
            raise _Failed(
                f"The private key has {key.key_size} bits, and Snowflake wants {LEAST_KEY_BITS}.",
                remedies.NEW_KEY,
            )
        return f"RSA, {key.key_size} bits; its public key is {_fingerprint(key)}."

    def connect(self) -> _Found:
        self._connection = connect(self._credentials)
        return "Logged in."

    def look_at_session(self) -> _Found:
        names = ("database", "schema", "warehouse", "role")
        try:
            [row] = self._query(
                "select current_database(), current_schema(), current_warehouse(), current_role()"
            )
        except _Failed as failed:
            wanted = f"database {self._credentials.database!r}, schema {self._credentials.schema!r}"
            failed.finding = f"The session does not work ({wanted}). {failed.finding}"
            if not failed.may_pass_later:
                context = f"{remedies.CONTEXT['database']} {remedies.CONTEXT['schema']}"
                failed.remedy = f"{context} {failed.remedy}"
            raise
        for name, actual in zip(names, row, strict=True):
            wanted = getattr(self._credentials, name)
            if actual is None:
                given = f"{wanted!r} of the credentials" if wanted else "the user's default"
                raise _Failed(
                    f"The session has no {name}: {given} does not exist, or may not be used.",
                    remedies.CONTEXT[name],
                )
            if wanted and wanted.strip('"').upper() != actual.upper():
                raise _Failed(
                    f"The {name} is {actual!r}, not {wanted!r} as the credentials say.",
                    remedies.CONTEXT[name],
                )
        return ", ".join(f"{name} {value}" for name, value in zip(names, row, strict=True)) + "."

    def look_at_tables(self) -> _Found:
        for table, columns in TABLES.items():
            try:
                self._query(f"select {columns} from {table} limit 0")  # noqa: S608  (ours alone)
            except _Failed as failed:
                failed.finding = f"{table} cannot be read. {failed.finding}"
                raise
        return "Both tables can be read.", list(TABLES)

    def look_at_names(self) -> _Found:
        """Tell whether names can be had. Only identity checks need them, so it never fails."""
        try:
            self._query(f"select {NAMES_COLUMNS} from {NAMES_TABLE} limit 0")  # noqa: S608  (ours)
        except _Failed as failed:
            return (
                f"{NAMES_TABLE} cannot be read, which only identity checks need.",
                [failed.finding, failed.remedy],
            )
        return f"{NAMES_TABLE} can be read, for identity checks."

    def count_tenants(self) -> _Found:
        rows = self._query(_TENANTS_SQL)
        if not rows:
            raise _Failed("EDU holds no students at all.", remedies.EMPTY)
        self._tenants = [str(row[0]) for row in rows]
        unknown = [code for code in self._asked if code not in self._tenants]
        if unknown:
            known = ", ".join(self._tenants[:20]) + ("" if len(rows) <= 20 else ", …")
            raise _Failed(
                f"EDU holds no students of tenant {', '.join(unknown)}.",
                f"A tenant's code must be EDU's tenant_code, letter for letter. EDU has: {known}.",
            )
        years = f"{min(row[1] for row in rows)} to {max(row[2] for row in rows)}"
        return (
            f"{len(rows)} tenants, school years ending {years}.",
            [f"{tenant}: {first} to {last}" for tenant, first, last in rows],
        )

    def look_at_sample(self) -> _Found:
        tenant = (self._asked or self._tenants)[0]
        rows = self._query(f"{ROSTER_SQL} limit {SAMPLE}", (tenant,))
        return f"{len(rows)} lines of {tenant} have the roster's shape.", _shape(rows)

    def count_rows(self) -> _Found:
        rows = [(str(tenant), count) for tenant, count in self._query(_ROWS_SQL)]
        asked = [row for row in rows if not self._asked or row[0] in self._asked]
        return (
            f"{sum(count for _, count in asked):,} lines of all rosters.",
            [f"{tenant}: {count:,}" for tenant, count in asked],
        )

    def _query(self, sql: str, parameters: tuple[str, ...] | None = None) -> list[Any]:
        try:
            with self._connection.cursor() as cursor:
                return list(cursor.execute(sql, parameters).fetchall())
        except Exception as error:  # noqa: BLE001  (the library raises more than its own errors)
            number = getattr(error, "errno", None)
            failure = query_failure(error)
        # Raised outside the handler, since Snowflake's text may quote data.
        finding, remedy = remedies.of_query(number)
        raise _Failed(finding or failure.message, remedy, may_pass_later=failure.status == 503)


_LOGIN: list[tuple[str, Callable[[_Check], _Found]]] = [
    ("Credentials", _Check.find_credentials),
    ("Private key", _Check.read_key),
    ("Connection", _Check.connect),
    ("Session", _Check.look_at_session),
]
_DATA: list[tuple[str, Callable[[_Check], _Found]]] = [
    ("Tables", _Check.look_at_tables),
    ("Names", _Check.look_at_names),
    ("Tenants", _Check.count_tenants),
    ("Sample", _Check.look_at_sample),
    ("Rows", _Check.count_rows),
]


def check_credentials(partner_id: str) -> Iterator[Step]:
    """Check that usable credentials are stored, without contacting EDU. Calls AWS."""
    return _run(_LOGIN[:2], partner_id)


def check_login(partner_id: str) -> Iterator[Step]:
    """Check that EDU can be reached with the current credentials. Takes up to about two minutes."""
    return _run(_LOGIN, partner_id)


def check_connection(partner_id: str) -> Iterator[Step]:
    """Check the login, and that the tables can be read, without reading them."""
    return _run(_LOGIN + _DATA[:2], partner_id)


def check_everything(partner_id: str, tenants: Sequence[str] = ()) -> Iterator[Step]:
    """Check everything, step by step; with ``tenants``, also that EDU has students of each.

    Its queries count whole tables: seconds of a warehouse, or perhaps a minute for a state.
    """
    return _run(_LOGIN + _DATA, partner_id, tenants)


def _run(
    steps: Sequence[tuple[str, Callable[[_Check], _Found]]],
    partner_id: str,
    tenants: Sequence[str] = (),
) -> Iterator[Step]:
    check = _Check(partner_id, tenants)
    try:
        for title, step in steps:
            started = time.monotonic()
            try:
                found = step(check)
            except _Failed as failed:
                done = Step(title, False, failed.finding, (), failed.remedy, failed.may_pass_later)
            except EduError as error:
                later = error.status == 503
                done = Step(title, False, error.message, (), remedies.of(error), later)
            else:
                finding, details = (found, ()) if isinstance(found, str) else found
                done = Step(title, True, finding, details)
            yield Step(**{**vars(done), "seconds": time.monotonic() - started})
            if not done.ok:
                return
    finally:
        check.close()


def _fingerprint(key: RSAPrivateKey) -> str:
    """Return the fingerprint as Snowflake's ``DESC USER`` shows it in RSA_PUBLIC_KEY_FP."""
    digest = Hash(SHA256())
    digest.update(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    return "SHA256:" + base64.b64encode(digest.finalize()).decode()


def _shape(rows: Sequence[Any]) -> list[str]:
    """Return what the sample's lines hold, by type and number. Raises _Failed for invalid lines."""
    types: set[str] = set()
    with_id = with_codes = 0
    numbers: set[str] = set()
    try:
        for (text,) in rows:
            line = json.loads(text)
            unique_id = line["studentReference"]["studentUniqueId"]
            codes = line["studentIdentificationCodes"]
            with_id += bool(unique_id)
            with_codes += bool(codes)
            types |= {str(code["studentIdentificationSystemDescriptor"]) for code in codes}
            organization = line["educationOrganizationReference"]["educationOrganizationId"]
            numbers.add("none" if organization is None else "a number")
    except (ValueError, KeyError, TypeError):
        lines = None
    else:
        lines = [
            f"studentUniqueId: in {with_id} of {len(rows)} lines",
            f"identification codes: in {with_codes} of {len(rows)} lines",
            f"id types: {', '.join(sorted(types)) or 'none'}",
            f"educationOrganizationId: {', '.join(sorted(numbers)) or 'none'}",
        ]
    if lines is None:
        raise _Failed("Lines of the roster have another shape than they should.", remedies.SHAPE)
    return lines
