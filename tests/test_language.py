"""How Runway speaks: words that no page, message, or document uses."""

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent

PLACES = ("templates", "earthbeam/wording", "docs", "runway/static/runway")

# What a native editor would change, and what to.
FORBIDDEN = {
    r"mend(ed|s|ing)?": "fix",
    r"colours?": "color",
    r"behaviours?": "behavior",
    r"jobs to look at": "needs attention",
    r"who did what": "activity",
    r"files out": "output files",
    r"where to, and what": "destination and assessment",
    r"what the run has printed": "run log",
    r"tries EDU first": "tests the EDU connection before",
    r"jobs are taken for": "you can submit jobs for",
    r"job of (its|their) own": "separate job",
    r"an id that several students share": "an ID that belongs to more than one student",
    r"people who run Runway": "Runway support",
    r"(is|are) away": "is unavailable",
    r"gives? back": "returns",
    r"out of reach": "unavailable",
    r"just now": "right now",
    r"(not|will) be told apart": "not reported separately",
    r"(some|no|every)body": "someone, no one, everyone",
    r"goes? on as": "continues as",
    r"see what changes": "review changes",
    r"not yours": "you do not have access to it",
    r"enter (it|them) anew": "enter it again",
}


def texts() -> list[Path]:
    found = [
        path
        for place in PLACES
        for path in sorted((PROJECT / place).rglob("*"))
        if path.suffix in (".html", ".py", ".md", ".js", ".css")
    ]
    return [*found, PROJECT / "README.md", PROJECT / "AGENTS.md"]


@pytest.mark.parametrize("word", FORBIDDEN)
def test_words_of_the_glossary_are_used(word):
    pattern = re.compile(rf"\b{word}\b", re.IGNORECASE)
    found = [
        f"{path.relative_to(PROJECT)}:{number}: {line.strip()[:100]}"
        for path in texts()
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if pattern.search(line)
    ]
    assert found == [], f"say: {FORBIDDEN[word]}"
