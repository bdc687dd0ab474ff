"""What a run's credentials allow, evaluated by moto as AWS would; never judged by eye."""

import io

import pytest
from moto.core.utils import utcnow

from earthbeam import paths
from earthbeam.errors import LauncherMisconfigured
from earthbeam.files import open_store
from earthbeam.launchers.job_credentials import assume, session_policy
from runway import aws
from tests import factories
from tests.aws import iam_enforced, variables_of

pytestmark = [pytest.mark.slow, pytest.mark.django_db]


@pytest.fixture
def as_executor(ecs, change_aws):
    """Acts as the executor of a run: with the policy that STS was given for it, and no more."""

    def become(run):
        assume(run, ecs.role)
        change_aws(**variables_of(ecs.session().policy))
        return iam_enforced()

    return become


@pytest.fixture
def bucket_store(ecs):
    return open_store(f"s3://{ecs.bucket}")


def put(store, key):
    store.save(io.BytesIO(b"{}\n"), key)


def roster_key(job):
    return paths.roster_key(job.tenant, job.school_year)


def denied(act):
    with pytest.raises(PermissionError):
        act()


def test_an_executor_reads_and_stores_its_own_jobs_files(as_executor):
    run = factories.make_run()
    store = open_store(paths.app_data_base_path(run.job))
    with as_executor(run):
        assert store.open("input/INPUT_FILE__scores.csv").read() == factories.SCORES
        put(store, "output/ods/studentAssessments.jsonl")
        store.save(io.BytesIO(bytes(17 * 1024 * 1024)), "output/large")
        assert store.exists("output/large")


def test_another_jobs_files_are_refused(as_executor, bucket_store):
    run = factories.make_run()
    other = factories.make_job()
    base = paths.base_path(run.job)
    for key in (f"{base}2/input/a", f"{base}-copy/a", base.rpartition("/")[0] + "/a"):
        put(bucket_store, key)
    with as_executor(run):
        store = open_store(paths.app_data_base_path(other))
        denied(lambda: store.open("input/INPUT_FILE__scores.csv"))
        denied(lambda: put(store, "output/a"))
        for key in (f"{base}2/input/a", f"{base}-copy/a", base.rpartition("/")[0] + "/a"):
            denied(lambda key=key: bucket_store.open(key))
            denied(lambda key=key: put(bucket_store, key))
        denied(lambda: put(bucket_store, "a"))
        denied(lambda: put(bucket_store, base))


def test_listing_deleting_and_everything_else_are_refused(as_executor, ecs, bucket_store):
    run = factories.make_run()
    key = f"{paths.base_path(run.job)}/input/INPUT_FILE__scores.csv"
    with as_executor(run):
        store = open_store(paths.app_data_base_path(run.job))
        denied(store.list)
        denied(lambda: store.list("input"))
        denied(bucket_store.list)
        s3 = aws.client("s3")
        for act in (
            lambda: s3.delete_object(Bucket=ecs.bucket, Key=key),
            lambda: s3.get_object_acl(Bucket=ecs.bucket, Key=key),
            lambda: s3.put_object_acl(Bucket=ecs.bucket, Key=key, ACL="public-read"),
            lambda: s3.list_multipart_uploads(Bucket=ecs.bucket),
            lambda: s3.get_bucket_policy(Bucket=ecs.bucket),
            s3.list_buckets,
            lambda: aws.client("iam").list_roles(),
        ):
            with pytest.raises(Exception, match="AccessDenied"):
                act()
    assert bucket_store.exists(key)


def test_a_job_that_goes_to_no_ods_may_read_its_own_roster_and_no_other(as_executor, bucket_store):
    run = factories.make_run(factories.make_job(send_to_ods=False))
    own = roster_key(run.job)
    elsewhere = [
        own.replace("/ea/", "/tx/"),
        own.replace("grand_bend", "grand_bend_2"),
        own.replace("/2026/", "/2025/"),
        f"{own}.bak",
        own.rpartition("/")[0] + "/other.jsonl",
    ]
    for key in (own, *elsewhere):
        put(bucket_store, key)
    with as_executor(run):
        assert bucket_store.open(own).read() == b"{}\n"
        denied(lambda: put(bucket_store, own))
        for key in elsewhere:
            denied(lambda key=key: bucket_store.open(key))


def test_a_job_that_goes_to_an_ods_may_read_no_roster(as_executor, bucket_store):
    run = factories.make_run()
    put(bucket_store, roster_key(run.job))
    with as_executor(run):
        denied(lambda: bucket_store.open(roster_key(run.job)))


def test_a_tenants_code_cannot_widen_what_is_allowed(as_executor, bucket_store):
    partner = factories.make_partner()
    own = factories.make_run(factories.make_job(tenant=factories.make_tenant("*", partner=partner)))
    victim = factories.make_job(tenant=factories.make_tenant("victim", partner=partner))
    with as_executor(own):
        store = open_store(paths.app_data_base_path(own.job))
        assert store.open("input/INPUT_FILE__scores.csv").read() == factories.SCORES
        denied(lambda: open_store(paths.app_data_base_path(victim)).open("input/a"))


@pytest.mark.parametrize("base", ["s3://bucket/a*", "s3://bucket/?", "s3://bucket/${aws:userid}"])
def test_a_location_that_would_be_a_pattern_is_refused(base):
    with pytest.raises(LauncherMisconfigured, match="FILES_BASE"):
        session_policy(f"{base}/ea/grand_bend/2526/1", None)


def test_files_that_are_not_on_s3_are_refused():
    with pytest.raises(LauncherMisconfigured, match="s3://BUCKET"):
        session_policy("file:///srv/runway/ea/grand_bend/2526/1", None)


def test_other_partitions_of_aws_have_their_own_names():
    policy = session_policy("s3://bucket/job", "s3://bucket/roster", "aws-us-gov")
    resources = [statement["Resource"] for statement in policy["Statement"]]
    assert resources == ["arn:aws-us-gov:s3:::bucket/job/*", "arn:aws-us-gov:s3:::bucket/roster"]


@pytest.mark.parametrize(("timeout", "asked"), [(60, 900), (3600, 3600), (90_000, 43_200)])
def test_credentials_last_as_long_as_the_time_limit_where_sts_allows(ecs, timeout, asked):
    assume(factories.make_run(timeout_seconds=timeout), ecs.role)
    session = ecs.session()
    seconds = (session.expiration - utcnow()).total_seconds()
    assert seconds == pytest.approx(asked, abs=30)
    assert session.role_arn == ecs.role
