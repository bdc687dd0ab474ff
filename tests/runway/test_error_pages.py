import pytest
from django.template.loader import get_template
from django.test import Client

from tests import factories, people


@pytest.mark.parametrize("status", ["400", "403", "403_csrf", "404", "500"])
def test_an_error_page_needs_neither_database_nor_context(status):
    page = get_template(f"{status}.html").render()
    assert "Back to the start" in page
    assert "runway/runway.css" in page


@pytest.mark.django_db
def test_people_get_these_pages():
    client = people.logged_in(people.make_user())
    factories.make_partner()
    for url, status, heading in (
        ("/admin/no/such/page/", 404, "There is no such page"),
        ("/admin/partners/partner/", 403, "You may not do that"),
        ("/admin/earthbeam/job/?_to_field=nonsense", 400, "was not understood"),
    ):
        answer = client.get(url)
        assert (answer.status_code, heading in answer.content.decode()) == (status, True)
    stale = Client(enforce_csrf_checks=True).post("/admin/login/", {"username": "x"})
    assert (stale.status_code, b"This form has expired" in stale.content) == (403, True)
