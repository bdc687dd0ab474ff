"""What people are told by email: what they have chosen, about what they may see, once."""

import socket
from datetime import UTC, datetime, timedelta

import pytest
from aiosmtpd.controller import Controller
from django.core import mail
from django.utils import timezone

from earthbeam import tasks
from earthbeam.models import Mail, MailChoice
from earthbeam.notify import mails
from earthbeam.runs import states
from partners.models import Membership
from tests import factories, people
from tests.at_once import at_once

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def mail_server_is_set(settings):
    settings.EMAIL_URL = "smtp://mail.test"
    settings.APP_URL = "https://runway.test"


def wants(user, **what):
    type(user).objects.filter(pk=user.pk).update(email=f"{user.username}@example.org")
    MailChoice.objects.create(user=user, **what)
    return user


def failed_run(**fields):
    run = factories.make_run(factories.make_job(**fields) if fields else None, status="running")
    states.fail(run.pk, "earthmover_run", {"message": "Ana Díaz, 9001"})
    return run


def run_with_open_rows():
    run = factories.make_run(status="running")
    factories.make_matches(run, rows=12, ods=9, across_years=0, refused_rows=2)
    states.finish(run.pk, success=True)
    return run


def told():
    return [(message.to, message.subject) for message in mail.outbox]


def test_who_wants_to_know_is_told_of_a_failed_run_with_a_link_and_nothing_of_a_student():
    wants(people.make_user("ana"), failed="at_once")
    run = failed_run()
    tasks.send_mails(timestamp=0)
    [message] = mail.outbox
    assert message.to == ["ana@example.org"]
    assert message.subject.startswith("Runway: a run failed: Reading check, grand_bend, ")
    assert f"https://runway.test/admin/earthbeam/job/{run.job_id}/change/" in message.body
    assert "https://runway.test/notifications/" in message.body
    assert "Díaz" not in message.body and "9001" not in message.body
    tasks.send_mails(timestamp=0)
    assert len(mail.outbox) == 1
    assert not Mail.objects.exists()


def test_rows_that_need_attention_are_told_with_their_numbers():
    wants(people.make_user("ana"), rows="at_once")
    run_with_open_rows()
    mails.send_due()
    assert "rows need attention" in mail.outbox[0].subject
    assert "3 unmatched rows, 2 rows with refused records: need attention." in mail.outbox[0].body


def test_a_run_that_did_without_edu_is_told_to_those_who_are_told_of_rows():
    wants(people.make_user("ana"), rows="at_once")
    run = factories.make_run(status="running", edu_unavailable="edu_connect_failed")
    states.finish(run.pk, success=True)
    mails.send_due()
    assert mail.outbox[0].subject.startswith("Runway: cross-year matching was left out: Reading")
    assert "\nCross-year matching was left out, since EDU could" in mail.outbox[0].body


@pytest.mark.parametrize(
    "choice", [{}, {"failed": "off", "rows": "at_once"}, {"failed": "off", "rows": "daily"}]
)
def test_who_has_not_asked_for_it_is_told_nothing(choice):
    wants(people.make_user("ana"), **choice)
    failed_run()
    assert mails.send_due() == 0 and not Mail.objects.exists()


def test_a_run_that_went_well_is_not_told():
    wants(people.make_user("ana"), failed="at_once", rows="at_once")
    run = factories.make_run(status="running")
    states.finish(run.pk, success=True)
    assert not Mail.objects.exists()


def test_people_are_told_of_the_tenants_that_they_see_alone():
    tenant = factories.make_tenant("elsewhere")
    for person in (
        people.make_user("user"),
        people.make_user("elsewhere", tenant=tenant),
        people.make_partner_admin(),
        people.make_partner_admin("admin-elsewhere", partner=factories.make_partner("other")),
        people.make_superuser(),
    ):
        wants(person, failed="at_once")
    failed_run()
    mails.send_due()
    assert {to for [to], _ in told()} == {
        f"{name}@example.org" for name in ("user", "admin", "root")
    }


def test_who_has_lost_a_membership_meanwhile_is_told_nothing():
    user = wants(people.make_user("ana"), failed="at_once")
    failed_run()
    Membership.objects.filter(user=user).delete()
    assert mails.send_due() == 0
    assert not Mail.objects.exists() and not mail.outbox


def test_once_a_day_all_of_it_comes_in_one_mail_failures_first():
    wants(people.make_user("ana"), failed="daily", rows="daily")
    run_with_open_rows()
    failed_run()
    assert mails.send_due() == 0
    assert {each.due_at.time() for each in Mail.objects.all()} == {mails.DAILY_AT}
    Mail.objects.update(due_at=timezone.now())
    assert mails.send_due() == 1
    [message] = mail.outbox
    assert message.subject == "Runway: 2 jobs need attention"
    assert message.body.index("The run failed.") < message.body.index("unmatched rows")


