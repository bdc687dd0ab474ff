import pytest

from earthbeam import paths
from tests import factories

pytestmark = pytest.mark.django_db


def test_a_jobs_files_lie_below_partner_tenant_year_and_job():
    job = factories.make_job()
    assert paths.base_path(job) == f"ea/grand_bend/2526/{job.id}"
    assert paths.app_data_base_path(job) == f"{job.files_base}/ea/grand_bend/2526/{job.id}"


@pytest.mark.parametrize(
    ("code", "quoted"),
    [("Grand Bend", "Grand%20Bend"), ("a/b*", "a%2Fb%2A"), ("Ñandú", "%C3%91and%C3%BA")],
)
def test_each_part_is_url_quoted(code, quoted):
    job = factories.make_job(tenant=factories.make_tenant(code))
    assert paths.base_path(job) == f"ea/{quoted}/2526/{job.id}"


@pytest.mark.parametrize("code", [".", ".."])
def test_a_tenants_code_cannot_lead_out_of_its_partners_folder(code):
    job = factories.make_job(tenant=factories.make_tenant(code))
    assert code not in paths.base_path(job).split("/")


def test_the_roster_file_is_named_by_the_years_end():
    key = paths.roster_key(factories.make_tenant(), factories.make_year())
    assert key == "__rosters/ea/grand_bend/2026/studentEducationOrganizationAssociations.jsonl"


def test_an_input_file_keeps_its_name_behind_its_key():
    assert paths.input_name("INPUT_FILE", "SR 2026.csv") == "INPUT_FILE__SR 2026.csv"
    assert paths.input_name("INPUT_FILE", "../a\\b.csv") == "INPUT_FILE__..__a__b.csv"
