"""The log: what its lines have, and what they never have."""

import json
import logging
import sys
from uuid import uuid4

import pytest
from django.http import HttpResponse, StreamingHttpResponse
from hypothesis import given
from hypothesis import strategies as st
from structlog.contextvars import bind_contextvars, bound_contextvars, clear_contextvars

from earthbeam.runs import tokens
from runway import logs
from tests import factories

SECRET = "mE7-not-to-be-seen-92"


@pytest.fixture(autouse=True)
def nothing_bound():
    clear_contextvars()
    yield
    clear_contextvars()


def entry(text="it happened", *args, format_="json", error=None, secrets=(SECRET,)):
    """What the log would have of this; an object for JSON."""
    exc_info = (type(error), error, error.__traceback__) if error else None
    record = logging.LogRecord("edu.pool", logging.WARNING, "x.py", 1, text, args, exc_info)
    written = logs.formatter(format_, secrets).format(record)
    return json.loads(written) if format_ == "json" else written


def raised(error):
    try:
        raise error
    except type(error):
        return sys.exc_info()[1]


def test_an_entry_has_its_time_level_source_process_and_what_it_is_about():
    with bound_contextvars(run="41fd", partner="ea"):
        found = entry("pool %s is full", "ea")
    assert list(found)[:4] == ["timestamp", "level", "logger", "event"]
    assert found["timestamp"].endswith("Z")
    assert (found["level"], found["logger"]) == ("warning", "edu.pool")
    assert (found["event"], found["run"], found["partner"]) == ("pool ea is full", "41fd", "ea")
    assert found["process"]


def test_what_a_text_names_is_found_by_its_id_too():
    run = str(uuid4())
    assert entry("run %s outlived its time limit", run)["run"] == run


def test_an_entry_of_many_lines_is_one_line_of_json():
    error = raised(ValueError("first\nsecond"))
    record = logging.LogRecord("x", logging.ERROR, "x", 1, "a\nb", (), (type(error), error, None))
    assert "\n" not in logs.formatter("json").format(record)
    assert "second" in entry(error=error)["exception"]


def test_lines_for_people_read_like_sentences():
    with bound_contextvars(request="abc"):
        line = entry("pool is full", format_="lines")
    assert line.endswith(" WARNING edu.pool pool is full [request=abc]")
    assert "process" not in line


@pytest.mark.parametrize(
    "text",
    [
        f"signed with {SECRET}",
        f"postgres://runway:{SECRET[::-1]}@db.example.org/runway",
        "Authorization: Bearer q8Tz4-hidden_0w",
        "Authorization: Basic cmFuOmhpZGRlbg==",
        "token eyJhbGciOiJIUzI1NiJ9" + ".eyJoaWRkZW4iOjF9.c2lnaGlkZGVu",
        '{"client_secret": "hidden one", "url": "x"}',
        "{'clientSecret': 'hidden one'}",
        "grant_type=x&client_secret=hidden&scope=y",
        "password=hidden",
        '{"studentUniqueId": "hidden", "firstName": "hidden", "lastSurname": "hidden o"}',
        "birth_date: hidden",
        "student_unique_id='hidden'",
    ],
)
@pytest.mark.parametrize("format_", logs.FORMATS)
def test_no_secret_and_no_student_is_in_an_entry(text, format_):
    for written in (
        entry(text, format_=format_),
        entry("%s", text, format_=format_),
        entry(error=raised(RuntimeError(text)), format_=format_),
    ):
        for hidden in (SECRET, SECRET[::-1], "hidden", "hpZGRlb", "aGlkZGVu", "cmFuOm"):
            assert hidden not in str(written)
        assert logs.MASK in str(written)


def test_the_row_that_the_database_refuses_is_not_in_an_entry():
    said = 'duplicate key violates "x"\nDETAIL:  Key (value)=(Ana Diaz) already exists.\n'
    written = entry(error=raised(RuntimeError(said)))["exception"]
    assert "duplicate key" in written
    assert "Diaz" not in written


@pytest.mark.parametrize(
    "text",
    [
        "EDU credentials of partner ea: look-up of dev-edu-connection-info-ea: not found",
        "run 3: 251 of 312 rows matched by State",
        "token=None",
        "EDU roster complete: partner ea, run 4, 960 rows, 336000 bytes, 1.1 s",
    ],
)
def test_what_ops_need_stays_readable(text):
    assert entry(text)["event"] == text


@given(st.text(), st.text(min_size=8, max_size=40))
def test_a_known_secret_is_masked_wherever_it_is(text, secret):
    assert secret not in logs.Mask([secret])(f"{text} {secret} {text}").replace(logs.MASK, "")


def test_each_response_has_its_requests_id(client):
    first, second = client.get("/admin/login/"), client.get("/admin/login/")
    assert len(first["X-Request-ID"]) == 32
    assert first["X-Request-ID"] != second["X-Request-ID"]


@pytest.mark.parametrize(("given_id", "taken"), [("lb-1234567890", True), ("a b\r\nc" * 9, False)])
def test_the_id_that_a_proxy_gives_is_kept_if_it_is_one(rf, given_id, taken):
    seen = {}

    def view(request):
        seen.update(entry())
        return HttpResponse()

    request = rf.get("/", headers={"X-Request-ID": given_id})
    response = logs.RequestIds(view)(request)
    assert (response["X-Request-ID"] == given_id) is taken
    assert seen["request"] == response["X-Request-ID"]


@pytest.mark.django_db
def test_a_body_that_is_streamed_logs_with_its_requests_ids(rf):
    seen = []

    def body():
        seen.append(entry())
        yield b"x"

    def view(request):
        bind_contextvars(run="41fd")
        return StreamingHttpResponse(body())

    response = logs.RequestIds(view)(rf.get("/"))
    assert b"".join(response) == b"x"
    response.close()
    assert (seen[0]["request"], seen[0]["run"]) == (response["X-Request-ID"], "41fd")
    assert "request" not in entry()


@pytest.mark.django_db
def test_a_request_of_an_executor_logs_its_run_job_and_partner(client, monkeypatch):
    run = factories.make_run()
    seen = {}

    def noting(*args, **kwargs):
        seen.update(entry())

    monkeypatch.setattr("earthbeam.api.views.states.begin", noting)
    headers = {"Authorization": f"Bearer {tokens.init_token(run)}"}
    client.raise_request_exception = False
    client.get(f"/api/earthbeam/auth/{run.pk}/init", headers=headers)
    assert seen["run"] == str(run.pk)
    assert seen["job"] == str(run.job_id)
    assert seen["partner"] == run.job.tenant.partner_id
