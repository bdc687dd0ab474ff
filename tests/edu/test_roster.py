import json
import logging
import random
import string
import subprocess
import sys
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edu.connect import answers, connect, query_failure
from edu.errors import (
    ConnectFailed,
    ConnectionLost,
    NamesUnavailable,
    QueryFailed,
    RosterIncomplete,
    RosterInvalid,
    StreamCut,
)
from edu.pools import Pools
from edu.roster import ROSTER_SQL, open_roster_stream
from runway.sandbox.chunked_snowflake import lines_table
from runway.sandbox.edu import Association, Code, Name, SandboxEdu
from runway.sandbox.population import OTHER_TENANT, TENANT, UNKNOWN, students
from tests.edu.conftest import sandbox_credentials
from tests.edu.test_pool import wait_until

pytestmark = pytest.mark.slow


class Client:
    """Opens rosters and knows what became of the connections."""

    def __init__(self, credentials):
        self.opened = []
        self.pools = Pools(lambda partner: credentials, self._connect, max_size=4)

    def _connect(self, credentials):
        connection = connect(credentials)
        self.opened.append(connection)
        return connection

    def open(self, tenant=TENANT, **options):
        return open_roster_stream(
            self.pools,
            partner_id="ea",
            generation=0,
            tenant_code=tenant,
            label="7",
            answers=answers,
            failure=query_failure,
            **options,
        )

    def read(self, tenant=TENANT):
        return b"".join(self.open(tenant))

    @property
    def counts(self):
        """Connections (in use, idle)."""
        stats = self.pools.stats()
        return (stats[0].in_use, stats[0].idle) if stats else (0, 0)


@pytest.fixture
def sandbox(sandbox_edu, monkeypatch):
    monkeypatch.setattr("edu.connect.ANSWER_TIMEOUT", 60)  # logins are counted
    client = Client(sandbox_credentials(sandbox_edu))
    yield client
    client.pools.shutdown()


@pytest.fixture
def client(snowflake_credentials, monkeypatch):
    monkeypatch.setattr("edu.connect.ANSWER_TIMEOUT", 60)  # logins are counted
    client = Client(snowflake_credentials)
    yield client
    client.pools.shutdown()


def batches(number=5, rows=100):
    """That many batches of distinct lines."""
    return [
        lines_table([f'{{"student":{batch * rows + row}}}\n' for row in range(rows)])
        for batch in range(number)
    ]


def text_of(tables):
    return "".join(line for table in tables for line in table.column(0).to_pylist()).encode()


def test_pools_and_stream_need_no_django():
    program = "import sys, edu.roster; assert 'django' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


# --- The query, on a real engine ------------------------------------------------------------


def test_a_line_has_the_shape_that_the_ods_gives(sandbox):
    lines = sandbox.read().splitlines()
    first = min(students(), key=lambda student: student.unique_id)
    [line] = [line for line in lines if f'"{first.unique_id}"'.encode() in line]
    parsed = json.loads(line)
    parsed["studentIdentificationCodes"].sort(key=str)
    assert parsed == {
        "educationOrganizationReference": {
            "educationOrganizationId": first.ed_org_id,
            "link": {"rel": "LocalEducationAgency"},
        },
        "studentReference": {"studentUniqueId": first.unique_id},
        "studentIdentificationCodes": [
            {
                "studentIdentificationSystemDescriptor": "Local",
                "identificationCode": first.local_id,
            },
            {
                "studentIdentificationSystemDescriptor": "State",
                "identificationCode": first.state_id,
            },
        ],
    }


@pytest.mark.parametrize("tenant", [TENANT, OTHER_TENANT])
def test_every_student_of_the_tenant_and_nobody_else_is_there_once(sandbox, tenant):
    ids = [
        json.loads(line)["studentReference"]["studentUniqueId"]
        for line in sandbox.read(tenant).splitlines()
    ]
    expected = [s.unique_id for s in students() if s.tenant == tenant and s.group != UNKNOWN]
    assert sorted(ids) == sorted(expected)


@pytest.mark.parametrize("tenant", ["", "nobody", "x' or '1'='1", "%", "grand:bend", "Ünïcode"])
def test_a_tenant_without_students_has_an_empty_roster(sandbox, tenant):
    assert sandbox.read(tenant) == b""


