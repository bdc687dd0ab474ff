import base64
import http.server
import json
import socket
import ssl
import threading
import time
from urllib.parse import unquote

import pytest

from partners import addresses
from partners.ods import restricted_http
from partners.ods.check import MAX_SHOWN, NOTHING_THERE, check
from runway.sandbox.ods import Faults
from tests.certificates import make_certificate
from tests.partners.ods.servers import OddServer, sandbox_ods, send


@pytest.fixture(scope="module")
def ods():
    with sandbox_ods() as ods:
        yield ods


@pytest.fixture
def faulty(ods):
    def faulty(**knobs):
        ods.faults = Faults(**knobs)
        return ods

    yield faulty
    ods.faults = Faults()


def root(server, **urls):
    named = {"oauth": f"{server}/oauth/token", "dependencies": "x", "openApiMetadata": "x"}
    return json.dumps({"urls": named | urls})


def edfi(server_root=None, token=None, roster=None):
    """An odd ODS: what it answers at each of the three steps, unless properly."""

    def answer(handler):
        url = f"http://{handler.headers['Host']}"
        if handler.command == "POST":
            (token or (lambda h: send(h, 200, '{"access_token": "t0k3n"}')))(handler)
        elif "/data/" in handler.path:
            (roster or (lambda h: send(h, 200, "[]")))(handler)
        else:
            (server_root or (lambda h: send(h, 200, root(url))))(handler)

    return OddServer(answer)


def test_credentials_that_work_say_how_many_students_there_are(ods):
    result = check(f"{ods.url}/", ods.client_id, ods.client_secret)
    assert result.ok, result.message
    assert "student records" in result.finding


def test_an_ods_without_students_works_but_is_pointed_out(faulty):
    ods = faulty(empty_roster=True)
    result = check(ods.url, ods.client_id, ods.client_secret)
    assert result.ok
    assert "no students" in result.finding


@pytest.mark.parametrize(
    ("knobs", "finding", "remedy", "answer"),
    [
        (
            {"refuse_credentials": True},
            "does not accept this client ID",
            "missing char",
            "HTTP 401",
        ),
        ({"roster_page_status": 403}, "not allowed to read students", "claim set", "HTTP 403"),
        ({"roster_page_status": 500}, "fault of its own", "few minutes", "HTTP 500"),
        ({"roster_page_status": 404}, "no students at data/v3/ed-fi", "lack a part", "HTTP 404"),
        ({"throttle_every": 1}, "too many requests", "Wait a few minutes", "HTTP 429"),
        ({"token_requests": 0}, "does not accept the token", "another ODS", "HTTP 401"),
        ({"reset_after": 0}, "broke off", "begin with http", ""),
    ],
)
def test_each_way_in_which_the_ods_fails_has_its_own_advice(faulty, knobs, finding, remedy, answer):
    ods = faulty(**knobs)
    result = check(ods.url, ods.client_id, ods.client_secret)
    assert not result.ok
    assert finding in result.finding
    assert remedy in result.remedy
    assert result.answer.startswith(answer)


def test_a_wrong_secret_is_told_from_a_wrong_path(ods):
    assert "does not accept" in check(ods.url, ods.client_id, "wrong").finding
    wrong_path = check(f"{ods.url}/nowhere", ods.client_id, ods.client_secret)
    assert "there is nothing at this path" in wrong_path.finding


def test_names_ports_and_urls_that_lead_nowhere():
    unused = socket.socket()
    unused.bind(("127.0.0.1", 0))
    port = unused.getsockname()[1]
    assert "nothing responds on this port" in check(f"http://127.0.0.1:{port}", "a", "b").finding
    unused.close()
    assert "no server with this name" in check("http://ods.invalid/api", "a", "b").finding
    assert "cannot use the ODS's address" in check("http://[::1", "a", "b").finding


