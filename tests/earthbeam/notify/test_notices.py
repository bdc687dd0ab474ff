import json
import socket
import threading
import time
import uuid
from contextlib import suppress
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from earthbeam.models import Notice, Run, Webhook
from earthbeam.models.notices import new_webhook_secret
from earthbeam.notify import notices, webhooks
from earthbeam.runs import reports, states
from runway import aws
from tests import factories
from tests.certificates import make_certificate
from tests.earthbeam.notify.receiver import Receiver, Silent
from tests.earthbeam.queue import queue  # noqa: F401

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("queue")]


@pytest.fixture
def receiver():
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def webhook(receiver):
    return Webhook.objects.create(partner=factories.make_partner(), url=receiver.url)


def ended(success: bool = True, **fields) -> Run:
    run = factories.make_run(factories.make_job(**fields), Run.Status.RUNNING)
    reports.record_error(run, "unknown", {"stacktrace": "student 604822", "message": "secret"})
    states.finish(run.pk, success)
    return run


def again_now():
    Notice.objects.filter(next_try_at__isnull=False).update(next_try_at=timezone.now())


def test_a_run_that_ends_is_told_signed_and_without_students_data(receiver, webhook):
    run = ended(success=False)
    assert ProcrastinateJob.objects.filter(task_name=notices.TASK).count() == 1
    notices.deliver_due()
    (message,) = receiver.messages
    assert message.path == "/hook?from=runway"
    body = Verifier(webhook.secret).verify(message.body, message.headers)
    assert body["type"] == "run.completed"
    assert body["data"]["runId"] == str(run.pk)
    assert body["data"]["status"] == "error"
    assert body["data"]["errorCodes"] == ["unknown"]
    assert b"604822" not in message.body
    assert b"secret" not in message.body
    assert Notice.objects.get().delivered_at is not None
    notices.deliver_due()
    assert len(receiver.messages) == 1


def test_notices_go_after_a_month_unless_they_are_still_due(receiver, webhook):
    for _ in range(2):
        ended()
    notices.deliver_due()
    waiting, young = ended(), ended()
    delivered = Notice.objects.exclude(run__in=(waiting, young))
    Notice.objects.exclude(run=young).update(created_at=timezone.now() - notices.KEEP)
    assert delivered.count() == notices.forget_old() == 2
    assert {notice.run for notice in Notice.objects.all()} == {waiting, young}


def test_a_run_whose_end_is_rolled_back_is_not_told(receiver, webhook):
    run = factories.make_run(status=Run.Status.RUNNING)
    with transaction.atomic():
        states.finish(run.pk, success=True)
        transaction.set_rollback(True)
    notices.deliver_due()
    assert receiver.messages == []


def test_only_the_partners_own_webhooks_that_are_on_are_told(receiver, webhook):
    far = factories.make_tenant("far", partner=factories.make_partner("tx"))
    ended(tenant=far)
    Webhook.objects.update(enabled=False)
    ended()
    notices.deliver_due()
    assert receiver.messages == []


def test_a_receiver_that_fails_is_told_again_later_and_later_under_the_same_id(receiver, webhook):
    receiver.status = 500
    ended()
    busy = timedelta(seconds=20)  # what the machine may have done in between
    for pause in (*notices.PAUSES, None):
        before = timezone.now()
        notices.deliver_due()
        due = Notice.objects.get().next_try_at
        if pause is None:
            assert due is None
        else:
            assert due is not None and pause <= due - before < pause + busy
        notices.deliver_due()  # not yet
        again_now()
    assert len(receiver.messages) == len(notices.PAUSES) + 1
    assert len({message.headers["webhook-id"] for message in receiver.messages}) == 1
    notice = Notice.objects.get()
    assert (notice.delivered_at, notice.outcome) == (None, "It answered 500.")
    again_now()
    assert notices.deliver_due() == 0


def test_a_receiver_that_is_back_is_told(receiver, webhook):
    receiver.status = 503
    ended()
    notices.deliver_due()
    receiver.status = 200
    again_now()
    notices.deliver_due()
    assert len(receiver.messages) == 2
    assert Notice.objects.get().outcome == "It answered 200."


def test_a_receiver_that_is_gone_is_told_no_more(receiver, webhook):
    receiver.status = 410
    ended()
    notices.deliver_due()
    webhook.refresh_from_db()
    assert not webhook.enabled
    assert Notice.objects.get().next_try_at is None


def test_a_secret_is_changed_without_losing_a_message(receiver, webhook):
    old = webhook.secret
    webhook.previous_secret, webhook.secret = old, new_webhook_secret()
    webhook.previous_secret_until = timezone.now() + timedelta(days=1)
    webhook.save()
    ended()
    notices.deliver_due()
    Webhook.objects.update(previous_secret_until=timezone.now())
    ended()
    notices.deliver_due()
    during, after = receiver.messages
    for secret in (old, webhook.secret):
        Verifier(secret).verify(during.body, during.headers)
    Verifier(webhook.secret).verify(after.body, after.headers)
    with pytest.raises(WebhookVerificationError):
        Verifier(old).verify(after.body, after.headers)


