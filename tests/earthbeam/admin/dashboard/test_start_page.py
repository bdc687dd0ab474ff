from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from earthbeam.admin.dashboard.matches_chart import WEEKS
from earthbeam.admin.dashboard.start_page import COUNTED, dashboard
from earthbeam.jobs.lifecycle import start_run
from earthbeam.models import Job, Run, RunError
from partners.models import Membership, OdsConnection, Partner, SchoolYearConfig
from tests import factories, people

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin():
    return people.make_partner_admin()


def ended(status=Run.Status.ERROR, code=None, **fields):
    run = factories.make_run(factories.make_job(**fields), status)
    if code:
        factories.make_error(run, code)
    return run


def jobs(lines):
    return [line.job for line in lines]


def test_jobs_with_errors_or_unmatched_rows_are_to_be_looked_at_until_resolved(admin):
    failed, complete, unmatched = ended(), ended(Run.Status.SUCCESS), ended(Run.Status.SUCCESS)
    factories.make_matches(unmatched)
    ended(resolved_at=timezone.now())
    shown = dashboard(admin)
    assert jobs(shown.needs_attention) == [unmatched.job, failed.job]
    assert shown.needs_attention_count == 2
    assert (
        shown.needs_attention[0].detail
        == "251 to the ODS, 44 matched to a prior year, 17 unmatched"
    )
    assert complete.job in jobs(shown.recent)


def test_jobs_are_told_apart_by_their_files(admin):
    client = people.logged_in(admin)
    for name in ("fall.csv", "spring.csv"):
        ended(files={"INPUT_FILE": (name, b"a\n1\n"), "INPUT_FILE_SKILLS": ("s.csv", b"a\n1\n")})
    ended(Run.Status.RUNNING, files={})
    shown = dashboard(admin)
    assert [line.file for line in shown.needs_attention] == ["spring.csv", "fall.csv"]
    assert shown.in_progress[0].file == ""
    page = client.get(reverse("admin:index")).content.decode()
    assert page.count("fall.csv") == page.count("spring.csv") == 2  # to look at, and recent


def test_a_job_that_goes_to_no_ods_is_not_counted_in_one(admin):
    run = ended(Run.Status.SUCCESS, send_to_ods=False)
    factories.make_matches(run, rows=5, ods=0, across_years=3)
    assert dashboard(admin).needs_attention[0].detail == "3 matched, 2 unmatched"


def test_jobs_in_progress_are_counted_and_those_that_run_come_first(admin):
    queued, running = ended(Run.Status.NEW), ended(Run.Status.RUNNING)
    shown = dashboard(admin)
    assert (shown.running, shown.queued) == (1, 1)
    assert jobs(shown.in_progress) == [running.job, queued.job]


def test_very_many_are_not_counted_to_the_last(admin, monkeypatch):
    monkeypatch.setattr("earthbeam.admin.dashboard.start_page.COUNTED", 2)
    for _ in range(3):
        ended()
    assert dashboard(admin).needs_attention_count == "more than 2"
    assert COUNTED > 2


def test_an_ods_that_failed_is_shown_until_it_works_or_is_renewed(admin):
    run = ended(code="lightbeam_fetch")
    (trouble,) = dashboard(admin).ods_trouble
    assert (trouble.tenant, trouble.failed) == (run.job.tenant, 1)
    assert trouble.connection_id == OdsConnection.objects.get().pk
    later = ended(Run.Status.SUCCESS)
    assert dashboard(admin).ods_trouble == []
    later.job.delete()
    assert len(dashboard(admin).ods_trouble) == 1
    OdsConnection.objects.update(created_at=timezone.now())
    assert dashboard(admin).ods_trouble == []


def failed_test(**fields):
    connection = factories.make_ods_connection(**fields)
    OdsConnection.objects.filter(pk=connection.pk).update(
        check_ok=False,
        checked_at=timezone.now() - timedelta(hours=3),
        check_message="The ODS refused the credentials.\nAsk for others.",
    )
    return connection