@pytest.mark.parametrize("body", ["<html>Welcome</html>", "[]", "{}", '{"urls": {"oauth": 3}}'])
def test_what_is_no_edfi_api_is_called_so(body):
    with OddServer(lambda handler: send(handler, 200, body)) as server:
        result = check(server.url, "a", "b")
    assert "not an Ed-Fi API" in result.finding
    assert len(server.seen) == 1  # and gets no credentials


@pytest.mark.parametrize(
    ("status", "part"), [(401, "blocks Runway"), (403, "blocks Runway"), (503, "fault of its own")]
)
def test_a_root_that_fails_is_explained(status, part):
    with OddServer(lambda handler: send(handler, status, "no")) as server:
        result = check(server.url, "a", "b")
    assert part in result.finding
    assert result.answer.startswith(f"HTTP {status}")


def test_redirects_of_the_root_are_followed_without_credentials():
    def answer(handler):
        if handler.path == "/api":
            send(handler, 301, Location="/real")
        elif handler.path == "/real":
            send(handler, 200, root(f"http://{handler.headers['Host']}"))
        elif handler.command == "POST":
            send(handler, 200, '{"access_token": "t"}')
        else:
            send(handler, 200, "[{}]", Total_Count="1234")

    with OddServer(answer) as server:
        result = check(f"{server.url}/api", "a", "b")
    assert result.ok
    assert "1,234 student records" in result.finding
    assert [authorization for _, _, authorization in server.seen[:2]] == ["", ""]


def test_endless_redirects_end():
    with OddServer(lambda handler: send(handler, 302, Location="/again")) as server:
        result = check(server.url, "a", "b")
    assert "redirects in a loop" in result.finding
    assert len(server.seen) == 1 + restricted_http.MAX_REDIRECTS


def test_a_redirect_to_something_else_than_http_is_not_followed():
    with OddServer(lambda handler: send(handler, 302, Location="file:///etc/passwd")) as server:
        result = check(server.url, "a", "b")
    assert not result.ok
    assert "root:" not in result.message


@pytest.mark.parametrize("step", ["token", "roster"])
def test_credentials_do_not_follow_a_redirect(step):
    with OddServer(lambda handler: send(handler, 200, "{}")) as elsewhere:
        away = {step: lambda handler: send(handler, 307, Location=f"{elsewhere.url}/x")}
        with edfi(**away) as server:
            result = check(server.url, "id", "hush-hush")
    assert "does not send credentials there" in result.finding
    assert f"{elsewhere.url}/x" in result.answer
    assert elsewhere.seen == []


def test_a_root_that_names_an_unsafe_place_to_sign_in_gets_no_credentials():
    with OddServer(lambda handler: send(handler, 200, "{}")) as elsewhere:
        other = elsewhere.url.replace("127.0.0.1", "localhost")
        for url in (f"{other}/token", "ftp://127.0.0.1/token", "file:///token"):
            named = root("", oauth=url)
            with edfi(lambda handler, named=named: send(handler, 200, named)) as server:
                assert "unsafe address" in check(server.url, "id", "hush-hush").finding
    assert elsewhere.seen == []


def test_the_servers_answer_is_shown_short_and_without_secrets():
    secret = 'h"ush/ä&b'
    spellings = [secret, json.dumps(secret), base64.b64encode(f"id:{secret}".encode()).decode()]
    text = " ".join(spellings) + "\x1b[31m\u202e" + "x" * 5000
    with edfi(token=lambda handler: send(handler, 401, text.encode())) as server:
        result = check(server.url, "id", secret)
    for spelling in spellings:
        assert spelling not in result.message
    assert "•••" in result.answer
    assert "\x1b" not in result.answer
    assert "\u202e" not in result.answer
    assert len(result.answer) < MAX_SHOWN + 50


def test_a_token_that_comes_back_is_masked():
    with edfi(
        roster=lambda handler: send(handler, 403, handler.headers["Authorization"])
    ) as server:
        result = check(server.url, "id", "secret")
    assert "t0k3n" not in result.message
    assert "Bearer •••" in result.answer