HOSTILE = [
    'quo"te',
    "back\\slash",
    "line\u2028sep\u2029",
    "Ñandú",
    "😀",
    "tab\tnew\nline",
    "",
    None,
]
BIG = 10**37 + 7


TENANTS = ["north", "o'south:%", 'quo"te', "_%", ":1 ? %s", "back\\\\slash", "Ünïcode\u2028😀"]
"""The codes of tenants with the same ids."""


def hostile_rows(seed):
    """Students, years and codes that try to break the query."""
    rng = random.Random(seed)
    associations, codes = [], []
    texts = [*HOSTILE, "0012", "1e5", "007.0", str(BIG)]
    for tenant in TENANTS:
        for number in range(40):
            unique_id = rng.choice([*texts, "".join(rng.choices(string.printable, k=8))])
            years = rng.sample(range(2020, 2027), rng.randint(1, 5))
            for year in years:
                k_student = f"{tenant}/{number}/{year}"
                for org in rng.sample([1, 255901, BIG, None], rng.randint(1, 2)):
                    row = Association(tenant, year, k_student, str(number), unique_id, org)
                    associations += [row] * rng.randint(1, 2)
                for _ in range(rng.randint(0, 4)):
                    code = Code(k_student, rng.choice(["State", "Local", None, 'o"dd']), None)
                    code = code._replace(id_code=rng.choice(texts))
                    codes += [code] * rng.randint(1, 2)
    rng.shuffle(associations)
    rng.shuffle(codes)
    return associations, codes


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=6)
students_of_a_tenant = st.lists(
    st.tuples(
        st.integers(0, 3),  # k_student_xyear, the same ones in all tenants
        st.sets(st.integers(2020, 2026), min_size=1, max_size=5),
        st.none() | texts,
        st.lists(st.none() | st.integers(-(10**37), 10**38 - 1), min_size=1, max_size=2),
        st.lists(st.tuples(st.none() | texts, st.none() | texts), max_size=3),
    ),
    max_size=6,
)


@st.composite
def rosters(draw):
    """Any rows of two or three tenants."""
    associations, codes = [], []
    for tenant in draw(st.lists(texts.filter(bool), min_size=2, max_size=3, unique=True)):
        for xyear, years, unique_id, orgs, ids in draw(students_of_a_tenant):
            for year in years:
                k_student = f"{tenant}/{xyear}/{year}"
                associations += [
                    Association(tenant, year, k_student, str(xyear), unique_id, org) for org in orgs
                ]
                codes += [Code(k_student, system, code) for system, code in ids]
    return associations, codes


def reference(associations, codes, tenant):
    """The same told naively: what the roster of a tenant must say, line by line."""
    newest: dict[tuple[str, str], int] = {}
    for row in associations:
        key = (row.tenant_code, row.k_student_xyear)
        newest[key] = max(newest.get(key, 0), row.api_year)
    kept = {
        (row.k_student, row.student_unique_id, row.ed_org_id)
        for row in associations
        if row.tenant_code == tenant
        and row.api_year == newest[row.tenant_code, row.k_student_xyear]
    }
    return sorted(
        json.dumps(
            [
                org,
                unique_id,
                sorted(
                    json.dumps([system, code])
                    for k, system, code in set(codes)
                    if k == k_student and code is not None
                ),
            ]
        )
        for k_student, unique_id, org in kept
    )


def told(body):
    """The roster in the same terms as ``reference``."""
    lines = []
    for line in body.decode().split("\n")[:-1]:
        parsed = json.loads(line)
        lines.append(
            json.dumps(
                [
                    parsed["educationOrganizationReference"]["educationOrganizationId"],
                    parsed["studentReference"]["studentUniqueId"],
                    sorted(
                        json.dumps(
                            [
                                code["studentIdentificationSystemDescriptor"],
                                code["identificationCode"],
                            ]
                        )
                        for code in parsed["studentIdentificationCodes"]
                    ),
                ]
            )
        )
    return sorted(lines)


def equals_the_reference(rows, tenants):
    associations, codes = rows
    with SandboxEdu(seed=(associations, codes)) as edu:
        client = Client(sandbox_credentials(edu))
        for tenant in tenants:
            assert told(client.read(tenant)) == reference(associations, codes, tenant), tenant
        client.pools.shutdown()


def test_hostile_rosters_equal_an_independent_telling():
    equals_the_reference(hostile_rows(1), TENANTS)