def start_page(user):
    return " ".join(people.logged_in(user).get("/admin/").content.decode().split())


def test_a_connection_whose_test_failed_is_shown_until_it_is_retired_or_works(admin):
    connection = failed_test()
    (trouble,) = dashboard(admin).ods_trouble
    assert (trouble.connection_id, trouble.failed) == (connection.pk, 0)
    page = start_page(admin)
    assert "failed 3 hours ago: The ODS refused the credentials." in page
    assert reverse("admin:partners_odsconnection_change", args=[connection.pk]) in page
    OdsConnection.objects.update(check_ok=True)
    assert dashboard(admin).ods_trouble == []
    OdsConnection.objects.update(check_ok=False, retired_at=timezone.now())
    assert dashboard(admin).ods_trouble == []


def test_an_ods_that_fails_jobs_and_its_test_is_one_trouble(admin):
    run = ended(code="lightbeam_send")
    OdsConnection.objects.update(
        check_ok=False, checked_at=timezone.now(), check_message="It is away."
    )
    (trouble,) = dashboard(admin).ods_trouble
    assert (trouble.tenant, trouble.failed, trouble.finding) == (run.job.tenant, 1, "It is away.")


def test_links_lead_only_to_what_the_person_may_open(admin):
    """An admin of one partner may be a user of another."""
    far = factories.make_tenant("far", partner=factories.make_partner("tx"))
    Membership.objects.create(user=admin, partner=far.partner).tenants.add(far)
    factories.make_config()
    factories.make_config(partner=far.partner, year=factories.make_year("2425"))
    factories.make_tenant()
    connection = failed_test(tenant=far)
    page = start_page(admin)
    assert "A partner admin can check the connection." in page
    assert reverse("admin:partners_odsconnection_change", args=[connection.pk]) not in page
    assert reverse("admin:partners_partner_years", args=["ea"]) in page
    assert "A partner admin can set this up." in page
    assert reverse("admin:partners_partner_years", args=["tx"]) not in page


@pytest.mark.parametrize("change", ["resolved", "run again", "long ago", "another error"])
def test_what_nobody_waits_for_is_no_trouble_of_a_connection(admin, change):
    run = ended(code="lightbeam_send")
    assert len(dashboard(admin).ods_trouble) == 1
    if change == "resolved":
        Job.objects.update(resolved_at=timezone.now())
    elif change == "run again":
        start_run(run.job)
    elif change == "long ago":
        RunError.objects.update(at=timezone.now() - timedelta(days=20))
    else:
        RunError.objects.update(code="insufficient_matches")
    assert dashboard(admin).ods_trouble == []


def test_edu_is_in_trouble_if_never_reached_or_if_a_roster_failed(admin):
    partner = Partner.objects.get()
    assert dashboard(admin).edu_trouble == []
    factories.make_partner(cross_year_match_enabled=True)
    (never,) = dashboard(admin).edu_trouble
    assert (never.partner, never.failed) == (partner, 0)
    factories.make_partner(edu_connected_at=timezone.now())
    assert dashboard(admin).edu_trouble == []
    ended(code="cross_year_roster_fetch")
    (failed,) = dashboard(admin).edu_trouble
    assert failed.failed == 1
    factories.make_partner(cross_year_match_enabled=False)
    assert dashboard(admin).edu_trouble == []


def missing(user):
    return [gap.missing for gap in dashboard(user).gaps]


def test_a_year_is_not_ready_while_tenants_lack_an_ods_connection(admin):
    factories.make_config()
    for n in range(5):
        factories.make_tenant(f"district_{n}")
    factories.make_ods_connection(tenant=factories.make_tenant("district_0"))
    assert missing(admin) == [
        "No ODS connection for 4 of 5 tenants: district_1, district_2, district_3 and 1 more."
    ]
    user = people.make_user(tenant=factories.make_tenant("district_1"))
    assert missing(user) == ["No ODS connection for 1 of 1 tenants: district_1."]
    SchoolYearConfig.objects.update(enabled=False)
    assert missing(admin) == ["No school year is enabled, so no job is taken."]
    assert missing(user) == []


