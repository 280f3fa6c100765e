"""A visitor who has a minute: what each pattern is, its figures as they change, its code, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

from tests.demo import Demo

if TYPE_CHECKING:  # a run without the browser's tests needs no playwright
    from playwright.sync_api import Page

NAMES = ["cache-aside", "invalidation", "stampede", "throttling", "codes", "devices", "tokens", "dashboard"]


def figure(page: Page, name: str, label: str) -> Any:
    """The number of a pattern that stands above this label."""
    return page.locator(f"#{name} dl > div").filter(has=page.get_by_text(label, exact=True)).locator("dd")


def test_the_story_is_eight_lines_of_a_ledger(window: Callable[..., Page], expect: Any) -> None:
    """Each line has a heading, a link to its page and one to its code, named so that they differ when read aloud."""
    page = window("laptop")
    page.goto("/")
    expect(page.get_by_role("heading", level=2)).to_have_count(len(NAMES))
    code = page.get_by_role("main").get_by_role("link", name=re.compile("^The code behind "))
    expect(code).to_have_count(len(NAMES))
    assert len(set(code.all_text_contents())) == len(NAMES)
    text, figures = page.locator("#cache-aside .tale").bounding_box(), page.locator("#cache-aside dl").bounding_box()
    assert text
    assert figures
    assert text["x"] + text["width"] <= figures["x"]


def test_figures_change_while_one_looks(window: Callable[..., Page], expect: Any, demo: Demo) -> None:
    """Somebody else goes through the door three times: one denial more, without a reload, and a bar for it."""
    page = window("phone")
    page.goto("/")
    expect(page.locator("#as-of")).to_have_text("Live")
    denied = figure(page, "throttling", "denied")
    before = int((denied.text_content() or "").replace(",", ""))
    other = window("laptop", denied=True)
    for _ in range(4):
        other.goto("/limits/door/")
    expect(denied).not_to_have_text(f"{before:,}")
    expect(page.locator("#throttling path")).to_have_attribute("d", re.compile(r"^M"))
    with urlopen(f"{demo.url}now/", timeout=20) as answer:
        assert answer.status == 200


def test_who_looks_away_asks_for_nothing(window: Callable[..., Page], expect: Any) -> None:
    """Hidden, the page asks for no figures; seen again, at once."""
    page = window("laptop")
    page.clock.install()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if request.url.endswith("/now/") else None)
    page.goto("/")
    expect(page.locator("#as-of")).to_have_text("Live")
    hide = """hidden => {
        Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
    }"""
    page.evaluate(hide, True)
    count = len(asked)
    page.clock.run_for(60_000)
    assert len(asked) == count
    with page.expect_request("**/now/"):
        page.evaluate(hide, False)
    with page.expect_request("**/now/"):
        page.clock.run_for(4_000)


def test_without_scripts_it_is_read_again_by_hand(window: Callable[..., Page], expect: Any) -> None:
    """The figures are in the page, with the time they are of."""
    page = window("laptop", scripts=False)
    page.goto("/")
    expect(page.locator("#as-of")).to_have_text(re.compile(r"^As of \d\d:\d\d:\d\d\. Look again$"))
    expect(page.locator("dd")).to_have_count(20)
    page.get_by_role("link", name="Look again").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("A week of lessons, and what Redis does for it")


def test_from_the_pattern_to_its_code_and_back(window: Callable[..., Page], expect: Any) -> None:
    """The keyboard is enough: to the code, through all eight, and back to the line where one was."""
    page = window("laptop")
    page.goto("/")
    page.get_by_role("link", name="The code behind Cache-aside").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Cache-aside")
    expect(page.locator("pre").first).to_contain_text("cached = CacheManager(ttl=DAY)")
    expect(page.locator("pre .k").first).to_have_text("class")
    for _ in NAMES[1:]:
        page.get_by_role("navigation", name="Other patterns").get_by_role("link", name=re.compile("^Next ")).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("The dashboard")
    page.get_by_role("link", name="The code behind it").click()
    expect(page).to_have_url(re.compile("/#dashboard$"))


def test_each_pattern_leads_to_where_it_works(window: Callable[..., Page], expect: Any) -> None:
    """For a visitor: the page itself, or the way in to it, by a code or for staff by a password."""
    page = window("laptop")
    seen = []
    for name in NAMES:
        page.goto("/")
        page.locator(f"#{name} .trial a").click()
        page.wait_for_load_state()
        seen.append(page.url.removeprefix(page.url[: page.url.index("/", 8)]).partition("?")[0])
    assert seen[:1] + seen[3:7] == ["/groups/q065/", "/limits/", "/log-in/", "/log-in/", "/log-in/"]
    assert {seen[1], seen[2], seen[7]} == {"/admin/login/"}


def test_the_story_fits_its_window(window: Callable[..., Page], look: Callable[..., None]) -> None:
    """The first page and the eight of code: nothing scrolls sideways but code in its own box. Pictures are taken."""
    page = window()
    for path in ("/", *(f"/code/{name}/" for name in NAMES)):
        page.goto(path)
        look(page, path.strip("/").replace("/", "-") or "home")