def test_of_many_that_deliver_at_once_one_does(receiver, webhook):
    ended()
    barrier = threading.Barrier(6)

    def deliver():
        barrier.wait()
        notices.deliver_due()
        connection.close()

    threads = [threading.Thread(target=deliver) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(receiver.messages) == 1


def test_a_process_that_dies_in_the_middle_delays_a_notice_and_loses_none(
    receiver, webhook, monkeypatch
):
    ended()
    with monkeypatch.context() as patch:
        patch.setattr(webhooks, "send", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            notices._deliver(Notice.objects.get().pk, {})
    assert notices.deliver_due() == 0  # it may still be at work
    Notice.objects.update(next_try_at=timezone.now())  # CLAIM later
    notices.deliver_due()
    assert len(receiver.messages) == 1


def test_a_slow_receiver_does_not_hold_up_the_others(receiver, webhook):
    met = threading.Event()
    receiver.before = lambda: met.wait(20)
    with Receiver() as other:
        other.before = met.set
        Webhook.objects.create(partner=webhook.partner, url=other.url)
        ended()
        notices.deliver_due()
        assert len(receiver.messages) == len(other.messages) == 1


def test_a_receiver_that_trickles_its_answer_is_given_up(monkeypatch):
    monkeypatch.setattr(webhooks, "TIMEOUT", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def trickle():
            wire, _ = server.accept()
            with wire, suppress(OSError):
                wire.sendall(b"HTTP/1.1 200 OK\r\n")
                for _ in range(40):
                    wire.sendall(b"a")
                    time.sleep(0.1)
                wire.sendall(b": b\r\n\r\n")

        thread = threading.Thread(target=trickle)
        thread.start()
        webhook = Webhook(url=f"http://127.0.0.1:{server.getsockname()[1]}/")
        with pytest.raises(webhooks.NotAccepted, match="cannot be reached"):
            webhooks.send(webhook, uuid.uuid4(), {}, timezone.now())
        thread.join()


def test_what_waits_for_a_receiver_that_is_away_does_not_hold_up_the_others(
    receiver, webhook, monkeypatch
):
    monkeypatch.setattr(webhooks, "TIMEOUT", 4.0)
    many = 5 * notices.AT_ONCE
    with Silent() as silent:
        away = Webhook.objects.create(partner=webhook.partner, url=silent.url)
        for _ in range(many):
            ended()
        webhook.notices.exclude(pk=webhook.notices.first().pk).delete()
        notices.deliver_due()
        assert silent.asked <= notices.AT_ONCE
    assert len(receiver.messages) == 1
    waiting = list(away.notices.values_list("tries", "outcome", "next_try_at"))
    assert {tries for tries, *_ in waiting} == {1}
    assert all("cannot be reached" in outcome and again for _, outcome, again in waiting)


def test_webhooks_take_turns(receiver, webhook):
    """Of a burst for one, what another waits for is not at the end."""
    with Receiver() as other:
        busy = Webhook.objects.create(partner=webhook.partner, url=other.url)
        for _ in range(20):
            ended()
        latest = webhook.notices.first()
        webhook.notices.exclude(pk=latest.pk).delete()
        assert notices.due().index(latest.pk) < 2
        assert len(notices.due()) == busy.notices.count() + 1


def test_a_fault_of_ours_is_not_tried_for_ever(receiver, webhook, monkeypatch):
    monkeypatch.setattr(webhooks, "send", lambda *_: 1 / 0)
    ended()
    for _ in range(len(notices.PAUSES) + 1):
        notices.deliver_due()
        again_now()
    notice = Notice.objects.get()
    assert (notice.next_try_at, notice.tries) == (None, len(notices.PAUSES) + 1)
    assert "on our side" in notice.outcome


def test_a_host_in_letters_of_its_own_is_called_by_its_name_in_ascii(receiver, monkeypatch):
    port = int(receiver.url.partition("127.0.0.1:")[2].partition("/")[0])
    asked = []

    def look_up(host, *args, **options):
        asked.append(host)
        return [(2, 1, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr("earthbeam.notify.webhooks.socket.getaddrinfo", look_up)
    webhook = Webhook(url=f"http://bücher.example:{port}/")
    assert webhooks.send(webhook, uuid.uuid4(), {}, timezone.now()) == 204
    assert receiver.messages[0].headers["Host"] == f"xn--bcher-kva.example:{port}"


@pytest.mark.slow
def test_a_receiver_must_have_a_certificate_of_its_name(monkeypatch, tmp_path):
    certificate = make_certificate(tmp_path, "hooks.example.org")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    look_up = socket.getaddrinfo
    monkeypatch.setattr(
        "earthbeam.notify.webhooks.socket.getaddrinfo",
        lambda _, *args, **k: look_up("127.0.0.1", *args, **k),
    )
    with Receiver(certificate) as receiver:
        port = receiver.url.partition("127.0.0.1:")[2].partition("/")[0]
        good = Webhook(url=f"https://hooks.example.org:{port}/")
        assert webhooks.send(good, uuid.uuid4(), {}, timezone.now()) == 204
        other = Webhook(url=f"https://other.example.org:{port}/")
        with pytest.raises(webhooks.NotAccepted, match="cannot be reached"):
            webhooks.send(other, uuid.uuid4(), {}, timezone.now())
        assert len(receiver.messages) == 1


def test_redirects_are_not_followed(receiver, webhook):
    with Receiver() as elsewhere:
        receiver.status, receiver.headers = 307, {"Location": elsewhere.url}
        ended()
        notices.deliver_due()
        assert elsewhere.messages == []
    assert Notice.objects.get().outcome == "It answered 307."


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1"),
        *("0.0.0.0", "[::1]", "[fd00::1]", "[fe80::1]", "[::ffff:127.0.0.1]", "localhost"),  # noqa: S104
        *("2130706433", "0x7f000001", "0177.0.0.1", "127.1", "224.0.0.1", "240.0.0.1"),
        # IPv4 in IPv6: compatible, translated, NAT64, 6to4; and what was site-local.
        *("[::127.0.0.1]", "[::ffff:0:127.0.0.1]", "[64:ff9b::127.0.0.1]", "[2002:7f00:1::]"),
        *("[64:ff9b:1::127.0.0.1]", "[fec0::1]", "[ff02::1]"),
    ],
)
def test_private_addresses_are_refused_however_they_are_written(receiver, settings, host):
    settings.WEBHOOKS_MAY_BE_PRIVATE = False
    port = receiver.url.partition("127.0.0.1:")[2].partition("/")[0]
    Webhook.objects.create(partner=factories.make_partner(), url=f"https://{host}:{port}/")
    ended()
    notices.deliver_due()
    assert receiver.messages == []
    assert "address" in Notice.objects.get().outcome or "no host" in Notice.objects.get().outcome


@pytest.mark.parametrize("host", ["93.184.215.14", "[2606:4700::1]", "[64:ff9b::5db8:d70e]"])
def test_public_addresses_are_fine_also_behind_nat64(settings, host):
    settings.WEBHOOKS_MAY_BE_PRIVATE = False
    assert webhooks.public_address(f"https://{host}/") == host.strip("[]")


def test_plain_http_is_refused_where_it_is_for_real(receiver, webhook, settings):
    settings.WEBHOOKS_MAY_BE_PRIVATE = False
    ended()
    notices.deliver_due()
    assert receiver.messages == []
    assert "https" in Notice.objects.get().outcome


def test_a_name_that_is_looked_up_again_cannot_lead_elsewhere(settings, monkeypatch):
    """A host whose name has a public address when it is checked, and a private one afterwards."""
    settings.WEBHOOKS_MAY_BE_PRIVATE = False
    asked, connected = [], []

    def look_up(host, port, *args, **options):
        asked.append(host)
        address = "93.184.215.14" if len(asked) == 1 else "127.0.0.1"
        return [(2, 1, 6, "", (address, port))]

    def connect(address, *args, **options):
        connected.append(address[0])
        raise OSError

    monkeypatch.setattr("socket.getaddrinfo", look_up)
    monkeypatch.setattr("socket.create_connection", connect)
    webhook = Webhook(partner=factories.make_partner(), url="https://hooks.example.org/")
    with pytest.raises(webhooks.NotAccepted):
        webhooks.send(webhook, factories.make_run().pk, {}, timezone.now())
    assert connected == ["93.184.215.14"]
    assert asked[0] == "hooks.example.org"


@pytest.mark.slow
def test_events_arrive_on_the_event_bus(aws_environment, settings):
    settings.EVENT_BUS = "runway"
    bus, sqs = aws.client("events"), aws.client("sqs")
    bus.create_event_bus(Name="runway")
    url = sqs.create_queue(QueueName="told")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    bus.put_rule(
        Name="all",
        EventBusName="runway",
        EventPattern=json.dumps({"source": ["runway"], "detail-type": ["run_complete"]}),
    )
    bus.put_targets(
        Rule="all", EventBusName="runway", Targets=[{"Id": "1", "Arn": arn["QueueArn"]}]
    )
    run = ended()
    notices.deliver_due()
    (message,) = sqs.receive_message(QueueUrl=url)["Messages"]
    event = json.loads(message["Body"])
    assert event["detail"]["runId"] == str(run.pk)
    assert "604822" not in message["Body"]
    assert Notice.objects.get().delivered_at


@pytest.mark.slow
def test_an_event_bus_that_is_away_is_tried_again(change_aws, settings):
    settings.EVENT_BUS = "runway"
    change_aws(AWS_ENDPOINT_URL="http://127.0.0.1:9")
    ended()
    notices.deliver_due()
    notice = Notice.objects.get()
    assert notice.next_try_at is not None
    assert "did not take it" in notice.outcome
