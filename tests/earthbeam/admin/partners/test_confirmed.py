"""The page of a partner's confirmed students."""

import csv
import io

import pytest
from auditlog.models import LogEntry
from cryptography.fernet import Fernet
from django.contrib.admin.models import LogEntry as History
from django.core.files.uploadedfile import SimpleUploadedFile

from earthbeam.jobs.confirmed_students import Confirmed, opened, remember
from earthbeam.models import ConfirmedStudent
from partners.models import Partner
from tests import factories, people

pytestmark = pytest.mark.django_db

URL = "/admin/partners/partner/ea/confirmed/"


@pytest.fixture
def tenant(db):
    return factories.make_tenant(partner=factories.make_partner(identity_checks="hold"))


@pytest.fixture
def client(tenant):
    return people.logged_in(people.make_partner_admin())


def shown(answer):
    return " ".join(answer.content.decode().split())


def keep(tenant, *pairs, **more):
    remember(tenant, [Confirmed("StudentID", *pair) for pair in pairs], by="ana", **more)


def kept():
    return {tuple(opened(row))[1:] for row in ConfirmedStudent.objects.all()}


def bring(client, tenant, content):
    file = SimpleUploadedFile("crosswalk.csv", content)
    return client.post(f"{URL}import/", {"tenant": tenant.pk, "file": file}, follow=True)


def test_an_empty_page_says_what_this_is_and_how_to_begin(client):
    text = shown(client.get(URL))
    assert "Runway remembers whom the row’s ID stands for" in text
    assert "forgotten after 400 days" in text
    assert "None yet." in text
    assert "Identity checks are off" not in text
    Partner.objects.update(identity_checks="off")
    assert "Identity checks are off, so none of these are used." in shown(client.get(URL))


def test_each_is_listed_with_who_confirmed_it_when_and_for_which_job(client, tenant):
    job = factories.make_job(tenant=tenant)
    keep(tenant, ("0077", "604822"), job=job)
    keep(tenant, ("78", "604823"))
    text = shown(client.get(URL))
    for words in ("2 confirmed students", "0077", "604822", "ana", "CSV file", str(job.pk)):
        assert words in text
    assert LogEntry.objects.filter(
        additional_data__event="confirmed students viewed", object_pk="ea"
    ).exists()
    of_job = shown(client.get(f"{URL}?job={job.pk}"))
    assert "1 confirmed student found" in of_job
    assert "Revoke all 1 of this job" in of_job


def test_one_is_found_by_either_id_which_appears_in_no_address(client, tenant):
    keep(tenant, ("0077", "604822"), ("78", "604823"))
    for sought in ("0077", "604822"):
        text = shown(client.post(URL, {"q": sought}))
        assert "1 confirmed student found" in text
        assert "604823" not in text
        assert f"q={sought}" not in text
    assert "None match." in shown(client.post(URL, {"q": "nothing"}))


def test_selected_ones_are_revoked_and_the_history_says_how_many(client, tenant):
    keep(tenant, ("77", "1"), ("78", "2"), ("79", "3"))
    rows = {opened(row).id: row.pk for row in ConfirmedStudent.objects.all()}
    answer = client.post(f"{URL}revoke/", {"row": [rows["77"], rows["79"]]}, follow=True)
    assert "Revoked 2 confirmed students." in shown(answer)
    assert kept() == {("78", "2")}
    assert "Revoked 2 confirmed students." in History.objects.latest("pk").change_message
    assert "select at least one row" in shown(client.post(f"{URL}revoke/", {}, follow=True))
    assert kept() == {("78", "2")}


def test_all_of_a_job_are_revoked_at_once_and_no_others(client, tenant):
    job = factories.make_job(tenant=tenant)
    keep(tenant, ("77", "1"), ("78", "2"), job=job)
    keep(tenant, ("79", "3"))
    client.post(f"{URL}revoke/?job={job.pk}", {"all": "yes"})
    assert kept() == {("79", "3")}
    client.post(f"{URL}revoke/?job=nonsense", {"all": "yes"})
    assert kept() == {("79", "3")}


