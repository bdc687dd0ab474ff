"""What the documents name exists."""

import re

import pytest
from django.conf import settings

DOCS = sorted([*(settings.BASE_DIR / "docs").glob("*.md"), settings.BASE_DIR / "AGENTS.md"])
FILE = re.compile(r"`((?:access|earthbeam|edu|ops|partners|runway|tests)/[\w./]+\.\w+)`")
COMMAND = re.compile(r"`?manage\.py (\w+)")


@pytest.mark.parametrize("doc", DOCS, ids=lambda doc: doc.name)
def test_every_file_that_a_document_names_exists(doc):
    missing = [
        name for name in FILE.findall(doc.read_text()) if not (settings.BASE_DIR / name).exists()
    ]
    assert missing == []


def test_every_command_that_the_documents_name_exists():
    from django.core.management import get_commands

    named = {name for doc in DOCS for name in COMMAND.findall(doc.read_text())}
    assert len(named) > 10
    assert named - set(get_commands()) == set()


def test_links_between_documents_lead_somewhere():
    broken = [
        f"{doc.name}: {link}"
        for doc in DOCS
        for link in re.findall(r"\]\(((?!https?:)[^)#\s]+)", doc.read_text())
        if not (doc.parent / link).exists()
    ]
    assert broken == []
