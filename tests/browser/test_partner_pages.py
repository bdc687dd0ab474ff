import io

import pytest
from django.conf import settings
from playwright.sync_api import expect

from earthbeam import paths
from earthbeam.bundles.descriptor_mapping_csv import MappingTable
from earthbeam.bundles.descriptor_mappings import current, fingerprint, replace
from earthbeam.files import open_store
from earthbeam.jobs.year_settings import YearSetting, settings_of
from earthbeam.models import Run
from partners import audit
from partners.models import OdsConnection
from tests import factories, people
from tests.browser.screens import look

KIND = "gradeLevelDescriptors"
FIRST = "uri://ed-fi.org/GradeLevelDescriptor#First grade"


@pytest.fixture
def partner():
    return factories.make_partner(name="Example Education Service Center")


@pytest.fixture
def admin(partner):
    return people.make_partner_admin()


def add_bundles():
    for name in ("Reading Check", "Math Check", "STAR", "MAP Growth", "PSAT SAT", "Early Literacy"):
        template = factories.BUNDLE_TEMPLATE | {
            "path": f"assessments/{name.replace(' ', '_')}",
            "display_name": name,
        }
        factories.make_bundle(template)


def test_the_partners_page_shows_what_belongs_to_it(open_page, partner, admin):
    factories.make_config()
    add_bundles()
    factories.make_ods_connection()
    OdsConnection.objects.update(check_ok=False)
    page = open_page(admin, "/admin/partners/partner/ea/change/")
    expect(page.get_by_role("button", name="Test connection")).to_be_visible()
    look(page, "partner")
    page.get_by_role("link", name="School years", exact=True).first.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="School years of")).to_be_visible()


def test_who_saw_student_data_is_found_from_the_partners_page(open_page, partner, admin):
    job = factories.make_job(files={})
    for event in ("file downloaded", "unmatched rows viewed"):
        audit.record(job, event, actor=admin, kind="output input_no_student_id_match.csv")
    page = open_page(admin, "/admin/partners/partner/ea/change/")
    page.get_by_role("link", name="Access", exact=True).click()
    expect(page.get_by_text("unmatched rows viewed")).to_be_visible()
    look(page, "partner-access")
    page.get_by_label("Since").select_option("30 days ago")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("2 times in 30 days")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as CSV").click()
    assert download.value.suggested_filename == "ea_access_to_student_data.csv"


def test_a_person_chooses_what_to_be_told_by_email(open_page, partner, admin, settings):
    settings.EMAIL_URL = "smtp://mail.test"
    type(admin).objects.filter(pk=admin.pk).update(email="admin@example.org")
    page = open_page(admin, "/admin/")
    page.get_by_role("link", name="Notifications").click()
    expect(page.get_by_text("at admin@example.org")).to_be_visible()
    look(page, "notifications")
    page.get_by_label("A run failed").select_option("At once")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    expect(page.get_by_label("A run failed")).to_have_value("at_once")


def test_an_empty_partner_leads_on(open_page, partner, admin):
    page = open_page(admin, "/admin/partners/partner/ea/change/")
    expect(page.get_by_text("enabled: no jobs are taken")).to_be_visible()
    look(page, "partner-empty")
    for path in ("years", "bundles", "mappings", "access"):
        page.goto(f"/admin/partners/partner/ea/{path}/")
        look(page, f"partner-empty-{path}")


def test_the_edu_test_looks_right(open_page, partner, admin):
    page = open_page(admin, "/admin/partners/partner/ea/change/")
    page.get_by_role("button", name="Test connection").click()
    expect(page.get_by_text("Runway cannot use EDU.")).to_be_visible()
    look(page, "partner-edu-test")


def test_a_namespace_is_refused_in_words(open_page, partner, admin):
    page = open_page(admin, "/admin/partners/partner/ea/change/")
    page.get_by_label("Descriptor namespace:").fill("ed-fi.org")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("A namespace such as")).to_be_visible()
    look(page, "partner-namespace")


def test_assessments_are_found_and_ticked_by_keyboard(open_page, partner, admin):
    add_bundles()
    partner.bundles.clear()
    page = open_page(admin, "/admin/partners/partner/ea/bundles/")
    look(page, "partner-bundles")
    page.get_by_label("Search").focus()
    page.keyboard.type("check")
    expect(page.get_by_text("2 of 6")).to_be_visible()
    expect(page.get_by_label("STAR")).to_be_hidden()
    look(page, "partner-bundles-search")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Enabled Math Check, Reading Check.")).to_be_visible()
    assert {bundle.display_name for bundle in partner.bundles.all()} == {
        "Math Check",
        "Reading Check",
    }


