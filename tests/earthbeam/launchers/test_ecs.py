"""The ECS launcher against moto; what moto cannot do is answered by a stand-in."""

import json

import pytest

from earthbeam.errors import LauncherMisconfigured, LaunchFailed
from earthbeam.launchers import get_launcher
from earthbeam.launchers.ecs import EcsLauncher
from earthbeam.launchers.ecs_parameters import KEEP_SECONDS
from earthbeam.models import JobFile
from earthbeam.runs import tokens
from runway import aws
from tests import factories
from tests.aws import Answering
from tests.earthbeam.launchers.conftest import policy_of

pytestmark = [pytest.mark.slow, pytest.mark.django_db]

MB = 1024 * 1024


def never():
    return False


@pytest.fixture
def run(ecs):
    return factories.make_run(timeout_seconds=1800)


def test_the_setting_chooses_it(ecs):
    assert isinstance(get_launcher(), EcsLauncher)


def test_a_launch_starts_one_task_and_returns_with_its_arn_kept(launcher, ecs, run):
    launcher.launch(run, never)
    (task,) = ecs.tasks()
    run.refresh_from_db()
    assert run.status == "new"
    assert run.launch_reference == task.task_arn
    assert run.launched_at is not None
    assert run.executor_size == "medium"
    assert task.started_by == str(run.pk)
    assert task.launch_type == "FARGATE"
    assert task.network_configuration["awsvpcConfiguration"] == {
        "subnets": ecs.subnets,
        "securityGroups": [ecs.group],
        "assignPublicIp": "DISABLED",
    }


def test_an_executor_gets_the_contracts_variables_and_credentials_of_its_own(
    launcher, ecs, run, settings
):
    settings.APP_URL, settings.BUNDLE_REPO = "https://app.test", "https://git.test/bundles.git"
    launcher.launch(run, never)
    (task,) = ecs.tasks()
    (override,) = task.overrides["containerOverrides"]
    assert override["name"] == f"{ecs.label}-JobExecutorMedium"
    environment = ecs.environment(task)
    session = ecs.session()
    assert tokens.read(environment.pop("INIT_TOKEN"), "init") == (run.pk, "medium")
    assert environment == {
        "INIT_JOB_URL": f"https://app.test/api/earthbeam/auth/{run.pk}/init",
        "TIMEOUT_SECONDS": "1800",
        "BUNDLE_REPO": "https://git.test/bundles.git",
        "AWS_ACCESS_KEY_ID": session.access_key_id,
        "AWS_SECRET_ACCESS_KEY": session.secret_access_key,
        "AWS_SESSION_TOKEN": session.session_token,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_S3": aws.client("s3").meta.endpoint_url,
    }
    assert session.session_name == f"run-{run.pk}"
    assert f"/{run.job_id}/*" in policy_of(session)["Statement"][0]["Resource"]


def test_executors_are_told_what_the_app_is_set_to(launcher, ecs, run, settings):
    settings.ROSTER_GZIP = True
    settings.ODS_REQUESTS_AT_ONCE = 32
    launcher.launch(run, never)
    (task,) = ecs.tasks()
    environment = ecs.environment(task)
    assert (environment["ROSTER_GZIP"], environment["ODS_REQUESTS_AT_ONCE"]) == ("1", "32")


@pytest.mark.parametrize(
    ("sizes", "chosen"),
    [
        ([1], "medium"),
        ([100 * MB - 1], "medium"),
        ([100 * MB], "large"),
        ([60 * MB, 40 * MB], "large"),
        ([0], "medium"),
    ],
)
def test_a_lot_of_input_gets_a_large_executor(launcher, ecs, run, sizes, chosen):
    run.job.files.all().delete()
    JobFile.objects.bulk_create(
        JobFile(job=run.job, template_key=f"FILE_{size}", name="a", stored_name="a", size=size)
        for size in sizes
    )
    launcher.launch(run, never)
    (task,) = ecs.tasks()
    assert (
        task.task_definition_arn
        == ecs.parameters[f"/ecs/environments/{ecs.label}/EcsTaskDefinition{chosen.title()}Arn"]
    )
    (override,) = task.overrides["containerOverrides"]
    assert override["name"] == f"{ecs.label}-JobExecutor{chosen.title()}"
    run.refresh_from_db()
    assert run.executor_size == chosen


def test_the_threshold_is_a_setting(launcher, ecs, run, settings):
    settings.ECS_FILE_SIZE_THRESHOLD_MB = 1
    run.job.files.update(size=MB)
    launcher.launch(run, never)
    run.refresh_from_db()
    assert run.executor_size == "large"


def test_a_run_that_has_a_size_keeps_it(launcher, run):
    run.executor_size = "large"
    launcher.launch(run, never)
    run.refresh_from_db()
    assert run.executor_size == "large"


