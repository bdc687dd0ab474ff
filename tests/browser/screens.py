"""Looking at a page as people do: at phone and desktop width, in light and dark, with axe."""

from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

SCREENSHOTS = Path(__file__).resolve().parents[2] / "var" / "screenshots"

WIDTHS = {"phone": (390, 844), "desktop": (1280, 900)}
SCHEMES = ("light", "dark")

_SERIOUS = ("serious", "critical")


def look(page: Page, name: str) -> None:
    """Keep pictures of the page in var/screenshots, and fail on what axe calls serious.

    The page stays at desktop width, in light, as tests find it.
    """
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    complaints = []
    page.add_style_tag(content="* { transition: none !important; animation: none !important }")
    for width, (x, y) in WIDTHS.items():
        for scheme in SCHEMES:
            page.set_viewport_size({"width": x, "height": y})
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
            page.screenshot(path=SCREENSHOTS / f"{name}-{width}-{scheme}.png", full_page=True)
            complaints += [f"{width}, {scheme}: {each}" for each in serious(page)]
        overflow = page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        if overflow > 0:
            complaints.append(f"{width}: the page is {overflow} px wider than the screen")
    page.set_viewport_size({"width": WIDTHS["desktop"][0], "height": WIDTHS["desktop"][1]})
    page.emulate_media(color_scheme="light")
    assert complaints == [], "\n".join(complaints)


def serious(page: Page) -> list[str]:
    """What axe finds serious on the page: the rule and the elements."""
    found: list[dict[str, Any]] = Axe().run(page).response["violations"]
    return [
        f"{each['id']}: {', '.join(str(node['target']) for node in each['nodes'])}"
        for each in found
        if each["impact"] in _SERIOUS
    ]
