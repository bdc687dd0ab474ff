from pathlib import Path

from django.core.management import call_command
from django.test import Client

SCHEMA = Path(__file__).resolve().parents[3] / "docs" / "openapi.yaml"


def test_the_schema_in_the_docs_is_that_of_the_code(tmp_path):
    made = tmp_path / "openapi.yaml"
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(made))
    assert made.read_text() == SCHEMA.read_text(), "Run `make schema` and commit docs/openapi.yaml."


def test_the_schema_and_its_page_are_served_without_other_servers():
    schema = Client().get("/api/v1/schema").content.decode()
    assert "/api/v1/output-sets" in schema
    assert "/api/earthbeam" not in schema
    page = Client().get("/api/v1/docs").content.decode()
    assert "/api/v1/schema" in page
    assert "https://" not in page