def test_a_job_that_has_been_run_again_meanwhile_is_not_told_of_its_earlier_run():
    wants(people.make_user("ana"), failed="daily")
    run = failed_run()
    factories.make_run(run.job, status="success")
    Mail.objects.update(due_at=timezone.now())
    assert mails.send_due() == 0
    assert not Mail.objects.exists() and not mail.outbox


@pytest.mark.parametrize(
    ("hour", "day"), [(5, 28), (6, 29), (23, 29)], ids=["before six", "at six", "after six"]
)
def test_once_a_day_is_the_next_six_oclock(hour, day):
    now = datetime(2026, 11, 28, hour, 0, tzinfo=UTC)
    assert mails._due("daily", now) == datetime(2026, 11, day, 6, 0, tzinfo=UTC)


def test_many_jobs_are_listed_up_to_a_number():
    wants(people.make_superuser(), failed="daily")
    for _ in range(mails.MOST_LISTED + 2):
        failed_run()
    Mail.objects.update(due_at=timezone.now())
    mails.send_due()
    assert "and 2 more: https://runway.test/admin/earthbeam/job/" in mail.outbox[0].body


def test_a_name_with_a_line_break_adds_no_header():
    wants(people.make_user("ana"), failed="at_once")
    template = factories.BUNDLE_TEMPLATE | {"display_name": "Check\r\nBcc: all@example.org"}
    failed_run(bundle_template=template)
    assert mails.send_due() == 1
    assert "Bcc" not in mail.outbox[0].message()


def test_without_a_mail_server_nothing_is_kept_for_later(settings):
    settings.EMAIL_URL = None
    wants(people.make_user("ana"), failed="at_once")
    failed_run()
    assert not Mail.objects.exists()


@pytest.fixture
def smtp(settings):
    """A real server, which keeps what it gets."""

    class Box:
        def __init__(self):
            self.mails, self.answer = [], "250 OK"

        async def handle_DATA(self, server, session, envelope):
            if self.answer.startswith("250"):
                self.mails.append((envelope.rcpt_tos, envelope.content.decode()))
            return self.answer

        async def handle_RCPT(self, server, session, envelope, address, options):
            if "nowhere" in address:
                return "550 no such mailbox"
            envelope.rcpt_tos.append(address)
            return "250 OK"

    box = Box()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = Controller(box, hostname="127.0.0.1", port=port)
    server.start()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port
    settings.EMAIL_USE_TLS = False
    yield box
    server.stop()


def test_a_mail_goes_out_over_smtp(smtp):
    wants(people.make_user("ana"), failed="at_once")
    failed_run()
    assert mails.send_due() == 1
    [(to, content)] = smtp.mails
    assert to == ["ana@example.org"]
    assert "Subject: Runway: a run failed" in content


def test_a_server_that_fails_gets_the_mail_later(smtp):
    wants(people.make_user("ana"), failed="at_once")
    failed_run()
    smtp.answer = "451 try again later"
    assert mails.send_due() == 0
    waiting = Mail.objects.get()
    assert waiting.tries == 1 and waiting.due_at > timezone.now() + timedelta(minutes=9)
    smtp.answer = "250 OK"
    Mail.objects.update(due_at=timezone.now())
    assert mails.send_due() == 1 and len(smtp.mails) == 1


def test_a_server_that_is_away_is_tried_for_a_day(smtp, settings):
    settings.EMAIL_PORT = 1
    wants(people.make_user("ana"), failed="at_once")
    failed_run()
    assert mails.send_due() == 0
    Mail.objects.update(due_at=timezone.now(), tries=mails.MOST_TRIES)
    assert mails.send_due() == 0
    assert not Mail.objects.exists()


def test_an_address_that_is_not_taken_is_given_up_and_harms_no_one(smtp):
    nobody = wants(people.make_user("ana"), failed="at_once")
    type(nobody).objects.filter(pk=nobody.pk).update(email="ana@nowhere.example.org")
    wants(people.make_partner_admin(), failed="at_once")
    failed_run()
    assert mails.send_due() == 1
    assert [to for to, _ in smtp.mails] == [["admin@example.org"]]
    assert not Mail.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_send_a_mail_once(smtp):
    wants(people.make_user("ana"), failed="at_once")
    failed_run()
    assert sorted(at_once([mails.send_due, mails.send_due])) == [0, 1]
    assert len(smtp.mails) == 1


def test_each_person_chooses_on_a_page_of_their_own(client):
    user = people.make_user("ana")
    client = people.logged_in(user)
    page = client.get("/notifications/").content.decode()
    assert "no email address" in page
    answer = client.post("/notifications/", {"failed": "at_once", "rows": "daily"}, follow=True)
    assert "Saved." in answer.content.decode()
    choice = MailChoice.objects.get()
    assert (choice.user, choice.failed, choice.rows) == (user, "at_once", "daily")
    answer = client.post("/notifications/", {"failed": "hourly", "rows": "daily"})
    assert "Select a valid choice" in answer.content.decode()
