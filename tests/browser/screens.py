"""Looking at a page as people do: at phone and desktop width, in light and dark, with axe.

SCREENSHOTS=1 keeps pictures in var/screenshots, to be looked at after a change of a page.
"""

import os
from pathlib import Path
from typing import Any, Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

KEEP = os.environ.get("SCREENSHOTS") == "1"
SCREENSHOTS = Path(__file__).resolve().parents[2] / "var" / "screenshots"

WIDTHS = {"phone": (390, 844), "desktop": (1280, 900)}

SERIOUS = ("serious", "critical")
# Colors differ by scheme, everything else by width: two looks show axe all that there is.
_LOOKS: tuple[tuple[str, Literal["light", "dark"]], ...] = (("phone", "light"), ("desktop", "dark"))
_PICTURES: tuple[tuple[str, Literal["light", "dark"]], ...] = tuple(
    (width, scheme) for width in WIDTHS for scheme in ("light", "dark")
)

_HOLD_STILL = """
window.ofTests = true;  // axe and pictures bring styles of their own, which the policy keeps out
const sheet = new CSSStyleSheet();
sheet.replaceSync("* { transition: none !important; animation: none !important }");
document.adoptedStyleSheets.push(sheet);
"""


def look(page: Page, name: str) -> None:
    """Fail on what axe calls serious, and on a page wider than the screen.

    The page stays at desktop width, in light, as tests find it.
    """
    complaints = []
    page.evaluate(_HOLD_STILL)
    page.evaluate(Axe().axe_script)
    for width, scheme in _PICTURES if KEEP else _LOOKS:
        _resize(page, width, scheme)
        if KEEP:
            SCREENSHOTS.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=SCREENSHOTS / f"{name}-{width}-{scheme}.png", full_page=True)
        complaints += [f"{width}, {scheme}: {each}" for each in _serious(page)]
        overflow = page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        if overflow > 0:
            complaints.append(f"{width}: the page is {overflow} px wider than the screen")
    _resize(page, "desktop", "light")
    page.evaluate("window.ofTests = false")
    assert not complaints, "\n".join(complaints)


def _resize(page: Page, width: str, scheme: Literal["light", "dark"]) -> None:
    x, y = WIDTHS[width]
    page.set_viewport_size({"width": x, "height": y})
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")


def _serious(page: Page) -> list[str]:
    """What axe finds serious on the page: the rule and the elements."""
    # What passes takes long to tell.
    found: list[dict[str, Any]] = page.evaluate(
        "axe.run(document, { resultTypes: ['violations'] }).then(report => report.violations)"
    )
    return [
        f"{each['id']}: {', '.join(str(node['target']) for node in each['nodes'])}"
        for each in found
        if each["impact"] in SERIOUS
    ]