def test_school_years_are_changed_after_a_look_at_what_changes(open_page, partner, admin):
    for code in ("2324", "2425"):
        factories.make_year(code)
    job = factories.make_job()
    type(job).objects.update(last_run=factories.make_run(job, Run.Status.RUNNING))
    factories.make_config(year=factories.make_year("2425"), sends_to_ods=False)
    for number in range(9):
        factories.make_tenant(f"district_{number}")
    page = open_page(admin, "/admin/partners/partner/ea/years/")
    look(page, "years")
    page.get_by_label("2025-26: enabled").focus()
    page.keyboard.press("Space")
    page.get_by_label("2023-24: enabled").check()
    page.get_by_label("2023-24: destination").select_option("not to an ODS")
    page.get_by_role("button", name="Review changes").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("2025-26: enabled, to the ODS → not enabled")).to_be_visible()
    expect(
        page.get_by_text("1 job is queued or running. It continues as submitted.")
    ).to_be_visible()
    look(page, "years-confirm")
    page.get_by_role("button", name="Edit").click()
    expect(page.get_by_label("2023-24: enabled")).to_be_checked()
    page.get_by_role("button", name="Review changes").click()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved. 2025-26")).to_be_visible()
    assert settings_of(partner)["2324"] == YearSetting(True, False)
    assert not settings_of(partner)["2526"].enabled
    page.get_by_label("2025-26: enabled").check()
    page.get_by_role("button", name="Review changes").click()
    expect(page.get_by_role("button", name="Save")).to_be_visible()
    factories.make_config(year=factories.make_year("2324"))  # somebody else
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Nothing was saved: someone else changed")).to_be_visible()
    look(page, "years-stale")


def test_who_is_not_ready_is_seen(open_page, partner, admin):
    year = factories.make_config().school_year
    other = factories.make_config(year=factories.make_year("2425"), sends_to_ods=False).school_year
    factories.make_ods_connection()
    far = factories.make_tenant("second_district")
    key = paths.roster_key(far, other)
    open_store(settings.FILES_BASE).save(io.BytesIO(b"{}\n"), key)
    page = open_page(admin, f"/admin/partners/partner/ea/years/tenants/?year={year.pk}")
    look(page, "year-tenants-ods")
    page.goto(f"/admin/partners/partner/ea/years/tenants/?year={other.pk}")
    look(page, "year-tenants-rosters")
    page.goto(f"/admin/partners/tenant/{far.pk}/change/")
    look(page, "tenant")
    page.get_by_role("link", name="Check for the roster").click()
    expect(page.get_by_text("Roster file found")).to_be_visible()
    look(page, "tenant-roster")


def test_mappings_go_out_and_come_in_again(open_page, partner, admin, tmp_path):
    add_bundles()
    bundle = partner.bundles.get(display_name="STAR")
    rows = tuple((f"grade {n}", FIRST, f"Local grade {n}") for n in range(1, 5))
    table = MappingTable(("star_grade",), rows)
    replace(partner, bundle, KIND, table, seen=fingerprint(current(partner, bundle, KIND)))
    page = open_page(admin, "/admin/partners/partner/ea/mappings/")
    look(page, "mappings")
    page.get_by_label("Search").fill("star")
    page.get_by_role("link", name=KIND).locator("visible=true").click()
    expect(page.get_by_role("heading", name="Replace them")).to_be_visible()
    look(page, "mapping")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as CSV").click()
    file = tmp_path / "mappings.csv"
    download.value.save_as(file)
    lines = file.read_text(encoding="utf-8-sig").splitlines()
    file.write_text("\n".join([*lines[:3], lines[3].replace("Local", "Our"), "oops"]))
    page.get_by_label("A CSV file").set_input_files(file)
    page.locator("form[enctype] button").click()
    expect(page.get_by_role("alert")).to_contain_text("Row 5: it has 1 cell")
    look(page, "mapping-mistakes")
    file.write_text("\n".join([*lines[:3], lines[3].replace("Local", "Our"), f"new,{FIRST},x"]))
    page.get_by_label("A CSV file").set_input_files(file)
    page.locator("form[enctype] button").click()
    expect(page.get_by_role("heading", name="Replace the mappings")).to_be_visible()
    look(page, "mapping-confirm")
    page.get_by_role("button", name="Replace").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("1 added, 1 removed, 1 changed, 2 unchanged")).to_be_visible()
    page.get_by_role("button", name="Use the assessment’s own instead").click()
    expect(page.get_by_text("All your mappings will be removed.")).to_be_visible()
    look(page, "mapping-remove")
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_text("You have not replaced them")).to_be_visible()
    look(page, "mapping-none")


def test_mappings_are_edited_in_the_page(open_page, partner, admin):
    bundle = factories.make_bundle()
    page = open_page(
        admin, f"/admin/partners/partner/ea/mappings/set/?bundle={bundle.pk}&type={KIND}"
    )
    page.get_by_text("Or edit or paste them here").click()
    page.get_by_label("Rows, as CSV").fill(
        f"grade\tedfi_descriptor\tlocal_descriptor\n1\t{FIRST}\tlocal\n"
    )
    look(page, "mapping-paste")
    page.locator("details").get_by_role("button", name="Review changes").click()
    page.get_by_role("button", name="Replace").click()
    expect(page.get_by_text("1 added, 0 removed")).to_be_visible()
    assert current(partner, bundle, KIND).rows == (("1", FIRST, "local"),)