def test_ones_of_another_partner_are_neither_shown_nor_revoked(client):
    elsewhere = factories.make_tenant(partner=factories.make_partner("tx"), code="austin")
    keep(elsewhere, ("77", "604822"))
    assert "604822" not in shown(client.post(URL, {"q": "77"}))
    client.post(f"{URL}revoke/", {"row": [ConfirmedStudent.objects.get().pk]})
    client.post(f"{URL}revoke/", {"all": "yes"})
    assert kept() == {("77", "604822")}
    assert "Choose a tenant and a file" in shown(bring(client, elsewhere, b"column,id\n"))


def test_a_districts_list_is_added_and_the_page_says_what_changed(client, tenant):
    keep(tenant, ("77", "1"), ("78", "2"))
    content = b"column,id,studentUniqueId\nStudentID,77,9\nStudentID,78,2\nStudentID,079,3\n"
    assert "1 added, 1 changed, 1 unchanged" in shown(bring(client, tenant, content))
    assert kept() == {("77", "9"), ("78", "2"), ("079", "3")}


def test_a_list_with_a_mistake_changes_nothing(client, tenant):
    content = b"column,id,studentUniqueId\nStudentID,77,9\nStudentID,,2\n"
    text = shown(bring(client, tenant, content))
    assert "Nothing was saved." in text
    assert "Row 3: id is empty." in text
    assert kept() == set()


def test_the_download_is_recorded_and_can_be_imported_again(client, tenant):
    keep(tenant, ("0077", "604822"))
    content = client.get(f"{URL}export/").getvalue()
    [row] = csv.DictReader(io.StringIO(content.decode("utf-8-sig")))
    assert (row["column"], row["id"], row["studentUniqueId"]) == ("StudentID", "0077", "604822")
    assert (row["tenant"], row["confirmedBy"]) == ("grand_bend", "ana")
    assert LogEntry.objects.filter(additional_data__event="confirmed students downloaded").exists()
    assert "1 unchanged" in shown(bring(client, tenant, content))


def test_what_cannot_be_decrypted_is_listed_as_such_and_can_be_revoked(client, tenant, settings):
    keep(tenant, ("77", "604822"))
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    assert "(cannot be decrypted)" in shown(client.get(URL))
    assert len(client.get(f"{URL}export/").getvalue().splitlines()) == 1
    client.post(f"{URL}revoke/", {"row": [ConfirmedStudent.objects.get().pk]})
    assert not ConfirmedStudent.objects.exists()


def test_many_are_shown_in_pages_that_take_few_queries(
    client, tenant, django_assert_max_num_queries
):
    keep(tenant, *((str(number), "1") for number in range(120)))
    with django_assert_max_num_queries(20):
        text = shown(client.get(f"{URL}?tenant={tenant.pk}&page=3"))
    assert "Page 3 of 3" in text
    assert text.count('name="row"') == 20


def test_no_audit_entry_has_an_id(client, tenant):
    keep(tenant, ("0077", "604822"))
    client.get(URL)
    client.post(URL, {"q": "604822"})
    client.get(f"{URL}export/")
    client.post(f"{URL}revoke/", {"row": [ConfirmedStudent.objects.get().pk]})
    told = [str(vars(entry)) for entry in (*LogEntry.objects.all(), *History.objects.all())]
    assert not any("604822" in each or "0077" in each for each in told)


def test_numbers_that_no_row_can_have_are_not_found(client, tenant):
    keep(tenant, ("77", "1"))
    huge = "9" * 30
    assert "None match." in shown(client.get(f"{URL}?tenant={huge}"))
    client.post(f"{URL}revoke/", {"row": [huge]})
    file = SimpleUploadedFile("crosswalk.csv", b"column,id,studentUniqueId\n")
    answer = client.post(f"{URL}import/", {"tenant": huge, "file": file})
    assert "Choose a tenant and a file." in shown(answer)
    assert kept() == {("77", "1")}
