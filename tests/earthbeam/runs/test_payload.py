import base64
import uuid

import pytest
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.utils import timezone

from earthbeam.models import POSSIBLE_ID_COLUMNS, DescriptorMapping, Run
from earthbeam.runs import payload, states
from partners.models import OdsConnection, Partner
from tests import factories

pytestmark = pytest.mark.django_db

APP = "https://runway.example.org"


@pytest.fixture(autouse=True)
def app_url(settings):
    settings.APP_URL = APP


@pytest.fixture(scope="module")
def private_key():
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return base64.b64encode(pem).decode()


@pytest.fixture
def edu_credentials(settings, private_key):
    """Credentials that can be looked up; the payload asks for no more than that."""
    settings.EDU_SNOWFLAKE = {
        "username": "runway",
        "account": "demo",
        "database": "edu",
        "schema": "stage",
        "private_key": private_key,
    }


@pytest.fixture
def failing_look_up(settings):
    settings.RUNWAY_ENV, settings.ENVLABEL = "production", None


def payload_of(job):
    return payload.build(factories.make_run(job, status="running"))


def urls_of(run, *names):
    return {name: f"{APP}/api/earthbeam/jobs/{run.pk}/{path}" for name, path in names}


REPORT_URLS = [
    ("status", "status"),
    ("error", "error"),
    ("summary", "summary"),
    ("unmatchedIds", "unmatched-ids"),
    ("outputFiles", "output-files"),
    ("matches", "matches"),
    ("progress", "progress"),
]


def test_a_job_for_an_ods_has_exactly_this_payload(settings):
    run = factories.make_run(status="running")
    assert payload.build(run) == {
        "appDataBasePath": f"{settings.FILES_BASE}/ea/grand_bend/2526/{run.job_id}",
        "inputFiles": {"INPUT_FILE": "INPUT_FILE__scores.csv"},
        "inputParams": {"API_YEAR": "2026"},
        "customDescriptorMappings": None,
        "bundle": {"path": "assessments/Reading_Check", "branch": "main"},
        "appUrls": urls_of(run, *REPORT_URLS),
        "sendToOds": True,
        "crossYearMatchAvailable": False,
        "assessmentDatastore": {
            "apiYear": "2026",
            "url": "http://127.0.0.1:9/ods",
            "clientId": "ods-client",
            "clientSecret": "ods-secret",
        },
    }


def test_a_job_that_goes_to_no_ods_gets_the_roster_file_and_no_ods(settings):
    run = factories.make_run(factories.make_job(send_to_ods=False), status="running")
    built = payload.build(run)
    assert built["sendToOds"] is False
    assert "assessmentDatastore" not in built
    assert built["rosterFilePath"] == (
        f"{settings.FILES_BASE}/__rosters/ea/grand_bend/2026/"
        "studentEducationOrganizationAssociations.jsonl"
    )
    assert built["appUrls"] == urls_of(run, *REPORT_URLS)


@pytest.mark.parametrize("send_to_ods", [True, False])
def test_cross_year_matching_offers_the_roster_stream_and_no_roster_file(
    send_to_ods, edu_credentials
):
    factories.make_partner(cross_year_match_enabled=True)
    run = factories.make_run(factories.make_job(send_to_ods=send_to_ods), status="running")
    built = payload.build(run)
    assert built["crossYearMatchAvailable"] is True
    assert built["appUrls"] == urls_of(run, *REPORT_URLS, ("roster", "roster"))
    assert "rosterFilePath" not in built


def test_no_cross_year_matching_while_the_partners_toggle_is_off(edu_credentials):
    assert payload_of(factories.make_job())["crossYearMatchAvailable"] is False


def test_no_cross_year_matching_without_credentials():
    factories.make_partner(cross_year_match_enabled=True)
    built = payload_of(factories.make_job(send_to_ods=False))
    assert built["crossYearMatchAvailable"] is False
    assert "roster" not in built["appUrls"]
    assert "rosterFilePath" in built


def test_a_look_up_that_fails_is_logged_and_breaks_no_run(failing_look_up, caplog):
    factories.make_partner(cross_year_match_enabled=True)
    built = payload_of(factories.make_job())
    assert built["crossYearMatchAvailable"] is False
    assert "roster" not in built["appUrls"]
    assert "EDU of partner ea counts as not available" in caplog.text


def test_params_the_bundle_does_not_declare_reach_no_environment():
    job = factories.make_job(
        input_params={"FORM": "B", "LD_PRELOAD": "/tmp/evil.so", "DESCRIPTOR_NAMESPACE": "uri://x"}
    )
    assert payload_of(job)["inputParams"] == {"FORM": "B", "API_YEAR": "2026"}


def test_a_param_without_a_value_is_left_out():
    job = factories.make_job(input_params={"FORM": ""})
    assert payload_of(job)["inputParams"] == {"API_YEAR": "2026"}


def test_the_school_year_decides_the_api_year():
    job = factories.make_job(input_params={"API_YEAR": "1999"}, year=factories.make_year("2425"))
    assert payload_of(job)["inputParams"] == {"API_YEAR": "2025"}


def test_the_partners_descriptor_namespace_is_a_param():
    factories.make_partner(descriptor_namespace="uri://ea.example.org")
    assert payload_of(factories.make_job())["inputParams"] == {
        "API_YEAR": "2026",
        "DESCRIPTOR_NAMESPACE": "uri://ea.example.org",
    }