def test_a_year_without_ods_needs_cross_year_matching_or_roster_files(admin):
    factories.make_tenant()
    factories.make_config(sends_to_ods=False)
    assert "roster file" in missing(admin)[0]
    factories.make_partner(cross_year_match_enabled=True)
    assert missing(admin) == []


def test_the_chart_adds_up_completed_jobs_week_by_week(admin, monkeypatch):
    now = timezone.now()
    monkeypatch.setattr("django.utils.timezone.now", lambda: now)  # a week might begin in between
    for weeks in (0, 0, 1, WEEKS):
        run = ended(Run.Status.SUCCESS)
        factories.make_matches(run)
        Job.objects.filter(pk=run.job_id).update(created_at=timezone.now() - timedelta(weeks=weeks))
    factories.make_matches(ended())  # failed: nothing of it arrived
    chart = dashboard(admin).chart
    assert [week.rows for week in chart.weeks] == [0] * (WEEKS - 2) + [312, 624]
    assert (chart.total.ods, chart.total.across_years, chart.total.unmatched) == (753, 132, 51)
    assert chart.weeks[-1].start.weekday() == 0
    week, _, bars = chart.columns[-1]
    assert [bar.kind for bar in bars] == ["ods", "edu", "unmatched"]
    assert sum(bar.height for bar in bars) == pytest.approx(100, abs=0.1)
    assert week == chart.weeks[-1]


def test_nobody_sees_what_is_of_others(admin):
    far = factories.make_tenant(
        "far", partner=factories.make_partner("tx", cross_year_match_enabled=True)
    )
    factories.make_config()
    for code in ("lightbeam_send", "cross_year_roster_fetch"):
        ended(code=code, tenant=far)
    failed_test(tenant=far, year=factories.make_year("2425"))
    factories.make_run(factories.make_job(tenant=far), Run.Status.RUNNING)
    factories.make_matches(ended(Run.Status.SUCCESS, tenant=far))
    factories.make_tenant("unconnected", partner=far.partner)
    for user in (admin, people.make_user()):
        shown = dashboard(user)
        assert shown.all_is_well or {gap.partner.pk for gap in shown.gaps} == {"ea"}
        assert (shown.recent, shown.in_progress, shown.running) == ([], [], 0)
        assert shown.chart.total.rows == 0


def test_somebody_without_membership_learns_what_is_missing_instead():
    user = people.make_user()
    user.memberships.all().delete()
    page = people.logged_in(user).get("/admin/", follow=True).content.decode()
    assert "Your account has no access yet" in page
    assert "New job" not in page


def test_a_superuser_is_led_from_an_empty_installation_to_the_first_job():
    superuser = people.make_superuser()
    client = people.logged_in(superuser)

    def open_steps():
        return [step.label for step in dashboard(superuser).first_steps if not step.done]

    assert open_steps()[0] == "Add a partner"
    assert len(open_steps()) == 7
    for step in dashboard(superuser).first_steps:
        assert client.get(step.url).status_code == 200
    page = client.get(reverse("admin:earthbeam_job_add")).content.decode()
    assert "Ask a partner admin" not in page
    assert "Add the first tenant" in page

    connection = factories.make_ods_connection()
    bundle = factories.make_bundle()
    bundle.enabled_for.clear()
    assert "Enable assessments for the partner" in open_steps()
    of_tenant = {"tenant": connection.tenant_id}
    page = client.get(reverse("admin:earthbeam_job_add"), of_tenant).content.decode()
    assert "Ask a partner admin" not in page
    bundle.enabled_for.add(connection.tenant.partner)
    assert "Enable assessments for the partner" not in open_steps()
    for step in dashboard(superuser).first_steps:
        assert client.get(step.url).status_code == 200

    assert dashboard(people.make_partner_admin()).first_steps == []
    factories.make_job()
    assert dashboard(superuser).first_steps == []
