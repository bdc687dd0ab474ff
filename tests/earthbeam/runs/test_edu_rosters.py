import io
from datetime import timedelta

import pytest
from django.utils import timezone

from earthbeam.files import open_store
from earthbeam.models import Run
from earthbeam.paths import app_data_base_path
from earthbeam.runs import payload, states
from edu import connections
from partners.models import Partner
from tests import factories

pytestmark = pytest.mark.django_db

ODS, EDU = "studentEducationOrganizationAssociations.jsonl", "cross_year_roster.jsonl"


def ended(*, send_to_ods=True, kept_until=None):
    """A run whose executor, whoever's, has stored both rosters; what is left of them at its end."""
    run = factories.make_run(factories.make_job(send_to_ods=send_to_ods), Run.Status.RUNNING)
    Partner.objects.update(keep_edu_rosters_until=kept_until)
    store = open_store(app_data_base_path(run.job))
    for name in (ODS, EDU):
        store.save(io.BytesIO(b"{}"), f"output/{name}")
    states.finish(run.pk, success=True)
    assert set(store.list("output")) == {f"output/{file.path}" for file in run.output_files.all()}
    return {file.path for file in run.output_files.all()}


def test_no_roster_of_edus_is_left_when_a_run_has_ended():
    assert ended() == {ODS}
    assert ended(send_to_ods=False) == set()


def test_they_are_left_for_the_day_that_support_asks_for():
    now = timezone.now()
    assert ended(kept_until=now + timedelta(hours=1)) == {ODS, EDU}
    assert ended(kept_until=now - timedelta(hours=1)) == {ODS}


def test_executors_are_told_to_keep_them_only_then(monkeypatch):
    factories.make_partner(cross_year_match_enabled=True)
    monkeypatch.setattr(connections, "available", lambda partner, generation: True)
    run = factories.make_run(status=Run.Status.RUNNING)
    assert "keepEduRosters" not in payload.build(run)
    Partner.objects.update(keep_edu_rosters_until=timezone.now() + timedelta(hours=1))
    assert payload.build(Run.objects.get(pk=run.pk))["keepEduRosters"] is True