def test_students_are_never_part_of_what_is_kept():
    def roster(handler):
        send(handler, 200, '[{"studentReference": {"studentUniqueId": "604822"}}]')

    with edfi(roster=roster) as server:
        result = check(server.url, "id", "secret")
    assert result.ok
    assert "604822" not in result.message


@pytest.mark.parametrize("token", ["{}", "[]", '{"access_token": "a\\r\\nX: y"}', "nonsense"])
def test_an_answer_without_a_usable_token_is_explained(token):
    with edfi(token=lambda handler: send(handler, 200, token)) as server:
        result = check(server.url, "id", "secret")
    assert "did not return a token" in result.finding
    assert len(server.seen) == 2


def test_a_secret_that_cannot_be_sent_is_explained():
    with edfi() as server:
        result = check(server.url, "id", "it’s")
    assert "cannot be sent" in result.finding


def test_an_answer_without_end_is_read_to_a_limit():
    def flood(handler):
        handler.send_response(200)
        handler.end_headers()
        try:
            while True:
                handler.wfile.write(b"x" * 65536)
        except OSError:
            pass

    with OddServer(flood) as server:
        result = check(server.url, "a", "b")
    assert "not an Ed-Fi API" in result.finding


def test_a_compressed_answer_is_not_unpacked():
    def bomb(handler):
        send(handler, 200, b"\x1f\x8b junk", Content_Encoding="gzip")

    with OddServer(bomb) as server:
        assert "not an Ed-Fi API" in check(server.url, "a", "b").finding


def test_a_server_that_never_answers_is_given_up(monkeypatch):
    monkeypatch.setattr(restricted_http, "READ_SECONDS", 0.2)
    with OddServer(lambda handler: time.sleep(1)) as server:
        result = check(server.url, "a", "b")
    assert "no answer within" in result.finding


def test_a_server_that_draws_its_answer_out_is_given_up_and_takes_no_more_than_its_place(
    monkeypatch,
):
    done = threading.Event()

    def trickle(handler):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while not done.wait(0.05):
            handler.wfile.write(b"X: y\r\n")
        handler.wfile.write(b"Content-Length: 0\r\n\r\n")

    monkeypatch.setattr(restricted_http, "_places", threading.BoundedSemaphore(1))
    with OddServer(trickle) as server:
        with pytest.raises(restricted_http.TookTooLong):
            restricted_http.within_time(lambda: restricted_http.get(server.url), seconds=0.3)
        with pytest.raises(restricted_http.TookTooLong):
            restricted_http.within_time(lambda: "no place is free")
        done.set()
    assert restricted_http._places.acquire(timeout=10)


def test_a_test_without_end_is_said_to_be_slow(monkeypatch):
    def too_long(*_):
        raise restricted_http.TookTooLong

    monkeypatch.setattr(restricted_http, "within_time", too_long)
    assert "did not end within 25 seconds" in check("http://x.test", "a", "b").finding


@pytest.fixture
def production(settings):
    """Production's rules, where this machine's own servers stand for those of a private network."""
    settings.IN_DEVELOPMENT = False
    settings.ODS_HTTP_HOSTS = ["127.0.0.1", "localhost"]
    settings.ODS_NETWORKS = addresses.networks(addresses.PRIVATE_NETWORKS)
    settings.ALLOWED_HOSTS = ["runway.example.org"]
    settings.APP_URL = "https://runway.example.org"
    return settings


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_this_machine_is_refused_before_it_is_connected_to(production, host):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        open_port = check(f"http://{host}:{port}", "a", "b")
        listener.settimeout(0)
        with pytest.raises(BlockingIOError):
            listener.accept()
    closed_port = check(f"http://{host}:{port}", "a", "b")
    assert "does not connect to" in open_port.finding
    assert open_port == closed_port