@pytest.mark.slow
@settings(max_examples=6, derandomize=True)
@given(rows=rosters())
def test_any_roster_equals_an_independent_telling(rows):
    equals_the_reference(rows, {association.tenant_code for association in rows[0]})


# --- With names ---------------------------------------------------------------------------


def test_with_names_the_lines_are_the_same_with_a_student_added(sandbox):
    def by_student(lines):
        return sorted(
            (json.loads(line) for line in lines.splitlines()),
            key=lambda line: (line["studentReference"]["studentUniqueId"], str(line)),
        )

    plain = by_student(sandbox.read())
    named = by_student(b"".join(sandbox.open(with_names=True)))
    known = {student.unique_id: student for student in students()}
    for line in (*plain, *named):
        line["studentIdentificationCodes"].sort(key=str)
        student = line.pop("student", None)
        if student is not None:
            who = known[line["studentReference"]["studentUniqueId"]]
            assert student == {
                "firstName": who.first_name,
                "middleName": None,
                "lastSurname": who.last_name,
                "birthDate": who.birth_date.isoformat(),
            }
            line["named"] = True
    assert all(line.pop("named") for line in named)
    assert named == plain


def test_names_are_those_of_the_newest_year_and_nobody_is_lost_or_doubled_for_them():
    associations = [
        Association("t", 2025, "k1-2025", "k1", "1", 7),
        Association("t", 2026, "k1-2026", "k1", "1", 7),
        Association("t", 2026, "k2-2026", "k2", "2", 7),
        Association("u", 2026, "k3-2026", "k3", "3", 7),
    ]
    names = [
        Name("t", 2025, "k1-2025", "Old", None, "Name", "2014-03-05"),
        Name("t", 2026, "k1-2026", "New", "M.", "Name", None),
        Name("t", 2026, "k1-2026", "New", "M.", "Name", None),
        Name("u", 2026, "k2-2026", "Not", None, "Theirs", None),
    ]
    with SandboxEdu(seed=(associations, [], names)) as edu:
        client = Client(sandbox_credentials(edu))
        lines = b"".join(client.open("t", with_names=True)).splitlines()
        client.pools.shutdown()
    told = {
        line["studentReference"]["studentUniqueId"]: list(line["student"].values())
        for line in map(json.loads, lines)
    }
    assert len(lines) == 2
    assert told == {"1": ["New", "M.", "Name", None], "2": [None] * 4}


def test_an_edu_without_names_refuses_them_and_gives_the_rest():
    association = Association("t", 2026, "k1-2026", "k1", "1", 7)
    with SandboxEdu(seed=([association], [])) as edu:
        client = Client(sandbox_credentials(edu))
        with pytest.raises(NamesUnavailable):
            client.open("t", with_names=True)
        assert len(client.read("t").splitlines()) == 1
        client.pools.shutdown()


def test_without_names_nothing_is_read_that_was_not_read_before():
    assert "stg_ef3__students" not in ROSTER_SQL
    assert ROSTER_SQL.count("?") == 1


# --- Batches, complete and not --------------------------------------------------------------


def test_all_batches_arrive_and_the_connection_is_used_again(snowflake, client):
    snowflake.tables = batches()
    assert client.read() == text_of(snowflake.tables)
    assert client.read() == text_of(snowflake.tables)
    assert snowflake.logins == 1
    assert client.counts == (0, 1)


def test_an_empty_roster_is_complete(snowflake, client):
    assert client.read() == b""
    assert client.counts == (0, 1)


def test_the_first_batch_has_arrived_before_the_stream_is_handed_over(snowflake, client):
    snowflake.tables = batches(1)
    stream = client.open()
    snowflake.on_query = lambda request: request.reset()
    assert b"".join(stream) == text_of(snowflake.tables)


def test_one_line_in_the_log_tells_the_end(snowflake, client, caplog):
    snowflake.tables = batches()
    size = len(text_of(snowflake.tables))
    with caplog.at_level(logging.INFO, logger="edu.roster"):
        client.read()
    told = [record.getMessage() for record in caplog.records if record.name == "edu.roster"]
    [line] = [line for line in told if "run 7" in line]
    assert line.startswith(f"EDU roster complete: partner ea, run 7, 500 rows, {size} bytes, ")


def cut(stream):
    """Read until the stream breaks off; what had arrived by then."""
    arrived = []
    with pytest.raises(StreamCut) as failure:
        arrived.extend(stream)
    assert failure.value.__context__ is None, "the library's error would reach the log"
    with pytest.raises(StreamCut):
        next(stream)
    return b"".join(arrived)


