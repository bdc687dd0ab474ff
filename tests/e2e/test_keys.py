"""Keys that change in the middle of a run."""

import pytest
from django.conf import settings

from earthbeam.jobs.lifecycle import start_run
from tests.e2e.holds import slow_roster
from tests.e2e.jobs import submit, wait_for_end, wait_for_step

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


def test_a_run_ends_well_though_the_key_of_its_token_is_replaced_in_its_middle(stack, ods, interim):
    with slow_roster(ods):
        run = start_run(submit(interim))
        wait_for_step(run, "get_student_roster")
        stack.start_web(
            EXECUTOR_JWT_KEY="the next one " + "z" * 40,
            EXECUTOR_JWT_KEY_FALLBACKS=settings.EXECUTOR_JWT_KEY,
            SECRET_KEY="the next one " + "z" * 40,
            SECRET_KEY_FALLBACKS=settings.SECRET_KEY,
        )
    wait_for_end(run)
    assert run.outcome == "complete_unmatched"
    assert stack.left_behind() == []
