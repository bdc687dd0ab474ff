"""What every response tells browsers and proxies: load nothing from elsewhere, and keep nothing."""

import pytest
from django.test import Client, override_settings

from access.issuers import Issuer
from tests import factories, people

pytestmark = pytest.mark.django_db


def policy(response):
    directives = response["Content-Security-Policy"].split("; ")
    return {name: values for name, _, values in (each.partition(" ") for each in directives)}


@pytest.fixture
def job_page():
    run = factories.make_loaded_run()
    return people.logged_in(people.make_partner_admin()).get(
        f"/admin/earthbeam/job/{run.job.pk}/change/"
    )


def test_pages_run_no_script_but_their_own_files(job_page):
    told = policy(job_page)
    assert told["default-src"] == told["base-uri"] == told["frame-ancestors"] == "'none'"
    assert told["script-src"].split() == ["'self'"]
    assert "unsafe" not in job_page["Content-Security-Policy"]
    page = job_page.content.decode()
    assert "<script>" not in page
    assert " style=" not in page


@pytest.mark.parametrize(
    "path", ["/admin/", "/nothing-here", "/api/v1/jobs", "/api/earthbeam/nothing", "/api/v1/docs"]
)
def test_no_response_is_kept_or_shown_in_another_site(client, path):
    response = client.get(path)
    assert "no-store" in response["Cache-Control"]
    assert response["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "camera=()" in response["Permissions-Policy"]
    assert policy(response)["frame-ancestors"] == "'none'"


def test_pages_about_students_are_not_kept(job_page):
    assert "no-store" in job_page["Cache-Control"]
    assert "private" in job_page["Cache-Control"]


def test_static_files_may_be_kept(client):
    response = client.get("/static/runway/runway.css")
    assert response.status_code == 200
    assert "no-store" not in response["Cache-Control"]


def test_only_signing_in_may_lead_to_an_issuer():
    issuer = Issuer("district", "District", "https://login.example.org", "runway", "hidden")
    with override_settings(OIDC_ISSUERS=(issuer,)):
        assert policy(Client().get("/admin/login/"))["form-action"] == "'self' https:"
        assert policy(Client().get("/api/v1/docs"))["form-action"] == "'self'"
    assert policy(Client().get("/admin/login/"))["form-action"] == "'self'"
