import io

import pytest
from django.core.files.uploadhandler import FileUploadHandler

from runway import request_bodies
from tests import people

pytestmark = pytest.mark.django_db

PAGES = ["/admin/login/", "/admin/earthbeam/job/add/", "/admin/partners/partner/add/"]


@pytest.fixture
def parsed(monkeypatch):
    """The files that Django began to parse."""
    seen = []
    new_file = FileUploadHandler.new_file

    def noted(self, field_name, file_name, *args, **kwargs):
        seen.append(file_name)
        return new_file(self, field_name, file_name, *args, **kwargs)

    monkeypatch.setattr(FileUploadHandler, "new_file", noted)
    return seen


def post(client, path, size):
    file = io.BytesIO(b"x" * size)
    file.name = "scores.csv"
    return client.post(path, {"file": file})


@pytest.mark.parametrize("path", PAGES)
def test_a_stranger_sends_little(client, parsed, path):
    assert post(client, path, request_bodies.STRANGERS_BYTES).status_code == 413
    assert parsed == []


def test_a_session_that_is_none_makes_nobody_known(client, parsed):
    client.cookies["sessionid"] = "made-up"
    assert post(client, PAGES[1], request_bodies.STRANGERS_BYTES).status_code == 413
    assert parsed == []


def test_a_sign_in_fits(client):
    form = {"username": "x", "password": "y" * 1000}
    assert client.post("/admin/login/", form).status_code == 200


def test_a_person_without_a_job_to_submit_sends_no_files_for_one(
    django_user_model, parsed, monkeypatch
):
    monkeypatch.setattr(request_bodies, "PAGE_BYTES", 100_000)
    nobody = django_user_model.objects.create_user("nobody")
    assert post(people.logged_in(nobody), PAGES[1], 200_000).status_code == 413
    assert parsed == []


def test_a_person_who_may_submit_sends_files_there_and_nowhere_else(parsed, monkeypatch):
    monkeypatch.setattr(request_bodies, "PAGE_BYTES", 100_000)
    client = people.logged_in(people.make_partner_admin())
    assert post(client, PAGES[1], 200_000).status_code == 200
    assert "scores.csv" in parsed
    parsed.clear()
    assert post(client, PAGES[2], 200_000).status_code == 413
    assert parsed == []


def test_an_upload_still_needs_its_csrf_token(parsed):
    from django.test import Client

    client = Client(enforce_csrf_checks=True)
    client.force_login(people.make_partner_admin())
    assert post(client, PAGES[1], 200_000).status_code == 403


def test_apis_look_at_the_token_first(client):
    body = b"[" + b"1," * request_bodies.STRANGERS_BYTES
    for path in ("/api/v1/jobs", "/api/earthbeam/jobs/00000000-0000-0000-0000-000000000000/status"):
        answer = client.post(path, body, content_type="application/json")
        assert answer.status_code in (401, 503), path