def lost_chunk(snowflake):
    snowflake.total = 501


def extra_rows(snowflake):
    snowflake.total = 350


def damaged_chunk(snowflake):
    def damage(request, number):
        return number == 3 and (request.send(b"garbage") or True)

    snowflake.on_chunk = damage


def null_line(snowflake):
    snowflake.tables[3] = lines_table(["a\n", None])


def missing_chunk(snowflake):
    def refuse(request, number):
        return number == 3 and (request.send_error(403) or True)

    snowflake.on_chunk = refuse


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (lost_chunk, "edu_roster_incomplete"),
        (extra_rows, "edu_roster_incomplete"),
        (damaged_chunk, "edu_roster_incomplete"),
        (null_line, "edu_roster_invalid"),
        (missing_chunk, "edu_connection_lost"),
    ],
)
def test_a_fault_after_the_first_byte_cuts_the_stream(
    snowflake, client, caplog, monkeypatch, fault, code
):
    monkeypatch.setattr("edu.connect.LONGEST_PAUSE", 0)
    snowflake.tables = batches()
    whole = text_of(snowflake.tables)
    fault(snowflake)
    ended = []
    arrived = cut(client.open(on_end=lambda: ended.append(1)))
    assert whole.startswith(arrived)
    assert f"EDU roster {code}: partner ea, run 7" in caplog.text
    assert ended == [1]
    assert client.counts == (0, 0)


def test_a_connection_that_failed_is_closed_and_the_next_request_works(snowflake, client):
    snowflake.tables = batches()
    snowflake.total = 501
    cut(client.open())
    wait_until(lambda: not snowflake.sessions)
    snowflake.total = None
    assert client.read() == text_of(snowflake.tables)
    assert snowflake.logins == 2


def test_a_chunk_that_is_reset_once_is_fetched_again(snowflake, client):
    snowflake.tables = batches(3)
    resets = [1]
    snowflake.on_chunk = lambda request, number: resets and resets.pop() and request.reset()
    assert client.read() == text_of(snowflake.tables)


# --- Faults before the first byte -----------------------------------------------------------


def refused_query(snowflake):
    refusal = "SQL compilation error: Object 'STG_X' does not exist or not authorized."
    snowflake.on_query = lambda request: request.refuse("002003", refusal) or True


def short_first_batch(snowflake):
    snowflake.tables = batches(1)
    snowflake.total = 99


def null_in_first_batch(snowflake):
    snowflake.tables = [lines_table([None])]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (refused_query, QueryFailed),
        (short_first_batch, RosterIncomplete),
        (null_in_first_batch, RosterInvalid),
    ],
)
def test_a_fault_before_the_first_byte_is_an_error_that_leaves_nothing(
    snowflake, client, caplog, fault, error
):
    fault(snowflake)
    with pytest.raises(error):
        client.open(on_end=lambda: pytest.fail("the stream never began"))
    assert f"EDU roster {error.code}: partner ea, run 7, 0 rows" in caplog.text
    assert "STG_X" not in caplog.text
    assert client.counts == (0, 0)
    wait_until(lambda: not snowflake.sessions)


def test_an_expired_session_costs_a_reconnect_and_no_error(snowflake, client):
    snowflake.tables = batches()
    for stream in [client.open() for _ in range(3)]:
        b"".join(stream)
    assert client.counts == (0, 3)
    snowflake.sessions.clear()
    assert client.read() == text_of(snowflake.tables)
    assert snowflake.logins == 4
    assert client.counts == (0, 1)


def test_a_pooled_connection_on_which_edu_is_silent_costs_seconds_and_no_error(
    snowflake, client, monkeypatch, caplog
):
    monkeypatch.setattr("edu.connect.ANSWER_TIMEOUT", 0.3)
    snowflake.tables = batches()
    for stream in [client.open() for _ in range(3)]:
        b"".join(stream)
    go_on = threading.Event()
    snowflake.on_heartbeat = lambda request: go_on.wait(30) and request.reset()
    before = time.monotonic()
    assert client.read() == text_of(snowflake.tables)
    assert time.monotonic() - before < 90, "it waited for the query's time-outs"
    assert (snowflake.queries, snowflake.logins) == (4, 4), "the silent one was asked the query"
    assert client.counts == (0, 1)
    assert "EDU does not answer" in caplog.text
    go_on.set()


