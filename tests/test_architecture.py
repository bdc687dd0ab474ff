"""Imports run one way: edu knows nobody, partners may use edu, earthbeam both, runway wires."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent

# What the modules below a folder must not import, but for SHARED.
FORBIDDEN = {
    "edu": ("partners", "earthbeam", "runway"),
    "partners": ("access", "earthbeam", "runway"),
    "access": ("earthbeam", "edu", "runway"),
    "earthbeam": ("access", "runway.sandbox", "runway.settings"),
    "earthbeam/matching": ("django", "partners", "edu", "runway", "requests", "logging", "pathlib"),
    "earthbeam/identity": ("django", "partners", "edu", "runway", "requests", "logging", "pathlib"),
    "earthbeam/executor": (
        *("access", "partners", "edu", "runway", "rest_framework", "procrastinate", "psycopg"),
        *(
            "django.db",
            "earthbeam.models",
            "earthbeam.api",
            "earthbeam.runs.states",
            "earthbeam.jobs.lifecycle",
        ),
    ),
    "runway/sandbox": ("access", "partners", "earthbeam.models", "earthbeam.executor"),
}

# Clients of AWS: edu and the executor need them, and the module uses nothing of ours.
SHARED = "runway.aws"

# Which rooms of earthbeam each room may use; the executor's own rows are in FORBIDDEN too.
ROOMS = {
    "models": set(),
    "files": set(),
    "delimited": set(),
    "matching": set(),
    "identity": set(),
    "wording": set(),
    "bundles": {"models"},
    "notify": {"models"},
    "runs": {"models", "files", "bundles", "notify"},
    "jobs": {"models", "files", "delimited", "matching", "identity", "bundles", "runs"},
    "launchers": {"models", "files", "runs", "executor"},
    "api": {"models", "runs"},
    "external": {"models", "files", "jobs", "runs", "wording", "api"},
    "executor": {"files", "delimited", "matching", "identity"},
    "admin": {"models", "files", "bundles", "jobs", "runs", "notify", "wording"},
    "management": {"models", "files", "bundles", "jobs", "runs", "launchers", "notify"},
    "templatetags": {"admin"},
}

# Rooms with a face: what others use of them, their __init__ exports.
FACES = {"models", "files", "delimited", "matching", "identity"}

# What of the executor the app may use: pure, and without its program.
LENT_BY_THE_EXECUTOR = {
    "earthbeam.executor.environment",
    "earthbeam.executor.unreachable",
    "earthbeam.executor.workspace.folders",
}

LOOSE = {
    "apps",
    "errors",
    "invisible",
    "metrics",
    "paths",
    "plain_text",
    "privacy",
    "stored_files",
    "tasks",
    "text",
}

# The only module outside runway that may know Django beside the executor's command and app.
EXECUTOR_DJANGO = {"apps.py", "management/commands/executor.py"}


def is_shared(path: Path, name: str) -> bool:
    """Whether an import is of SHARED; ``from runway import aws`` names its package as well."""
    return name == SHARED or (name == "runway" and SHARED in imports(path))


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return found


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_imports_run_one_way(folder):
    broken = [
        f"{path.relative_to(PROJECT)} imports {name}"
        for path in sorted((PROJECT / folder).rglob("*.py"))
        for name in imports(path)
        for barred in FORBIDDEN[folder]
        if (name == barred or name.startswith(f"{barred}.")) and not is_shared(path, name)
    ]
    assert broken == []


def room_imports(room: str) -> list[tuple[str, str, str]]:
    """Of each import across rooms: the file, the other room, and the module or name."""
    return [
        (path.relative_to(PROJECT).as_posix(), name.split(".")[1], name)
        for path in sorted((PROJECT / "earthbeam" / room).rglob("*.py"))
        for name in sorted(imports(path))
        if name.startswith("earthbeam.") and name.split(".")[1] not in {room, *LOOSE}
    ]


def test_every_module_of_earthbeam_has_a_room():
    folder = PROJECT / "earthbeam"
    assert {path.stem for path in folder.glob("*.py")} == {"__init__", *LOOSE}
    rooms = {path.parent.name for path in folder.glob("*/__init__.py")}
    assert rooms - {"migrations"} == set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_use_only_rooms_below_them(room):
    used = room_imports(room)
    assert [
        f"{path} imports {name}" for path, other, name in used if other not in ROOMS[room]
    ] == []


@pytest.mark.parametrize("room", ROOMS)
def test_nobody_reaches_past_a_rooms_face(room):
    past = [
        f"{path} imports {name}"
        for path, other, name in room_imports(room)
        if other in FACES and (PROJECT / name.replace(".", "/")).with_suffix(".py").is_file()
    ]
    assert past == []


@pytest.mark.parametrize("room", sorted(set(ROOMS) - {"executor"}))
def test_the_app_borrows_only_what_the_executor_lends(room):
    borrowed = {name for _, other, name in room_imports(room) if other == "executor"}
    beyond = {
        name
        for name in borrowed
        if not any(name == lent or name.startswith(f"{lent}.") for lent in LENT_BY_THE_EXECUTOR)
    }
    assert beyond == set()


def test_edus_pool_and_stream_know_no_django():
    for name in ("pool.py", "pools.py", "roster.py", "lines.py"):
        assert not {module for module in imports(PROJECT / "edu" / name) if "django" in module}


def test_only_the_executors_command_is_django():
    folder = PROJECT / "earthbeam" / "executor"
    for path in folder.rglob("*.py"):
        if path.relative_to(folder).as_posix() not in EXECUTOR_DJANGO:
            assert not {name for name in imports(path) if name.split(".")[0] == "django"}, path


def test_the_executor_has_neither_database_nor_secrets_nor_the_apps_code():
    code = """
import os, sys, django
os.environ["DJANGO_SETTINGS_MODULE"] = "runway.executor_settings"
django.setup()
from django.conf import settings
from django.db import connection
from django.core.management import load_command_class
load_command_class("earthbeam.executor", "executor")
engine = connection.settings_dict["ENGINE"]
named = {name for name in dir(settings) if name.isupper()} & {
    "EXECUTOR_JWT_KEY", "ENCRYPTION_KEYS", "EDU_SNOWFLAKE"}
loaded = {name.split(".")[0] for name in sys.modules} & {
    "psycopg", "snowflake", "boto3", "partners", "edu", "procrastinate", "rest_framework"}
print(engine, sorted(named), sorted(loaded), settings.SECRET_KEY == os.environ["SECRET_KEY"])
try:
    connection.cursor()
except Exception as error:
    print(type(error).__name__)
"""
    done = subprocess.run(
        (sys.executable, "-c", code),
        cwd=PROJECT,
        env={"SECRET_KEY": "x" * 50, "DATABASE_URL": "postgres://user:secret@host/db"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [
        "django.db.backends.dummy [] [] False",
        "ImproperlyConfigured",
    ]
