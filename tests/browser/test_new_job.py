import base64
import hashlib

import pytest
from playwright.sync_api import expect

from earthbeam import files
from earthbeam.models import Job, JobFile
from tests import factories, people
from tests.browser.conftest import session_cookie
from tests.browser.screens import look

ADD = "/admin/earthbeam/job/add/"
GOOD = factories.SCORES
EXCEL = b"PK\x03\x04" + bytes(200)


@pytest.fixture
def user():
    """Somebody of one tenant who may load one assessment, for one year of two."""
    factories.make_config()
    factories.make_ods_connection()
    factories.make_config(year=factories.make_year("2425"))
    bundle = factories.make_bundle()
    bundle.student_id_columns = ["student_id", "state_id"]
    bundle.save()
    return people.make_user()


@pytest.fixture
def page(open_page, user):
    """The page with the assessment chosen."""
    page = open_page(user, ADD)
    page.get_by_label("Assessment").select_option("Reading check")
    expect(page.get_by_role("group", name="School year")).to_be_visible()
    return page


def drop(page, *contents, label="Scores"):
    """Drop files, each a name and its bytes, as a mouse does."""
    data = page.evaluate_handle(
        """files => { const data = new DataTransfer();
        for (const [name, content] of files) {
            const bytes = Uint8Array.from(atob(content), (char) => char.charCodeAt(0));
            data.items.add(new File([bytes], name));
        } return data; }""",
        [[name, base64.b64encode(content).decode()] for name, content in contents],
    )
    page.locator(f".rw-drop[data-label='{label}']").dispatch_event("drop", {"dataTransfer": data})


def row(page, name):
    """The list's entry of a file."""
    return page.locator(".rw-files li").filter(has=page.get_by_text(name, exact=True))


def button(page):
    return page.get_by_role("button", name="Submit")


def on_job_page(page):
    page.wait_for_url("**/change/")
    return Job.objects.get(pk=page.url.split("/")[-3])


def test_a_file_is_dropped_checked_and_submitted(open_page, user):
    page = open_page(user, ADD)
    look(page, "new-job-empty")
    page.get_by_label("Assessment").focus()
    page.get_by_label("Assessment").select_option("Reading check")
    expect(page.get_by_role("group", name="School year")).to_be_visible()
    expect(page.get_by_label("Assessment")).to_be_focused()
    assert "bundle=assessments%2FReading_Check" in page.url
    expect(page.get_by_label("2025-26")).to_be_checked()
    page.get_by_text("1 school year not available").click()
    expect(page.get_by_text("has no active ODS connection for 2024-25")).to_be_visible()
    look(page, "new-job-chosen")
    page.get_by_label("Form").select_option("B")
    drop(page, ("scores.csv", GOOD))
    expect(row(page, "scores.csv")).to_contain_text("Ready")
    expect(row(page, "scores.csv")).to_contain_text("Text in UTF-8")
    look(page, "new-job-filled")
    button(page).click()
    job = on_job_page(page)
    assert job.input_params == {"FORM": "B"}
    assert job.files.get().sha256 == hashlib.sha256(GOOD).hexdigest()
    assert job.runs.count() == 1


def test_what_cannot_be_loaded_is_refused_before_it_is_uploaded(page):
    drop(page, ("scores.csv", EXCEL))
    expect(row(page, "scores.csv")).to_contain_text("is an Excel workbook or a zip archive")
    look(page, "new-job-refused")
    uploads = []
    page.on(
        "request",
        lambda request: uploads.append(request.url) if "check" not in request.url else None,
    )
    button(page).click()
    expect(page.locator("#outcome")).to_contain_text("Nothing was submitted")
    expect(page.locator("#outcome")).to_be_focused()
    assert uploads == []
    row(page, "scores.csv").get_by_role("button", name="Remove scores.csv").click()
    expect(page.locator(".rw-files li")).to_have_count(0)
    button(page).click()
    expect(page.get_by_text("Choose a file.")).to_be_visible()
    expect(page.get_by_label("Scores", exact=True)).to_be_focused()
    look(page, "new-job-no-file")


