"""Migrations of a release neither break the one that runs meanwhile nor lock large tables."""

import pytest
from django_migration_linter import MigrationLinter

pytestmark = pytest.mark.django_db

# From before the rule, or with the reason why they do no harm.
HARMLESS = {
    "0001_initial": "makes the tables",
    "0002_run_executor_size": "before the rule",
    "0003_job_stories": "before the rule",
    "0004_list_indexes": "before the rule",
    "0005_bundle_id_columns": "before the rule",
    "0003_ods_checks": "before the rule",
    "0010_missing_id_columns": "only lengthens a text, which needs no rewrite",
    "0011_run_outcome": "before the rule",
    "0016_for_consumers": "before the rule",
    "0017_rows_of_runs": "before the rule",
}


def test_migrations_can_be_applied_while_the_previous_release_runs(capsys):
    linter = MigrationLinter(
        include_apps=["access", "earthbeam", "partners"],
        ignore_name=list(HARMLESS),
        analyser_string="postgresql",
        all_warnings_as_errors=True,
        no_cache=True,
        quiet=["ok", "ignore"],
    )
    linter.lint_all_migrations()
    assert not linter.has_errors, (
        f"{capsys.readouterr().out}\ndocs/deploy.md, “Upgrading”, says how to do without."
    )


def test_a_migration_that_would_harm_is_found(capsys):
    """That the check above can fail, with one from before the rule."""
    linter = MigrationLinter(
        include_apps=["earthbeam"],
        include_name=["0004_list_indexes"],
        analyser_string="postgresql",
        all_warnings_as_errors=True,
        no_cache=True,
    )
    linter.lint_all_migrations()
    assert linter.has_errors
    assert "CREATE INDEX locks table" in capsys.readouterr().out