def answered(change_aws, service, answer, status=200):
    """The service as one that always answers so."""
    server = Answering(answer, status)
    change_aws(**{f"AWS_ENDPOINT_URL_{service.upper()}": server.url})
    return server


@pytest.mark.parametrize(
    ("answer", "status", "told"),
    [
        ({"tasks": [], "failures": [{"reason": "RESOURCE:FARGATE"}]}, 200, "RESOURCE:FARGATE"),
        (
            {
                "__type": "ClientException",
                "message": "Capacity is unavailable at this time. Please try again later",
            },
            400,
            "Capacity is unavailable",
        ),
        ({"__type": "LimitExceededException", "message": "Too many tasks"}, 400, "Too many"),
        ({"__type": "ServerException", "message": "unwell"}, 500, "unwell"),
    ],
)
def test_no_room_is_worth_another_try(launcher, run, change_aws, answer, status, told):
    with (
        answered(change_aws, "ecs", answer, status),
        pytest.raises(LaunchFailed, match=told),
    ):
        launcher.launch(run, never)
    run.refresh_from_db()
    assert (run.status, run.launched_at, run.launch_reference) == ("new", None, "")


@pytest.mark.parametrize(
    ("service", "code"),
    [
        ("ecs", "ClusterNotFoundException"),
        ("ecs", "AccessDeniedException"),
        ("ecs", "InvalidParameterException"),
        ("ssm", "AccessDeniedException"),
    ],
)
def test_a_mistake_of_the_deployment_is_told_and_not_tried_again(
    launcher, run, change_aws, service, code
):
    answer = {"__type": code, "message": "not like that"}
    with (
        answered(change_aws, service, answer, 400),
        pytest.raises(LauncherMisconfigured, match=rf"{code}.*not like that"),
    ):
        launcher.launch(run, never)


def test_aws_that_cannot_be_reached_is_worth_another_try(launcher, run, change_aws):
    change_aws(AWS_ENDPOINT_URL_STS="http://127.0.0.1:9")
    with pytest.raises(LaunchFailed, match="EndpointConnectionError"):
        launcher.launch(run, never)


def test_missing_parameters_are_named(launcher, ecs, run):
    name = f"/ecs/environments/{ecs.label}/EcsTaskDefinitionLargeArn"
    aws.client("ssm").delete_parameter(Name=name)
    with pytest.raises(LauncherMisconfigured, match=name):
        launcher.launch(run, never)


def test_without_a_label_nobody_knows_where(launcher, run, settings):
    settings.ENVLABEL = None
    with pytest.raises(LauncherMisconfigured, match="ENVLABEL"):
        launcher.launch(run, never)


def test_files_in_a_directory_are_out_of_reach(launcher, run, tmp_path):
    run.job.files_base = f"file://{tmp_path}"
    with pytest.raises(LauncherMisconfigured, match="FILES_BASE"):
        launcher.launch(run, never)


def test_parameters_are_read_in_one_call_and_kept_for_minutes(
    launcher, ecs, run, monkeypatch, change_aws
):
    answer = {
        "Parameters": [{"Name": name, "Value": value} for name, value in ecs.parameters.items()],
        "InvalidParameters": [],
    }
    now = [1_000.0]
    monkeypatch.setattr("earthbeam.launchers.ecs_parameters.time.monotonic", lambda: now[0])
    with answered(change_aws, "ssm", answer) as ssm:
        for _ in range(3):
            launcher.launch(run, never)
        assert len(ssm.calls) == 1
        assert ssm.calls[0][0] == "GetParameters"
        now[0] += KEEP_SECONDS
        launcher.launch(run, never)
        assert len(ssm.calls) == 2


def test_parameters_are_read_anew_after_a_refusal(launcher, ecs, run):
    name = f"/ecs/environments/{ecs.label}/EcsTaskDefinitionMediumArn"
    good = ecs.parameters[name]
    aws.client("ssm").put_parameter(Name=name, Value=f"{good[:-1]}99", Overwrite=True)
    with pytest.raises(LaunchFailed, match="RunTask"):
        launcher.launch(run, never)
    aws.client("ssm").put_parameter(Name=name, Value=good, Overwrite=True)
    launcher.launch(run, never)
    assert len(ecs.tasks()) == 1


def test_what_aws_was_told_holds_no_policy_beyond_the_job(launcher, ecs, run):
    launcher.launch(run, never)
    policy = policy_of(ecs.session())
    assert {action for each in policy["Statement"] for action in each["Action"]} == {
        "s3:GetObject",
        "s3:PutObject",
    }
    assert len(json.dumps(policy)) < 2048  # STS's limit