def test_what_may_be_wrong_is_a_warning_with_a_link_and_can_be_submitted(page):
    factories.make_job(files={})
    earlier = Job.objects.get()
    content = b"name,score\nA,1\n"
    JobFile.objects.create(
        job=earlier,
        template_key="INPUT_FILE",
        name="a.csv",
        stored_name="INPUT_FILE__a.csv",
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )
    drop(page, ("scores.csv", content), ("copy.csv", content))
    warned = row(page, "scores.csv")
    expect(warned).to_contain_text("none of the columns that hold student IDs")
    expect(warned.get_by_role("link", name="Reading check")).to_have_attribute(
        "href", f"/admin/earthbeam/job/{earlier.pk}/change/"
    )
    expect(row(page, "copy.csv")).to_contain_text("same content as scores.csv")
    look(page, "new-job-warned")
    row(page, "copy.csv").get_by_role("button").click()
    button(page).click()
    assert on_job_page(page).files.get().name == "scores.csv"


def test_the_button_does_not_move_away_from_a_click_while_files_are_checked(page):
    held = []
    page.route("**/check/", lambda route: held.append(route))
    drop(page, ("scores.csv", GOOD))
    expect(row(page, "scores.csv")).to_contain_text("Checking")
    while not held:
        page.wait_for_timeout(20)
    before = button(page).bounding_box()["y"]
    held.pop().continue_()
    expect(row(page, "scores.csv")).to_contain_text("Ready")
    assert button(page).bounding_box()["y"] == pytest.approx(before, abs=1)  # pixel


def test_several_files_become_jobs_of_their_own_and_one_failing_stops_no_other(page, monkeypatch):
    save = files.DirectoryStore.save

    def sometimes(self, stream, key):
        if "full" in key:
            raise OSError(28, "No space left on device")
        return save(self, stream, key)

    monkeypatch.setattr(files.DirectoryStore, "save", sometimes)
    drop(page, *((f"{name}.csv", GOOD + name.encode() + b",1\n") for name in ("a", "full", "c")))
    drop(page, ("d.csv", EXCEL))
    for name in ("a.csv", "full.csv", "c.csv"):
        expect(row(page, name)).to_contain_text("Ready")
    expect(row(page, "d.csv")).to_contain_text("Cannot be loaded")
    expect(page.get_by_role("button", name="Submit 3 jobs")).to_be_visible()
    button(page).click()
    outcome = page.locator("#outcome")
    expect(outcome).to_contain_text(
        "2 jobs were submitted; 1 of 3 files was not. 1 file cannot be loaded. "
        "The reason is next to each file. Submit again to retry."
    )
    expect(outcome).to_be_focused()
    expect(row(page, "full.csv")).to_contain_text("the file storage does not respond")
    look(page, "new-job-several")
    made = {job.files.get().name: str(job.pk) for job in Job.objects.all()}
    assert sorted(made) == ["a.csv", "c.csv"]
    for name, pk in made.items():
        expect(row(page, name).get_by_role("link")).to_have_attribute(
            "href", f"/admin/earthbeam/job/{pk}/change/"
        )
    # Trying again submits only what was not.
    monkeypatch.setattr(files.DirectoryStore, "save", save)
    row(page, "d.csv").get_by_role("button").click()
    button(page).click()
    expect(outcome).to_contain_text("1 job was submitted.")
    assert Job.objects.count() == 3


def test_a_single_file_that_is_not_stored_is_said_so_plainly(page, monkeypatch):
    def full(self, stream, key):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.DirectoryStore, "save", full)
    drop(page, ("scores.csv", GOOD))
    expect(row(page, "scores.csv")).to_contain_text("Ready")
    button(page).click()
    expect(page.locator("#outcome")).to_have_text(
        "Nothing was submitted. The reason is next to the file. Submit again to retry."
    )
    look(page, "new-job-not-stored")


def test_files_that_cannot_be_loaded_are_not_passed_over_in_silence(page):
    drop(page, ("a.csv", GOOD), ("b.csv", GOOD), ("c.csv", EXCEL))
    expect(row(page, "b.csv")).to_contain_text("same content as a.csv")
    expect(row(page, "c.csv")).to_contain_text("Cannot be loaded")
    button(page).click()
    outcome = page.locator("#outcome")
    expect(outcome).to_contain_text("2 jobs were submitted. 1 file cannot be loaded")
    expect(outcome.locator(".rw-warn")).to_be_visible()
    expect(row(page, "b.csv")).not_to_contain_text("Remove one of them")


