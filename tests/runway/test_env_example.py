""".env.example names every variable that is read, and none that is not."""

import re
from pathlib import Path

from tests.runway import environment_table

PROJECT = Path(__file__).resolve().parents[2]
READERS = re.compile(
    r"(?:required|optional|flag|positive_int|networks|env\.\w+|os\.environ\.get)"
    r"\(\s*f?\"([A-Z][A-Z0-9_]+)"
)
# Read from lists of names.
BUILT = {"EDU_SNOWFLAKE_"}

LISTED = set(
    re.findall(r"^([A-Z][A-Z0-9_]+)=", (PROJECT / ".env.example").read_text(), re.MULTILINE)
)

# Variables that .env.example names, and that are read by libraries.
LIBRARIES = {
    "PROMETHEUS_MULTIPROC_DIR",  # and set by gunicorn.conf.py
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE", "GIT_SSL_CAINFO"),
}
# Variables that .env.example does not name, and whose they are.
AWS_TOOLS = {  # read by botocore
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_CONFIG_FILE"),
    *("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_EC2_METADATA_DISABLED"),
}
FOR_ECS_TASKS = {"AWS_DEFAULT_REGION"}  # set beside AWS_REGION: images of others may read either
EXECUTOR = {  # contract section 7, and ours: earthbeam/executor/environment.py
    *("INIT_TOKEN", "INIT_JOB_URL", "TIMEOUT_SECONDS", "BUNDLE_MIRROR"),
    "POSSIBLE_STUDENT_ID_COLUMNS",
}
BUNDLES = {"OUTPUT_DIR", "EDFI_API_BASE_URL"}  # contract section 7, bundle conventions
OTHER_TOOLS = {
    *("PATH", "HOME", "TMPDIR", "NETRC", "XDG_RUNTIME_DIR", "GIT_DIR"),
    *("DJANGO_SETTINGS_MODULE", "DJANGO_ALLOW_ASYNC_UNSAFE", "JWT_CNXN_WAIT_TIME"),
    *("DJANGO_SUPERUSER_USERNAME", "DJANGO_SUPERUSER_EMAIL", "DJANGO_SUPERUSER_PASSWORD"),
}
TESTS = {
    *("REQUIRE_BROWSER", "REQUIRE_NGINX", "REQUIRE_SANDBOX", "CHROMIUM", "SCREENSHOTS"),
    *("ROSTER_DATA", "ROSTER_EDU_PORT"),  # benchmarks/roster.py to its web process
    "CLIENT_SECRET",  # the examples of docs/external-api.md
    "CHAOS_CLOCK",  # tests/chaos/clock.py
}

USES = re.compile(
    r"""(?:setenv|delenv|getenv|environ\.get|environ\.pop|environ\.setdefault|os\.environ)"""
    r"""[(\[]\s*["']([A-Z][A-Z0-9_]+)["']"""
)
ENTRY = re.compile(r"""["'](AWS_[A-Z0-9_]+|[A-Z]+_REGION)["']""")


def test_every_variable_is_explained():
    sources = (
        *("runway/settings.py", "runway/env.py", "runway/aws.py", "runway/logs.py"),
        "gunicorn.conf.py",
    )
    read = {name for path in sources for name in READERS.findall((PROJECT / path).read_text())}
    assert read - BUILT <= LISTED
    unread = {name for name in LISTED - read if not name.startswith("EDU_SNOWFLAKE_")}
    assert unread == LIBRARIES


def test_what_production_requires_is_marked_so():
    settings = (PROJECT / "runway/settings.py").read_text()
    required = set(re.findall(r'required\(\s*"([A-Z_]+)"', settings)) | {
        "ENVLABEL"
    }  # edu/checks.py
    example = (PROJECT / ".env.example").read_text()
    assert set(re.findall(r"# Required\..*\n(?:#.*\n)*([A-Z_]+)=", example)) == required


def test_the_table_of_variables_is_up_to_date():
    made = environment_table.table((PROJECT / ".env.example").read_text())
    kept = (PROJECT / "docs/environment.md").read_text()
    assert made == kept, "Run `make environment` and commit docs/environment.md."


def test_nothing_rests_on_a_variable_that_no_document_names():
    known = LISTED | AWS_TOOLS | FOR_ECS_TASKS | EXECUTOR | BUNDLES | OTHER_TOOLS | TESTS
    unknown = {
        f"{path.relative_to(PROJECT)}: {name}"
        for folder in ("access", "benchmarks", "earthbeam", "edu", "partners", "runway", "tests")
        for path in (PROJECT / folder).rglob("*.py")
        if path != Path(__file__)
        for name in USES.findall(path.read_text()) + ENTRY.findall(path.read_text())
        if name not in known
    }
    assert unknown == set()


def test_only_tasks_of_ecs_are_given_the_region_under_its_other_name():
    users = {
        path.relative_to(PROJECT).as_posix()
        for folder in ("access", "earthbeam", "edu", "partners", "runway", "tests")
        for path in (PROJECT / folder).rglob("*.py")
        if "AWS_DEFAULT_REGION" in path.read_text() and path != Path(__file__)
    }
    assert users == {"earthbeam/launchers/ecs.py", "tests/earthbeam/launchers/test_ecs.py"}
