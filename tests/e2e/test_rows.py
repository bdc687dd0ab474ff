"""A file with wrong cells on all parts, in a browser: previewed, loaded, corrected, taken back."""

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from earthbeam.models import Job, OutputSet, Run
from runway.sandbox.input_files import (
    NO_DATE,
    NO_LEVEL,
    write_interim_file,
    write_interim_file_with_mistakes,
)
from runway.sandbox.ods import Faults
from tests.browser.screens import look
from tests.e2e.jobs import submit, wait_for_end
from tests.earthbeam.executor.test_later_runs import RESULTS

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


def last_run(job):
    return wait_for_end(Run.objects.filter(job=job).latest("created_at"))


def change(job):
    return reverse("admin:earthbeam_job_change", args=[job.pk])


def test_a_file_is_previewed_loaded_corrected_and_taken_back(stack, ods, tmp_path, open_page):
    sample = write_interim_file_with_mistakes(tmp_path)
    page = open_page("/admin/earthbeam/job/add/?bundle=assessments/SAMPLE_INTERIM")
    page.locator("input[type=file]").set_input_files(sample.path)
    page.get_by_role("button", name="Preview").click()
    expect(page.locator("#job").get_by_text("This is a preview: nothing was sent.")).to_be_visible(
        timeout=60_000
    )
    job = Job.objects.get()
    preview = last_run(job)
    assert (preview.kind, ods.received_counts()) == ("preview", {})
    look(page, "preview-job")
    page.get_by_role("link", name="See what would be loaded").click()
    expect(page.get_by_role("heading", name="The first file of this assessment")).to_be_visible()
    expect(page.get_by_label("Record 3")).to_contain_text("studentUniqueId")
    look(page, "preview-what")

    page.get_by_role("button", name="Load it now").click()
    expect(page.locator("#job").get_by_text("(it refused 1 record of 1 row)")).to_be_visible(
        timeout=60_000
    )
    load = last_run(job)
    assert load.continues == preview
    assert not load.updates.filter(action="earthmover_run").exists()
    assert (load.matches.refused_rows, load.matches.untransformable) == (1, 2)
    assert len(ods.received(RESULTS)) == 57
    look(page, "job-with-refused-and-held-rows")

    page.get_by_role("link", name="See the refused row").click()
    expect(page.get_by_text("The ODS does not know the descriptor")).to_be_visible()
    look(page, "refused-rows")
    page.get_by_label("Band").fill("High")
    expect(page.get_by_text("1 row will be re-run.")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.get_by_text("1 row is being loaded again in this new job")).to_be_visible()
    fixed = Job.objects.get(parent=job)
    assert last_run(fixed).outcome == "complete"

    page.goto(reverse("admin:earthbeam_job_unmatched", args=[job.pk]))
    dates = page.locator(f"input[data-cell][value='{NO_DATE}']")
    expect(dates).to_have_count(2)
    dates.nth(0).fill("01/20/2026")
    dates.nth(1).fill("01/21/2026")
    page.get_by_text("Correct other cells of row").first.click()
    look(page, "held-rows")
    page.get_by_role("button", name="Re-run 2 rows").click()
    expect(page.get_by_text("2 rows are being loaded again in this new job")).to_be_visible()
    dated = Job.objects.filter(parent=job).latest("created_at")
    assert last_run(dated).outcome == "complete"
    assert len(ods.received(RESULTS)) == 60
    assert NO_LEVEL not in str(ods.received(RESULTS))

    page.goto(change(job))
    page.get_by_role("link", name="Withdraw…").click()
    expect(page.get_by_text("57 records of 57 students")).to_be_visible()
    look(page, "withdraw")
    page.get_by_label("To confirm, type the number").fill("57")
    page.get_by_role("button", name="Withdraw this job").click()
    expect(page.locator("#job").get_by_text("57 records were deleted from the ODS.")).to_be_visible(
        timeout=60_000
    )
    look(page, "withdrawn-job")
    assert last_run(job).outcome == "withdrawn"
    assert len(ods.received(RESULTS)) == 3
    assert OutputSet.objects.get(run=load).withdrawn_at
    assert stack.left_behind() == []


def test_what_the_ods_refused_while_it_was_broken_is_sent_again(stack, ods, tmp_path, open_page):
    sample = write_interim_file(tmp_path)
    job = submit(sample)
    ods.faults = Faults(reject_every=5, reject_resource=RESULTS)
    page = open_page(change(job))
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator("#job").get_by_text("it refused 50 records of 50 rows")).to_be_visible(
        timeout=60_000
    )
    ods.faults = Faults()
    page.get_by_role("button", name="Send refused records again").click()
    expect(page.locator("#job").get_by_text("This run sent only the records")).to_be_visible(
        timeout=60_000
    )
    run = last_run(job)
    assert (run.kind, run.outcome) == ("resend", "complete_unmatched")
    assert len(ods.received(RESULTS)) == sample.expected.ods
    assert run.matches.refused_rows == 0
    look(page, "resent-job")