def test_the_bundles_template_of_the_day_the_job_was_made_counts():
    job = factories.make_job(input_params={"FORM": "B"})
    changed = factories.BUNDLE_TEMPLATE | {"input_params": []}
    factories.make_bundle(changed)
    assert payload_of(job)["inputParams"]["FORM"] == "B"


def test_custom_descriptor_mappings_are_this_partners_for_this_bundle():
    job = factories.make_job()
    other_partner = factories.make_partner("tx")
    other_bundle = factories.make_bundle(
        factories.BUNDLE_TEMPLATE | {"path": "assessments/Other", "display_name": "Other"}
    )

    def add(partner, bundle, columns, edfi, local, kind="gradeLevelDescriptors"):
        DescriptorMapping.objects.create(
            partner=partner,
            bundle=bundle,
            descriptor_type=kind,
            other_columns=columns,
            edfi_descriptor=edfi,
            local_descriptor=local,
        )

    add(job.tenant.partner, job.bundle, {"grade": "3"}, "uri://g#Third", "uri://l#3")
    add(job.tenant.partner, job.bundle, [["z", "4"], ["a", "x"]], "uri://g#Fourth", None)
    add(job.tenant.partner, job.bundle, {}, "uri://s#Math", None, kind="academicSubjectDescriptors")
    add(other_partner, job.bundle, {"grade": "3"}, "uri://tx", None)
    add(job.tenant.partner, other_bundle, {"grade": "3"}, "uri://other", None)

    mappings = payload_of(job)["customDescriptorMappings"]
    assert mappings == {
        "gradeLevelDescriptors": [
            {
                "v_other_columns": {"grade": "3"},
                "edfi_descriptor": "uri://g#Third",
                "local_descriptor": "uri://l#3",
            },
            {
                "v_other_columns": {"z": "4", "a": "x"},
                "edfi_descriptor": "uri://g#Fourth",
                "local_descriptor": None,
            },
        ],
        "academicSubjectDescriptors": [
            {"v_other_columns": {}, "edfi_descriptor": "uri://s#Math", "local_descriptor": None}
        ],
    }
    assert list(mappings["gradeLevelDescriptors"][1]["v_other_columns"]) == ["z", "a"]


def test_every_input_file_is_named_below_input():
    job = factories.make_job(
        files={"INPUT_FILE": ("SR 2026.csv", b"a"), "INPUT_FILE_SKILLS": ("x/y.csv", b"b")}
    )
    assert payload_of(job)["inputFiles"] == {
        "INPUT_FILE": "INPUT_FILE__SR 2026.csv",
        "INPUT_FILE_SKILLS": "INPUT_FILE_SKILLS__x__y.csv",
    }


def test_the_ods_is_the_one_active_today():
    job = factories.make_job()
    OdsConnection.objects.update(retired_at=timezone.now())
    factories.make_ods_connection(url="http://127.0.0.1:9/newer", client_secret="newer")
    datastore = payload_of(job)["assessmentDatastore"]
    assert (datastore["url"], datastore["clientSecret"]) == ("http://127.0.0.1:9/newer", "newer")


def test_another_years_or_tenants_ods_is_never_used():
    job = factories.make_job()
    OdsConnection.objects.update(retired_at=timezone.now())
    factories.make_ods_connection(year=factories.make_year("2425"))
    factories.make_ods_connection(tenant=factories.make_tenant("other"))
    with pytest.raises(payload.NoPayload, match="no active ODS connection for 2025-26"):
        payload_of(job)


def test_a_secret_that_no_key_opens_says_what_to_do(settings):
    job = factories.make_job()
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    with pytest.raises(payload.NoPayload, match="Enter it again"):
        payload_of(job)


def test_the_handshakes_url_is_absolute():
    run_id = uuid.UUID("6f1c1f0e-8f6c-4a53-9a1e-0d6f3c1b2a4d")
    assert payload.init_url(run_id) == f"{APP}/api/earthbeam/auth/{run_id}/init"


def test_building_a_payload_moves_no_run():
    run = factories.make_run()
    payload.build(run)
    run.refresh_from_db()
    assert run.status == "new"
    assert states.begin(run.pk)


def test_a_column_whose_name_could_become_code_is_told_to_matching_alone():
    # Other executors hand every param to the bundle as text; ours reads studentIdColumn.
    column = r"ID \x7b\x7b 7*7 \x7d\x7d"
    job = factories.make_job(input_params={POSSIBLE_ID_COLUMNS: column})
    told = payload_of(job)
    assert told["studentIdColumn"] == column
    assert POSSIBLE_ID_COLUMNS not in told["inputParams"]


def test_a_stored_plain_http_connection_gives_no_payload_in_production(settings):
    run = factories.make_run(status="running")
    OdsConnection.objects.update(url="http://ods.example.org/api")
    settings.IN_DEVELOPMENT = False
    settings.ODS_HTTP_HOSTS = []
    with pytest.raises(payload.NoPayload, match=r"must begin with https.*Change the connection"):
        payload.build(run)
    settings.ODS_HTTP_HOSTS = ["ods.example.org"]
    assert payload.build(run)["assessmentDatastore"]["url"] == "http://ods.example.org/api"


def test_identity_checks_are_in_the_payload_only_if_they_are_on():
    run = factories.make_run(status=Run.Status.RUNNING)
    off = payload.build(run)
    assert "identityChecks" not in off
    Partner.objects.update(identity_checks="hold")
    on = payload.build(Run.objects.get(pk=run.pk))
    assert on == off | {"identityChecks": "hold"}
