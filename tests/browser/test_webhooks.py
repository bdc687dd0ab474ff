"""Webhooks in a browser: adding one, its secret, its messages."""

import pytest
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import expect

from earthbeam.models import Notice, Run, Webhook
from tests import factories, people
from tests.browser.screens import look
from tests.earthbeam.notify.receiver import Receiver

LIST = reverse("admin:earthbeam_webhook_changelist")


@pytest.fixture
def receiver():
    with Receiver() as receiver:
        yield receiver


def url(webhook):
    return reverse("admin:earthbeam_webhook_change", args=[webhook.pk])


def test_a_webhook_is_added_and_its_secret_shown_once(open_page, receiver):
    page = open_page(people.make_partner_admin(), LIST)
    look(page, "webhooks-none")
    page.get_by_role("link", name="Add webhook").click()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("This field is required.").first).to_be_visible()
    look(page, "webhook-add-wrong")
    page.get_by_label("Partner").select_option(index=1)
    page.get_by_label("URL").fill(receiver.url)
    look(page, "webhook-add")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_label("Secret of")).to_be_visible()
    expect(page.get_by_label("Secret of")).to_have_value(Webhook.objects.get().secret)
    look(page, "webhook-secret")
    page.get_by_role("link", name="I have copied it").click()
    expect(page.get_by_role("button", name="Send a test message")).to_be_visible()
    assert Webhook.objects.get().secret not in page.content()
    look(page, "webhook-new")
    page.get_by_role("button", name="Send a test message").click()
    expect(page.get_by_text("The test message arrived; the answer was 204.")).to_be_visible()
    page.get_by_role("button", name="Create a new secret").click()
    expect(page.get_by_label("Secret of")).to_be_visible()
    expect(page.get_by_label("Secret of")).to_have_value(Webhook.objects.get().secret)


def test_a_webhook_shows_what_became_of_its_messages(open_page):
    webhook = Webhook.objects.create(
        partner=factories.make_partner(),
        url="https://hooks.example.org/runway/ends-of-runs/of-a-partner-with-a-long-address",
    )
    Webhook.objects.create(partner=webhook.partner, url="https://b.example.org/", enabled=False)
    now = timezone.now()
    for kept in (
        {"delivered_at": now, "tries": 1, "outcome": "It answered 204."},
        {"next_try_at": now, "tries": 2, "outcome": "It did not answer within 15 seconds."},
        {"tries": 9, "outcome": "It answered 500."},
    ):
        run = factories.make_run(status=Run.Status.SUCCESS)
        Notice.objects.create(run=run, webhook=webhook, body={}, **kept)
    page = open_page(people.make_partner_admin(), url(webhook))
    expect(page.get_by_text("given up", exact=True)).to_be_visible()
    look(page, "webhook-messages")
    page.goto(LIST)
    look(page, "webhooks")
    page.goto(url(webhook))
    page.get_by_role("button", name="Resend failed messages").click()
    expect(page.get_by_text("1 message is tried again.")).to_be_visible()
