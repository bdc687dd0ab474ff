import pytest
from django.template.loader import get_template
from django.test import Client

from tests import factories, people


@pytest.mark.parametrize("path", ["/api/v1/nothing", "/api/v1/jobs/7", "/api/earthbeam/nothing"])
def test_programs_get_json_where_nothing_is(path):
    answer = Client().get(path)
    assert answer.status_code == 404
    assert answer.json()["detail"]


def test_programs_learn_that_paths_have_no_slash_at_their_end():
    assert "no / at their end" in Client().get("/api/v1/jobs/").json()["detail"]


@pytest.mark.parametrize(
    "path", ["/admin/partners/partner/a%00/change/", "/admin/partners/partner/?q=%00"]
)
def test_an_address_with_a_null_character_is_no_address(path):
    answer = Client().get(path)
    assert answer.status_code == 400
    assert b"Back to the home page" in answer.content


def test_people_get_a_page_where_nothing_is():
    answer = Client().get("/nothing")
    assert answer.status_code == 404
    assert b"Page not found" in answer.content


@pytest.mark.parametrize(("path", "kind"), [("/api/v1/", "application/json"), ("/", "text/html")])
def test_a_fault_of_ours_is_told_in_kind_without_details(path, kind, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("student 604822")

    monkeypatch.setattr("whitenoise.middleware.WhiteNoiseMiddleware.__call__", fail)
    answer = Client(raise_request_exception=False).get(path)
    assert answer.status_code == 500
    assert answer.headers["Content-Type"].startswith(kind)
    assert b"604822" not in answer.content


@pytest.mark.parametrize("status", ["400", "403", "403_csrf", "404", "500"])
def test_an_error_page_needs_neither_database_nor_context(status):
    page = get_template(f"{status}.html").render()
    assert "Back to the home page" in page
    assert "runway/runway.css" in page


@pytest.mark.django_db
def test_people_get_these_pages():
    client = people.logged_in(people.make_user())
    factories.make_partner()
    for url, status, heading in (
        ("/admin/no/such/page/", 404, "Page not found"),
        ("/admin/partners/partner/", 403, "You do not have permission to do that"),
        ("/admin/earthbeam/job/?_to_field=nonsense", 400, "did not understand"),
    ):
        answer = client.get(url)
        assert (answer.status_code, heading in answer.content.decode()) == (status, True)
    stale = Client(enforce_csrf_checks=True).post("/admin/login/", {"username": "x"})
    assert (stale.status_code, b"This form has expired" in stale.content) == (403, True)
