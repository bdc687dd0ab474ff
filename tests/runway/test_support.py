"""The way to the people who help."""

import pytest
from django.urls import reverse

from runway.templatetags.support import support_link
from tests import people, run_reports


@pytest.mark.parametrize(
    ("contact", "href"),
    [
        (
            "help@example.org",
            "mailto:help@example.org?subject=Runway&amp;body=https%3A%2F%2Frunway.test%2Fjob%2F1%2F",
        ),
        ("https://help.example.org/", "https://help.example.org/"),
        (
            "https://help.example.org/new?page={link}",
            "https://help.example.org/new?page=https%3A%2F%2Frunway.test%2Fjob%2F1%2F",
        ),
    ],
)
def test_the_link_to_support_names_the_page(settings, contact, href):
    settings.APP_URL, settings.SUPPORT_CONTACT = "https://runway.test", contact
    assert support_link("/job/1/") == f'<a href="{href}">Contact support</a>'


@pytest.mark.django_db
def test_a_failed_job_leads_to_support(settings):
    client = people.logged_in(people.make_user())
    job = run_reports.failed("bundle_git_pull").job
    page = reverse("admin:earthbeam_job_change", args=[job.pk])
    assert "Contact support" not in client.get(page).content.decode()
    settings.APP_URL, settings.SUPPORT_CONTACT = "https://runway.test", "help@example.org"
    shown = client.get(page).content.decode()
    assert "contact Runway support and include a link to this page." in shown
    assert f"body=https%3A%2F%2Frunway.test%2Fadmin%2Fearthbeam%2Fjob%2F{job.pk}" in shown
