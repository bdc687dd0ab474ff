"""Imports run one way: edu knows nobody, partners may use edu, earthbeam both, runway wires."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent

# What the modules below a folder must not import.
FORBIDDEN = {
    "edu": ("partners", "earthbeam", "runway"),
    "partners": ("access", "earthbeam", "runway"),
    "access": ("earthbeam", "edu", "runway"),
    "earthbeam": ("access", "runway.sandbox", "runway.settings"),
    "earthbeam/matching": ("django", "partners", "edu", "runway", "requests", "logging", "pathlib"),
    "earthbeam/executor": (
        *("access", "partners", "edu", "runway", "rest_framework", "procrastinate", "psycopg"),
        *("django.db", "earthbeam.models", "earthbeam.api", "earthbeam.runs", "earthbeam.jobs"),
    ),
    "runway/sandbox": ("access", "partners", "earthbeam.models", "earthbeam.executor"),
}

# The only module outside runway that may know Django beside the executor's command and app.
EXECUTOR_DJANGO = {"apps.py", "management/commands/executor.py"}


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
        if name == barred or name.startswith(f"{barred}.")
    ]
    assert broken == []


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
