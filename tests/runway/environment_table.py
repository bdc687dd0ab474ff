"""Write docs/environment.md, the table of all variables, from .env.example: `make environment`.

The tests hold .env.example to the settings, and the table to .env.example.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
HEAD = """# Variables

Made from `.env.example` by `make environment`. A value left empty counts as unset. "Required" means
in production; development has fallbacks.
"""
_SECTION = re.compile(r"# -{4} (.+?) -+$")
_VARIABLE = re.compile(r"([A-Z][A-Z0-9_]+)=(.*)$")


def table(example: str) -> str:
    """Return the page for the text of .env.example."""
    return HEAD + "".join(_lines(example.splitlines()))


def _lines(lines: list[str]) -> Iterator[str]:
    names: list[str] = []
    comment: list[str] = []
    for line in [*lines, ""]:
        variable = _VARIABLE.match(line)
        if not variable and names:
            yield _row(names, " ".join(comment))
            names, comment = [], []
        if section := _SECTION.match(line):
            comment = []
            yield f"\n## {section[1]}\n\n| variable | required | meaning |\n| --- | --- | --- |\n"
        elif variable:
            names.append(variable[1])
        elif line.startswith("#"):
            comment.append(line.removeprefix("#").strip())
        else:
            comment = []


def _row(names: list[str], text: str) -> str:
    required = "yes" if text.startswith("Required.") else ""
    words = text.removeprefix("Required.").strip().replace("|", "\\|")
    return f"| {', '.join(f'`{name}`' for name in names)} | {required} | {words} |\n"


def main() -> None:
    page = table((PROJECT / ".env.example").read_text())
    (PROJECT / "docs/environment.md").write_text(page)
    sys.stdout.write("docs/environment.md is written\n")


if __name__ == "__main__":
    main()
