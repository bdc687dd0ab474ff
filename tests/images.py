"""The content of the images, as their Dockerfiles copy it, for machines without a daemon."""

import re
import shutil
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]


def build(dockerfile: str, folder: Path) -> Path:
    """Fill ``folder`` with what the image's working directory has, and return it."""
    text = (PROJECT / dockerfile).read_text()
    sent = (PROJECT / ".dockerignore").read_text().splitlines()
    for sources, target in re.findall(r"^COPY (.+) (\S+)$", text, re.MULTILINE):
        into = folder / target
        for source in sources.split():
            assert f"!{Path(source).parts[0]}" in sent, source
            copied = PROJECT / source
            if copied.is_dir():
                shutil.copytree(copied, into, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                (into if target.endswith("/") else into.parent).mkdir(parents=True, exist_ok=True)
                shutil.copy(copied, into)
    for removed in re.findall(r"^RUN rm -rf (?!/)(.+)$", text, re.MULTILINE):
        for each in removed.split():
            shutil.rmtree(folder / each)
    return folder
