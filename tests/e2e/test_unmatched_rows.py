"""Unmatched rows whose ids somebody fixes: a second job loads exactly these."""

import pytest

from earthbeam.jobs import unmatched
from earthbeam.jobs.lifecycle import start_run
from earthbeam.jobs.lineage import linked_jobs
from earthbeam.jobs.rerun_rows import rerun_rows
from runway.sandbox.population import CURRENT, in_group
from tests import factories, people
from tests.e2e.jobs import student_ids, submit, wait_for_end

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


def test_fixed_rows_are_loaded_to_the_students_whose_ids_were_entered(stack, ods, interim):
    run = wait_for_end(start_run(submit(interim)))
    file = unmatched.read(run, factories.told_of(run))
    assert len(file.rows) == 17
    # Rows whose other id column has the local id of one of this district's students.
    local = {student.local_id: student for student in in_group(CURRENT)}
    number_place = file.columns.index("StudentNumber")
    misleading = [n for n, row in enumerate(file.rows, 1) if row[number_place] in local]
    assert misleading
    numbers = misleading[:1]
    meant = in_group(CURRENT)[600 : 600 + len(numbers)]
    before = len(ods.received("studentAssessments"))
    ids = {n: student.state_id for n, student in zip(numbers, meant, strict=True)}

    child = rerun_rows(run, file, ids, by=people.make_superuser())
    done = wait_for_end(child.runs.get())

    assert done.status == "success", done.log.text
    received = ods.received("studentAssessments")[before:]
    assert student_ids(received) == {student.unique_id for student in meant}
    assert (done.matches.input_rows, done.matches.unmatched) == (len(ids), 0)
    assert linked_jobs(run.job).root.left == 17 - len(ids)
