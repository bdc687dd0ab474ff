import pytest
from django.test import Client


@pytest.mark.parametrize("path", ["/api/v1/nothing", "/api/v1/jobs/7", "/api/earthbeam/nothing"])
def test_programs_get_json_where_nothing_is(path):
    answer = Client().get(path)
    assert answer.status_code == 404
    assert answer.json()["detail"]


def test_people_get_a_page_where_nothing_is():
    answer = Client().get("/nothing")
    assert answer.status_code == 404
    assert b"There is no such page" in answer.content


@pytest.mark.parametrize(("path", "kind"), [("/api/v1/", "application/json"), ("/", "text/html")])
def test_a_fault_of_ours_is_told_in_kind_without_details(path, kind, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("student 604822")

    monkeypatch.setattr("whitenoise.middleware.WhiteNoiseMiddleware.__call__", fail)
    answer = Client(raise_request_exception=False).get(path)
    assert answer.status_code == 500
    assert answer.headers["Content-Type"].startswith(kind)
    assert b"604822" not in answer.content