def test_what_a_private_server_is_cannot_be_found_out(production):
    production.ODS_NETWORKS = addresses.networks("127.0.0.0/8")
    with (
        OddServer(lambda handler: send(handler, 200, "<h1>internal wiki</h1>")) as page,
        OddServer(lambda handler: send(handler, 503, "down")) as broken,
        OddServer(lambda handler: send(handler, 302, Location="http://x.test/")) as redirect,
        socket.socket() as unused,
    ):
        unused.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{unused.getsockname()[1]}"
        urls = [page.url, broken.url, redirect.url, closed, page.url.replace("http:", "https:")]
        results = {check(url, "a", "b") for url in urls}
    assert results == {NOTHING_THERE}


def test_a_private_ods_that_is_one_is_tested_as_ever(production):
    production.ODS_NETWORKS = addresses.networks("127.0.0.0/8")
    with edfi(token=lambda handler: send(handler, 401, "bad key")) as server:
        result = check(server.url, "id", "secret")
    assert "does not accept this client ID" in result.finding


def test_plain_http_is_not_tried_in_production(production):
    production.ODS_HTTP_HOSTS = []
    with OddServer(lambda handler: send(handler, 200, "{}")) as server:
        result = check(server.url, "id", "secret")
    assert "must begin with https" in result.remedy
    assert server.seen == []


def test_runways_own_address_is_no_ods(production):
    assert "Runway's own address" in check("https://runway.example.org/x", "a", "b").remedy


def test_a_redirect_to_another_server_is_not_followed():
    with (
        OddServer(lambda handler: send(handler, 200, "{}")) as elsewhere,
        OddServer(lambda handler: send(handler, 302, Location=elsewhere.url)) as server,
    ):
        result = check(server.url, "id", "hush-hush")
    assert "redirects to another server" in result.finding
    assert elsewhere.url not in result.message
    assert elsewhere.seen == []


def test_an_answer_that_is_no_ods_is_described_and_not_quoted():
    with OddServer(
        lambda handler: send(handler, 200, "<p>role: hush</p>", Content_Type="text/html")
    ) as server:
        result = check(server.url, "a", "b")
    assert result.answer == "HTTP 200, with a web page"


def test_the_answer_of_another_server_that_an_ods_names_is_not_quoted():
    with OddServer(lambda handler: send(handler, 403, "internal: hush")) as elsewhere:
        named = root("", oauth=f"{elsewhere.url}/token").replace("127.0.0.1", "localhost", 1)
        with edfi(lambda handler: send(handler, 200, named)) as server:
            result = check(server.url, "id", "secret")
    assert "hush" not in result.message


def test_a_netrc_of_the_machine_is_not_used(tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login other password other\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with edfi() as server:
        check(server.url, "id", "secret")
    assert [authorization.split(" ")[0] for _, _, authorization in server.seen] == [
        "",
        "Basic",
        "Bearer",
    ]


def test_https_asked_of_plain_http_is_explained():
    with OddServer(lambda handler: send(handler, 200, "{}")) as server:
        result = check(server.url.replace("http:", "https:"), "a", "b")
    assert "TLS" in result.finding


def test_a_certificate_that_nobody_vouches_for_is_explained(tmp_path):
    certificate = make_certificate(tmp_path, "127.0.0.1")

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        result = check(f"https://127.0.0.1:{server.server_address[1]}", "a", "b")
    finally:
        server.shutdown()
        server.server_close()
    assert "certificate cannot be trusted: self" in result.finding


def test_the_test_signs_in_as_lightbeam_does(ods, monkeypatch):
    """The real one, told to do no more than that."""
    import logging

    from lightbeam.api import EdFiAPI

    class Lightbeam:
        logger = logging.getLogger("lightbeam-test")
        config = {"connection": {"verify_ssl": True}}

    api = EdFiAPI(Lightbeam())
    with edfi() as server:
        api.config = {
            "oauth_url": f"{server.url}/oauth/token",
            "client_id": "id",
            "client_secret": "sécret",
        }
        api.do_oauth()
        check(server.url, "id", "sécret")
    posts = [seen for seen in server.seen if seen[0] == "POST"]
    assert posts[0] == posts[1]
    assert unquote(posts[0][1]) == "/oauth/token"
