"""The commands and files of docs/deploy.md, word for word."""

import re
from textwrap import dedent

from tests.images import PROJECT

TEXT = (PROJECT / "docs/deploy.md").read_text()


def blocks(heading: str) -> list[str]:
    """The indented blocks below ``heading``, up to the next one of its level."""
    part = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert part is not None, heading
    found = re.findall(r"(?:^ {4,}\S.*\n)+", part[1], re.MULTILINE)
    return [dedent(block).strip() for block in found]


def variables(block: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in block.splitlines())