def test_edu_that_died_under_a_warm_pool_is_not_waited_for_with_a_query(
    snowflake, client, monkeypatch
):
    monkeypatch.setattr("edu.connect.ANSWER_TIMEOUT", 0.3)
    monkeypatch.setattr("edu.connect.LOGIN_TIMEOUT", 1)
    client.read()
    snowflake.on_heartbeat = snowflake.on_query = snowflake.on_login = lambda r: r.reset()
    with pytest.raises(ConnectFailed):
        client.open()
    assert snowflake.queries == 1
    assert client.counts == (0, 0)
    snowflake.on_heartbeat = snowflake.on_query = snowflake.on_login = None
    assert client.read() == b""


def test_a_pooled_connection_that_answers_is_used_again_without_a_login(sandbox):
    # On the other engine, whose heartbeat is its own.
    sandbox.read()
    sandbox.read()
    assert len(sandbox.opened) == 1


def test_a_fresh_connection_that_is_lost_is_an_error(snowflake, client):
    snowflake.on_query = lambda request: request.refuse("390112", "expired") or True
    with pytest.raises(ConnectionLost):
        client.open()
    assert snowflake.queries == 1


def test_edu_going_away_is_an_error_within_its_time(snowflake, client, monkeypatch):
    monkeypatch.setattr("edu.connect.NETWORK_TIMEOUT", 1)
    monkeypatch.setattr("edu.connect.LOGIN_TIMEOUT", 1)
    client.read()
    snowflake.on_query = lambda request: request.reset()
    snowflake.on_login = lambda request: request.reset()
    with pytest.raises(ConnectFailed):
        client.open()
    snowflake.on_query = snowflake.on_login = None
    assert client.read() == b""


# --- Clients that go ------------------------------------------------------------------------


@pytest.mark.parametrize("taken", [0, 1, 3])
def test_a_client_that_goes_frees_everything(snowflake, client, caplog, taken):
    snowflake.tables = batches()
    ended = []
    stream = client.open(on_end=lambda: ended.append(1))
    for _ in range(taken):
        next(stream)
    stream.close()
    stream.close()
    assert ended == [1]
    assert client.counts == (0, 0)
    assert "EDU roster abandoned: partner ea, run 7" in caplog.text
    wait_until(lambda: not snowflake.sessions)
    with pytest.raises(StreamCut):
        next(stream)


def test_a_stream_that_nobody_took_over_frees_everything(snowflake, client):
    snowflake.tables = batches()
    client.open()
    assert client.counts == (0, 0)


def test_closing_after_the_end_changes_nothing(snowflake, client):
    snowflake.tables = batches()
    stream = client.open()
    b"".join(stream)
    stream.close()
    assert client.counts == (0, 1)
    assert list(stream) == []


def test_a_client_that_goes_does_not_wait_for_a_batch_under_way(snowflake, client):
    snowflake.tables = batches()
    go_on = threading.Event()
    snowflake.on_chunk = lambda request, number: go_on.wait(60) and False
    stream = client.open()
    next(stream)
    before = time.monotonic()
    stream.close()
    del stream
    assert time.monotonic() - before < 30
    assert client.counts == (0, 0)
    go_on.set()


def test_closing_from_another_thread_stops_a_reader(snowflake, client):
    snowflake.tables = batches()
    waiting, go_on = threading.Event(), threading.Event()

    def hold(request, number):
        waiting.set()
        assert go_on.wait(60)
        return False

    snowflake.on_chunk = hold
    stream = client.open()
    outcome: list[int | str] = []

    def read():
        try:
            outcome.append(len(b"".join(stream)))
        except StreamCut:
            outcome.append("cut")

    reader = threading.Thread(target=read)
    reader.start()
    assert waiting.wait(30)
    stream.close()
    assert client.counts == (0, 0)
    go_on.set()
    reader.join(20)
    assert outcome == ["cut"]


def test_concurrent_rosters_share_nothing_but_the_pool(snowflake, client):
    snowflake.tables = batches(4)
    whole = text_of(snowflake.tables)
    results = []

    def read():
        for _ in range(5):
            results.append(client.read() == whole)

    readers = [threading.Thread(target=read) for _ in range(6)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(60)
    assert results == [True] * 30
    assert snowflake.logins <= 4
    assert client.counts[0] == 0