def slowly(page, bytes_a_second):
    page.context.new_cdp_session(page).send(
        "Network.emulateNetworkConditions",
        {
            "offline": False,
            "latency": 0,
            "downloadThroughput": -1,
            "uploadThroughput": bytes_a_second,
        },
    )


def test_an_upload_shows_its_progress_and_can_be_cancelled(page):
    drop(page, ("big.csv", GOOD + b"1,1\n" * 500_000), ("small.csv", GOOD))
    expect(row(page, "small.csv")).to_contain_text("Ready")
    expect(row(page, "big.csv")).to_contain_text("Ready")
    slowly(page, 20_000)
    button(page).click()
    bar = row(page, "big.csv").get_by_role("progressbar")
    expect(bar).to_be_visible()
    expect(row(page, "small.csv")).to_contain_text("Waiting")
    while bar.evaluate("bar => bar.value") < 3:
        page.wait_for_timeout(50)
    look(page, "new-job-uploading")
    row(page, "big.csv").get_by_role("button", name="Cancel").click()
    expect(row(page, "big.csv")).to_contain_text("Upload cancelled")
    # The next one is not kept by that.
    expect(row(page, "small.csv")).to_contain_text("Submitted")
    assert Job.objects.get().files.get().name == "small.csv"


def test_what_the_browser_cannot_hash_is_looked_up_after_the_upload(page):
    drop(page, ("scores.csv", GOOD))
    expect(row(page, "scores.csv")).to_contain_text("Ready")
    button(page).click()
    first = on_job_page(page)
    page.go_back()
    page.evaluate("Object.defineProperty(crypto, 'subtle', { value: undefined })")
    drop(page, ("scores.csv", GOOD))
    expect(row(page, "scores.csv")).to_contain_text("checks after the upload")
    button(page).click()
    expect(row(page, "scores.csv")).to_contain_text("This very file was submitted before")
    expect(row(page, "scores.csv").get_by_role("link", name="Reading check")).to_have_attribute(
        "href", f"/admin/earthbeam/job/{first.pk}/change/"
    )
    expect(row(page, "scores.csv").get_by_role("link", name="Open its job")).to_be_visible()
    assert Job.objects.count() == 2


def test_a_person_who_was_signed_out_is_told_so_and_goes_on_after_signing_in(
    page, user, live_server
):
    drop(page, ("scores.csv", GOOD))
    expect(row(page, "scores.csv")).to_contain_text("Ready")
    page.context.clear_cookies(name="sessionid")
    button(page).click()
    expect(row(page, "scores.csv")).to_contain_text("You have been signed out")
    assert not Job.objects.exists()
    page.context.add_cookies([session_cookie(user, live_server.url)])
    button(page).click()
    on_job_page(page)


def test_a_file_is_submitted_by_keyboard_alone(open_page, user, tmp_path):
    file = tmp_path / "scores.csv"
    file.write_bytes(GOOD)
    page = open_page(user, ADD)
    # From now on: what is asked for at the last moment may come after the key is pressed.
    page.on("filechooser", lambda _: None)

    def tab_to(target):
        for _ in range(40):
            if target.evaluate("each => each === document.activeElement"):
                return
            page.keyboard.press("Tab")
        raise AssertionError("not reached by Tab")

    tab_to(page.get_by_label("Assessment"))
    page.keyboard.type("Read")
    expect(page.get_by_role("group", name="School year")).to_be_visible()
    tab_to(page.get_by_label("2025-26"))
    page.keyboard.press("Space")
    tab_to(page.get_by_label("Scores", exact=True))
    with page.expect_file_chooser() as opened:
        page.keyboard.press("Enter")
    opened.value.set_files(str(file))
    expect(row(page, "scores.csv")).to_contain_text("Ready")
    tab_to(button(page))
    page.keyboard.press("Enter")
    on_job_page(page)


