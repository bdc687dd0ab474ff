import pytest
from cryptography.fernet import Fernet
from django.urls import reverse
from django.utils import timezone
from standardwebhooks import Webhook as Verifier

from earthbeam.models import Notice, Run, Webhook
from tests import factories, people
from tests.earthbeam.notify.receiver import Receiver

pytestmark = pytest.mark.django_db

ADD, LIST = "admin:earthbeam_webhook_add", "admin:earthbeam_webhook_changelist"


@pytest.fixture
def receiver():
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def client():
    return people.logged_in(people.make_partner_admin())


def make(url="https://hooks.example.org/", partner=None):
    return Webhook.objects.create(partner=partner or factories.make_partner(), url=url)


def page(webhook, what="change"):
    return reverse(f"admin:earthbeam_webhook_{what}", args=[webhook.pk])


def test_the_secret_is_shown_when_it_is_made_and_never_again(client, receiver):
    added = client.post(
        reverse(ADD), {"partner": "ea", "format": "signed", "url": receiver.url, "enabled": "on"}
    )
    webhook = Webhook.objects.get()
    assert webhook.secret in added.content.decode()
    assert "no-store" in added.headers["Cache-Control"]
    for address in (page(webhook), reverse(LIST), page(webhook, "history")):
        assert webhook.secret not in client.get(address).content.decode()
    renewed = client.post(page(webhook, "secret"))
    old, webhook = webhook.secret, Webhook.objects.get()
    assert webhook.secret != old
    assert webhook.secret in renewed.content.decode()
    assert webhook.previous_secret == old
    assert Webhook.objects.filter(previous_secret_until__gt=timezone.now()).exists()


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("https://127.0.0.1/", "private address"),
        ("http://93.184.215.14/", "must begin with https"),
        ("https://no-such-host.invalid/", "no host of that name"),
        ("ftp://hooks.example.org/", "must begin with https"),
        ("https://name:password@93.184.215.14/", "Remove the user name and password"),
    ],
)
def test_a_url_that_must_not_be_told_is_refused(client, settings, url, why):
    settings.WEBHOOKS_MAY_BE_PRIVATE = False
    answer = client.post(
        reverse(ADD), {"partner": "ea", "format": "signed", "url": url, "enabled": "on"}
    )
    assert why in str(answer.context["adminform"].form.errors["url"])
    assert not Webhook.objects.exists()


def test_a_test_message_tells_whether_it_arrived(client, receiver):
    webhook = make(receiver.url)
    good = client.post(page(webhook, "test"), follow=True).content.decode()
    assert "The test message arrived; the answer was 204." in good
    (message,) = receiver.messages
    assert Verifier(webhook.secret).verify(message.body, message.headers)["type"] == "webhook.test"
    receiver.status = 404
    bad = client.post(page(webhook, "test"), follow=True).content.decode()
    assert "did not arrive: It answered 404." in bad


def test_a_secret_that_cannot_be_decrypted_is_said_by_the_test_and_replaced(
    client, receiver, settings
):
    webhook = make(receiver.url)
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    assert client.get(page(webhook)).status_code == 200
    said = client.post(page(webhook, "test"), follow=True).content.decode()
    assert "cannot be decrypted" in said
    assert client.post(page(webhook, "secret")).status_code == 200
    assert "arrived" in client.post(page(webhook, "test"), follow=True).content.decode()


def test_messages_that_were_given_up_are_tried_again_on_demand(client):
    webhook = make()
    run = factories.make_run(status=Run.Status.SUCCESS)
    Notice.objects.create(run=run, webhook=webhook, body={}, tries=9, outcome="It answered 500.")
    shown = client.get(page(webhook)).content.decode()
    assert "given up" in shown
    assert "It answered 500." in shown
    client.post(page(webhook, "again"))
    assert Notice.objects.get().next_try_at is not None


def test_webhooks_of_other_partners_are_not_there(client):
    foreign = make(partner=factories.make_partner("tx"))
    assert "hooks.example.org" not in client.get(reverse(LIST)).content.decode()
    for what in ("secret", "test", "again"):
        assert client.post(page(foreign, what)).status_code == 404
    user = people.logged_in(people.make_user())
    assert user.get(reverse(LIST)).status_code == 403
    own = make()
    assert user.post(page(own, "secret")).status_code in (403, 404)
    assert Webhook.objects.get(pk=own.pk).secret == own.secret
