"""Staff in the lab, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.demo import Demo

if TYPE_CHECKING:  # a run without the browser's tests needs no playwright
    from playwright.sync_api import Page

STORMS = ["hot-key", "absent-ids", "mass-expiry", "outage"]
PATIENCE = 120_000  # milliseconds for a storm and its defence; it takes five seconds


def test_staff_start_a_storm_and_see_it_drawn(
    window: Callable[..., Page], signed_in: Callable[..., Page], expect: Any, pictures: Path
) -> None:
    """From the link in the head to the two drawings, which come without a reload by hand."""
    page = signed_in(window("laptop"), "office")
    page.goto("/")
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Lab").click()
    page.get_by_role("navigation", name="Storms").get_by_role("link", name="Mass expiry").click()
    page.get_by_role("button", name="Start the storm").click()
    expect(page.get_by_role("status")).to_contain_text("Mass expiry, without its defence: under way")
    expect(page.get_by_role("button", name="Start the storm")).to_be_disabled()
    page.screenshot(path=pictures / "lab-underway.png", full_page=True)
    expect(page.get_by_role("status")).to_have_count(0, timeout=PATIENCE)
    expect(page.get_by_role("img", name=re.compile("^Answers that expire"))).to_have_count(2)
    expect(page.get_by_role("row", name=re.compile("^Answers stored 1,042 1,042$"))).to_be_visible()
    expect(page.get_by_role("button", name="Start the storm")).to_be_enabled()


def test_the_lab_fits_its_window(
    window: Callable[..., Page], signed_in: Callable[..., Page], look: Callable[..., None], demo: Demo
) -> None:
    """With every storm drawn, no page scrolls sideways, and each has its picture taken."""
    for name, small in zip(STORMS, ("8", "400", "60", "4"), strict=True):
        if not Path(demo.environment["DEMO_VAR"], "lab", f"storm-{name}-with.json").exists():
            demo.run("storm", name, "--size", small)
    page = signed_in(window(), "office")
    for path in ("/lab/", *(f"/lab/{name}/" for name in STORMS)):
        page.goto(path)
        look(page, path.strip("/").replace("/", "-"))