def test_another_assessment_keeps_the_files_and_checks_them_anew(page):
    other = factories.make_bundle(
        {**factories.BUNDLE_TEMPLATE, "path": "assessments/Other", "display_name": "Other"}
    )
    other.student_id_columns = ["pupil"]
    other.save()
    page.reload()
    page.get_by_label("Form").select_option("B")
    drop(page, ("scores.csv", GOOD))
    expect(row(page, "scores.csv")).to_contain_text("Ready")
    page.get_by_label("Assessment").select_option("Other")
    expect(row(page, "scores.csv")).to_contain_text("assessment: pupil")
    expect(page.get_by_label("Form")).to_have_value("B")


def test_going_back_before_another_assessment_has_come_keeps_the_first(page):
    factories.make_bundle(
        {**factories.BUNDLE_TEMPLATE, "path": "assessments/Other", "display_name": "Other"}
    )
    page.reload()
    asked = []
    page.route("**/job/add/?*Other*", lambda route: asked.append(route))
    page.get_by_label("Assessment").select_option("Other")
    expect(page.locator("#new-job")).to_have_attribute("aria-busy", "true")
    page.get_by_label("Assessment").select_option("Reading check")
    while not asked:  # held up here, by pytest's limit at the longest
        page.wait_for_timeout(10)
    (route,) = asked
    with page.expect_request_finished(lambda request: "Other" in request.url):
        route.continue_()
    # Whatever an answer sets off has happened by when the next one is here.
    drop(page, ("scores.csv", GOOD))
    expect(row(page, "scores.csv")).to_contain_text("Ready")
    expect(page.get_by_label("Assessment").locator("option:checked")).to_have_text("Reading check")
    expect(page.locator("#new-job")).not_to_have_attribute("aria-busy", "true")
    assert "Reading_Check" in page.url


def test_a_tenant_of_many_is_found_by_typing(open_page, user):
    for number in range(30):
        factories.make_ods_connection(tenant=factories.make_tenant(f"district {number}"))
    page = open_page(people.make_partner_admin(), ADD)
    page.get_by_label("Tenant").fill("district 7 (ea)")
    page.keyboard.press("Tab")
    page.get_by_label("Assessment").select_option("Reading check")
    expect(page.get_by_role("group", name="School year")).to_be_visible()
    expect(page.get_by_label("Tenant")).to_have_value("district 7 (ea)")
    look(page, "new-job-many-tenants")
    drop(page, ("scores.csv", GOOD))
    expect(row(page, "scores.csv")).to_contain_text("Ready")
    button(page).click()
    assert on_job_page(page).tenant.code == "district 7"


def test_a_revised_file_says_for_which_job(open_page, user):
    job = factories.make_job(input_params={"FORM": "B"})
    page = open_page(user, f"{ADD}?parent={job.pk}")
    expect(page.get_by_text("Revised file for the job of")).to_be_visible()
    look(page, "new-job-revised")
    drop(page, ("revised.csv", GOOD + b"1,1\n"))
    expect(row(page, "revised.csv")).to_contain_text("Ready")
    button(page).click()
    child = on_job_page(page)
    assert (child.parent, child.input_params) == (job, {"FORM": "B"})


def test_everything_works_without_javascript(browser, user, live_server, tmp_path):
    for name, content in (("a.csv", GOOD), ("b.csv", GOOD + b"1,1\n"), ("c.csv", EXCEL)):
        (tmp_path / name).write_bytes(content)
    context = browser.new_context(base_url=live_server.url, java_script_enabled=False)
    context.add_cookies([session_cookie(user, live_server.url)])
    page = context.new_page()
    page.goto(ADD)
    page.get_by_label("Assessment").select_option("Reading check")
    page.get_by_role("button", name="Continue").click()
    field = page.get_by_label("Scores", exact=True)
    field.set_input_files(str(tmp_path / "c.csv"))
    button(page).click()
    expect(page.get_by_text("choose the files again")).to_be_visible()
    expect(page.get_by_text("is an Excel workbook")).to_be_visible()
    field.set_input_files([str(tmp_path / name) for name in ("a.csv", "b.csv", "c.csv")])
    button(page).click()
    page.wait_for_url("**/job/")
    expect(page.get_by_text("“c.csv” was not submitted")).to_be_visible()
    expect(page.locator(".messagelist").get_by_role("link")).to_have_count(2)
    assert Job.objects.count() == 2
    context.close()
