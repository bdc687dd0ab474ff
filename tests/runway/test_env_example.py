""".env.example names every variable that is read, and none that is not."""

import re
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
READERS = re.compile(
    r"(?:required|optional|flag|positive_int|networks|env\.\w+|os\.environ\.get)"
    r"\(\s*f?\"([A-Z][A-Z0-9_]+)"
)
# Read from lists of names, or by libraries.
BUILT = {"EDU_SNOWFLAKE_"}


def test_every_variable_is_explained():
    sources = ("runway/settings.py", "runway/env.py", "gunicorn.conf.py")
    read = {name for path in sources for name in READERS.findall((PROJECT / path).read_text())}
    listed = set(
        re.findall(r"^([A-Z][A-Z0-9_]+)=", (PROJECT / ".env.example").read_text(), re.MULTILINE)
    )
    assert read - BUILT - {"AWS_DEFAULT_REGION"} <= listed
    assert {name for name in listed - read if not name.startswith("EDU_SNOWFLAKE_")} == set()
