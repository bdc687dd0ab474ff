"""What chats are told: one sentence and a link, about runs that need attention alone."""

import json

import pytest

from earthbeam.models import Notice, Webhook
from earthbeam.notify import notices
from earthbeam.runs import states
from tests import factories, people
from tests.earthbeam.notify.receiver import Receiver

pytestmark = pytest.mark.django_db(transaction=True)  # deliveries have threads of their own


@pytest.fixture(autouse=True)
def app_url(settings):
    settings.APP_URL = "https://runway.test"


@pytest.fixture
def receiver():
    with Receiver() as receiver:
        yield receiver


def chat(receiver, format_):
    partner = factories.make_partner()
    return Webhook.objects.create(partner=partner, url=receiver.url, format=format_)


def failed(**template):
    job = factories.make_job(bundle_template=factories.BUNDLE_TEMPLATE | template)
    run = factories.make_run(job, status="running")
    states.fail(run.pk, "earthmover_run", {"message": "Ana Díaz, 9001"})
    return run


def said(receiver):
    notices.deliver_due()
    (message,) = receiver.messages
    return message.headers, json.loads(message.body)


def test_slack_gets_a_text_with_a_link_and_nothing_of_a_student(receiver):
    chat(receiver, "slack")
    run = failed()
    headers, body = said(receiver)
    assert body == {
        "text": "Reading check for grand_bend, 2526: the run failed. "
        f"<https://runway.test/admin/earthbeam/job/{run.job_id}/change/|Open it in Runway>"
    }
    assert "webhook-signature" not in headers


def test_a_name_mentions_no_one_in_slack(receiver):
    chat(receiver, "slack")
    failed(display_name="<!channel> & <https://x.test|y>")
    text = said(receiver)[1]["text"]
    assert text.startswith("&lt;!channel&gt; &amp; &lt;https://x.test|y&gt; for grand_bend")


def test_teams_gets_a_card_with_a_button(receiver):
    chat(receiver, "teams")
    run = failed()
    _, body = said(receiver)
    (attached,) = body["attachments"]
    assert attached["contentType"] == "application/vnd.microsoft.card.adaptive"
    card = attached["content"]
    assert card["body"][0]["text"] == "Reading check for grand_bend, 2526: the run failed."
    assert card["actions"][0]["url"].endswith(f"/job/{run.job_id}/change/")


@pytest.mark.parametrize(
    ("matches", "told"), [({"rows": 9, "ods": 9, "across_years": 0}, 0), ({}, 1)]
)
def test_a_run_that_went_well_is_not_told_to_a_chat(receiver, matches, told):
    chat(receiver, "slack")
    run = factories.make_run(status="running")
    factories.make_matches(run, **matches)
    states.finish(run.pk, success=True)
    assert Notice.objects.count() == told


def test_a_run_that_did_without_edu_is_told_to_a_chat(receiver):
    chat(receiver, "slack")
    run = factories.make_run(status="running", edu_unavailable="edu_connect_failed")
    states.finish(run.pk, success=True)
    assert "cross-year matching was left out, since EDU" in said(receiver)[1]["text"]


def test_what_the_ods_refused_is_told_although_edu_was_not_there_either(receiver):
    chat(receiver, "slack")
    run = factories.make_run(status="running", edu_unavailable="edu_connect_failed")
    factories.make_matches(run)
    states.finish(run.pk, success=True)
    assert "rows are unmatched. Also, cross-year" in said(receiver)[1]["text"]


def test_a_test_message_says_that_it_is_one(receiver):
    webhook = chat(receiver, "teams")
    client = people.logged_in(people.make_partner_admin())
    page = client.get(f"/admin/earthbeam/webhook/{webhook.pk}/change/").content.decode()
    assert "Create a new secret" not in page
    client.post(f"/admin/earthbeam/webhook/{webhook.pk}/test/")
    (message,) = receiver.messages
    assert "This is a test message from Runway." in message.body.decode()


def test_a_chat_is_added_without_a_secret_to_keep(receiver):
    client = people.logged_in(people.make_partner_admin(partner=factories.make_partner()))
    data = {"partner": "ea", "format": "slack", "url": receiver.url, "enabled": "on"}
    answer = client.post("/admin/earthbeam/webhook/add/", data, follow=True)
    assert Webhook.objects.get().format == "slack"
    assert "whsec_" not in answer.content.decode()
