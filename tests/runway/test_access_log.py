import logging

import pytest

from runway.access_log import HideLinks, without_secrets


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("GET /api/v1/files/abc:def-1_2 HTTP/1.1", "GET /api/v1/files/… HTTP/1.1"),
        ("/api/v1/files/abc?x=1", "/api/v1/files/…?…"),
        ("/admin/earthbeam/job/?q=smith", "/admin/earthbeam/job/?…"),
        ("https://host/admin/?next=/x", "https://host/admin/?…"),
        ("/healthz", "/healthz"),
    ],
)
def test_logs_keep_no_link_and_no_query(line, kept):
    assert without_secrets(line) == kept


def test_djangos_own_lines_keep_none_either(client, caplog, db):
    with caplog.at_level(logging.INFO, logger="django.request"):
        client.get("/api/v1/files/a-link-that-opens?x=hush")
    assert "/api/v1/files/…" in caplog.text
    assert "a-link" not in caplog.text
    assert any(isinstance(each, HideLinks) for each in logging.getLogger("django.request").filters)


def test_a_host_that_is_refused_is_one_line(client, caplog, settings):
    settings.ALLOWED_HOSTS, settings.DEBUG = ["runway.test"], False
    assert client.get("/healthz/x", headers={"host": "elsewhere.test"}).status_code == 400
    formatted = [logging.Formatter("%(message)s").format(each) for each in caplog.records]
    assert len(formatted) == 1
    assert formatted[0].startswith("Invalid HTTP_HOST header: 'elsewhere.test'")
    assert "\n" not in formatted[0]
