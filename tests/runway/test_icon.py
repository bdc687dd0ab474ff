"""The icon by which a tab of Runway's is found among many."""

import pytest
from django.test import Client


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/admin/login/", "/nothing"])
def test_pages_name_their_icon(path):
    assert '<link rel="icon" href="/static/runway/icon' in Client().get(path).content.decode()


def test_browsers_find_the_icon_of_what_is_no_page():
    answer = Client().get("/favicon.ico", follow=True)
    assert answer.status_code == 200
    assert answer["Content-Type"] == "image/svg+xml"
