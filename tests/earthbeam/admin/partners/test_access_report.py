"""The report of who has seen or taken student data."""

import csv
import io
import re
from datetime import timedelta
from pathlib import Path

import pytest
from auditlog.models import LogEntry
from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from access.trail_admin import EVENTS
from partners import audit
from tests import factories, people

pytestmark = pytest.mark.django_db
URL = "/admin/partners/partner/ea/access/"


@pytest.fixture
def job(db):
    job = factories.make_job(files={})
    factories.store_file(job, "output/input_no_student_id_match.csv")
    return job


@pytest.fixture
def client(job):
    return people.logged_in(people.make_partner_admin())


def shown(answer):
    return " ".join(re.sub(r"<[^>]+>", " ", answer.content.decode()).split())


def table(answer):
    text = b"".join(answer.streaming_content).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text)))


def download(job):
    key = "output/input_no_student_id_match.csv"
    person = people.logged_in(people.make_user())
    assert person.get(reverse("admin:earthbeam_job_file", args=[job.pk, key])).status_code == 200


def test_a_download_is_told_with_who_what_which_job_and_from_where(client, job):
    download(job)
    text = shown(client.get(URL))
    assert "1 time" in text
    assert " user file downloaded " in text and str(job) in text
    assert "output input_no_student_id_match.csv" in text and "127.0.0.1" in text
    [row] = table(client.get(f"{URL}export/"))
    assert (row["what"], row["job"], row["address"]) == (
        *("file downloaded", str(job.pk)),
        "127.0.0.1",
    )
    assert row["who"] == "user"


def test_what_systems_fetch_is_told_by_their_client(client, job):
    audit.record(job, "unmatched rows read", client="edu-loader")
    assert "API client edu-loader" in shown(client.get(URL))


def test_what_is_no_look_at_students_is_left_out(client, job):
    audit.record(job, "legal hold begun")
    assert "None." in shown(client.get(URL))


def test_it_can_be_narrowed_to_a_job_and_to_some_days(client, job):
    other = factories.make_job(files={})
    for each in (job, other):
        audit.record(each, "run log viewed")
    audit.record(job.tenant.partner, "confirmed students viewed")
    old = LogEntry.objects.filter(object_pk=str(other.pk))
    old.update(timestamp=timezone.now() - timedelta(days=60))
    export = f"{URL}export/"
    assert len(table(client.get(export))) == 3
    assert [row["job"] for row in table(client.get(export, {"job": other.pk}))] == [str(other.pk)]
    assert len(table(client.get(export, {"days": "30"}))) == 2
    assert len(table(client.get(export, {"days": "x", "job": "y"}))) == 3
    assert "2 times that someone saw" not in shown(client.get("/admin/partners/partner/ea/change/"))
    assert "times in 30 days that someone saw or took student data" in shown(
        client.get("/admin/partners/partner/ea/change/")
    )


def test_other_partners_looks_are_not_told(client, job):
    theirs = factories.make_job(
        tenant=factories.make_tenant("elsewhere", partner=factories.make_partner("other"))
    )
    audit.record(theirs, "run log viewed")
    assert table(client.get(f"{URL}export/")) == []
    assert table(client.get(f"{URL}export/", {"job": theirs.pk})) == []


def test_a_cell_is_never_calculated(client, job):
    audit.record(job, "unmatched rows read", client="x", kind="y")
    LogEntry.objects.update(additional_data={"event": "run log viewed", "actor": "=1+1"})
    assert table(client.get(f"{URL}export/"))[0]["who"] == "'=1+1"


def test_every_event_can_be_filtered_for_in_the_audit_trail():
    literal = re.compile(r'audit\.record\(\s*[^,()]+(?:\([^()]*\))?,\s*"([^"]+)"')
    recorded = {
        event
        for folder in ("access", "earthbeam", "partners")
        for path in Path(settings.BASE_DIR, folder).rglob("*.py")
        for event in literal.findall(path.read_text())
    }
    assert len(recorded) > 20
    assert recorded - set(EVENTS) == set()
