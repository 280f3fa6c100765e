"""Every page under axe-core, by day and by night: nothing that it calls serious or critical.

The first look is at all of axe's rules, the second, in the dark, at contrast alone: only the colours differ.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import pytest
import redis
from axe_playwright_python.base import AXE_SCRIPT

from tests.demo import Demo

if TYPE_CHECKING:  # a run without the browser's tests needs no playwright
    from playwright.sync_api import Page

GRAVE: Final = {"serious", "critical"}
STUDENT: Final = "student@timetable.example"

VISITED: Final = [
    "/",
    "/code/cache-aside/",
    "/groups/",
    "/groups/q065/",
    "/groups/?q=hall",
    "/teachers/",
    "/teachers/t027/",
    "/rooms/",
    "/rooms/A/",
    "/rooms/A/1/",
    "/courses/",
    "/courses/c0108/",
    "/log-in/",
    "/log-in/link/",
    "/groups/of-nobody/",
]
TOOLKIT: Final = "/admin/redis_toolkit/"
DASHBOARD: Final = [
    f"{TOOLKIT}statistic/",
    f"{TOOLKIT}statistic/timetable.Lesson/change/",
    f"{TOOLKIT}ban/",
    f"{TOOLKIT}livesession/?q=admin",
    f"{TOOLKIT}codecount/",
    f"{TOOLKIT}token/",
    f"{TOOLKIT}server/",
]
#: What is Django's own: a rule, a selector, and why it is not ours to mend.
DJANGOS: Final = [
    # The search box above a list is labelled by the picture of a lens, and axe does not count its alternative text.
    ("label-title-only", "#searchbar"),
    # Links in the trail at the head are told from the last word by brightness alone.
    ("link-in-text-block", "div.breadcrumbs > a"),
]

#: By day, and by night: axe's options.
LOOKS: Final[list[tuple[Literal["light", "dark"], dict[str, list[str]]]]] = [
    ("light", {}),
    ("dark", {"runOnly": ["color-contrast"]}),
]
#: All that can be unfolded; of the figures below charts, which are alike and many, those of the first.
UNFOLDED: Final = "details:not(.rtk-chart ~ .rtk-chart details)"

#: Waits till what fades has faded, looks, and leaves out what is Django's own.
LOOK: Final = """async ([options, excused]) => {
  await Promise.all(document.getAnimations().map((each) => each.finished.catch(() => null)));
  const found = await axe.run(document, {...options, resultTypes: ["violations"]});
  const isExcused = (rule, target) => excused.some(([name, selector]) =>
    name === rule && document.querySelector(target)?.matches(selector));
  return found.violations.flatMap(({id, impact, nodes}) => nodes
    .map((node) => ({id, impact, target: String(node.target.at(-1)), why: node.failureSummary}))
    .filter((each) => !isExcused(each.id, each.target)));
}"""


def faults(page: Page) -> list[str]:
    """What axe finds of the page that is open, with every part of it unfolded: rule, element and why, grave ones alone."""
    page.wait_for_load_state()
    page.locator(UNFOLDED).evaluate_all("all => all.forEach((each) => { each.open = true; })")
    page.evaluate(AXE_SCRIPT)
    found: list[str] = []
    for scheme, options in LOOKS:
        page.emulate_media(color_scheme=scheme)
        told: list[dict[str, str]] = page.evaluate(LOOK, [options, DJANGOS])
        found += [
            f"{page.url}, {scheme}: {each['id']} at {each['target']}: {each['why']}"
            for each in told
            if each["impact"] in GRAVE
        ]
    return found


@pytest.fixture(autouse=True)
def untouched(demo: Demo) -> None:
    """Nobody has used up anything, or asked for a code."""
    durable = Path(demo.environment["DEMO_VAR"], "durable-address").read_text()
    for address, pattern in ((demo.redis, "timetable:h:*"), (durable, "timetable:o:*")):
        with redis.Redis.from_url(address) as client:
            for key in client.scan_iter(pattern):
                client.delete(key)


def test_axe_finds_what_is_wrong(window: Callable[..., Page]) -> None:
    """A picture without a text, a field without a label, grey on grey by night: the harness is not blind."""
    page = window()
    page.goto("/groups/")
    page.evaluate(
        """document.querySelector("main").innerHTML = '<img src="/favicon.ico"><input type="text"><p class="pale">Pale</p>';
        const sheet = new CSSStyleSheet();
        sheet.replaceSync("@media (prefers-color-scheme: dark) { .pale { color: #555; background: #444 } }");
        document.adoptedStyleSheets = [sheet];"""
    )
    found = [re.search(r"(light|dark): (\S+) at", each) for each in faults(page)]
    assert {each.groups() for each in found if each} == {
        ("light", "image-alt"),
        ("light", "label"),
        ("dark", "color-contrast"),
    }


def test_what_visitors_see(window: Callable[..., Page], expect: Any) -> None:
    """The pages of the timetable and the way in, that of nothing there included; then the limits, and the closed door."""
    page = window(denied=True, told=404)
    found = []
    for path in VISITED:
        assert page.goto(path)
        found += faults(page)
    page.goto("/limits/")
    for _ in range(2):
        page.get_by_role("button", name="Send 20 requests").click()
        expect(page.get_by_role("button", name="Send 20 requests")).to_be_enabled()
    found += faults(page)
    for heading in ("You are in", "You are in", "Too many requests"):
        page.goto("/limits/door/")
        expect(page.get_by_role("heading", level=1)).to_have_text(heading)
    found += faults(page)
    assert found == []


def test_the_doors(window: Callable[..., Page], signed_in: Callable[..., Page], expect: Any) -> None:
    """The code's page with an error, the link's pages, devices, tokens, the second code, the mailbox."""
    staff, page = signed_in(window()), window()
    found = []
    page.goto("/log-in/link/")
    page.get_by_label("E-mail address").fill(STUDENT)
    page.get_by_role("button", name="Send me a link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Look into your mailbox")
    found += faults(page)
    staff.goto("/mailbox/")
    link = staff.locator(".text a").first.text_content() or ""
    page.goto(link)
    expect(page.get_by_role("button", name="Log me in")).to_be_visible()
    found += faults(page)
    page.get_by_role("button", name="Log me in").click()
    expect(page.get_by_role("navigation", name="You")).to_contain_text("student")
    page.goto(link)
    expect(page.get_by_role("heading", level=1)).to_have_text("This link does not work")
    found += faults(page)

    page.goto("/tokens/new/")
    found += faults(page)
    page.get_by_role("button", name="Send me a code").click()
    page.get_by_label("Code").fill("12")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("alert")).to_be_visible()
    found += faults(page)
    staff.goto("/mailbox/")
    page.get_by_label("Code").fill(staff.locator(".code").first.text_content() or "")
    page.get_by_role("button", name="Continue").click()
    page.get_by_label("Name").fill("night report")
    found += faults(page)
    page.get_by_role("button", name="Make it").click()
    page.locator("#token").wait_for()
    found += faults(page)
    for path in ("/tokens/", "/devices/"):
        page.goto(path)
        found += faults(page)
    page.goto("/tokens/")
    page.get_by_role("link", name="Rotate").first.click()
    found += faults(page)
    found += faults(staff)
    assert found == []


def test_the_code_with_an_error(window: Callable[..., Page], expect: Any) -> None:
    """At the log-in: the field says what is wrong, and is named by its label still."""
    page = window()
    page.goto("/log-in/")
    page.get_by_label("E-mail address").fill(STUDENT)
    page.get_by_role("button", name="Send me a code").click()
    page.get_by_label("Code").fill("12")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("alert")).to_be_visible()
    assert faults(page) == []


def test_the_lab(window: Callable[..., Page], signed_in: Callable[..., Page], demo: Demo) -> None:
    """Its overview, and a storm that is drawn."""
    if not Path(demo.environment["DEMO_VAR"], "lab", "storm-hot-key-with.json").exists():
        demo.run("storm", "hot-key", "--size", "8")
    page, found = signed_in(window(), "office"), []
    for path in ("/lab/", "/lab/hot-key/"):
        page.goto(path)
        found += faults(page)
    assert found == []


def test_the_dashboard(window: Callable[..., Page], signed_in: Callable[..., Page], expect: Any, demo: Demo) -> None:
    """The toolkit's pages in the admin, with figures, charts and somebody who was denied; that of a user as well."""
    page, found = signed_in(window(denied=True)), []
    for path in ("/groups/q065/", "/groups/q065/", "/rooms/A/", *["/limits/door/"] * 3):
        page.goto(path)
    expect(page.get_by_role("heading", level=1)).to_have_text("Too many requests")
    demo.run("redis_throttle", "ban", "log-ins", "ip", "192.0.2.7", "--for", "600")
    for path in DASHBOARD:
        page.goto(path)
        found += faults(page)
    page.goto(f"{TOOLKIT}livesession/?q=admin")
    page.get_by_role("rowheader").get_by_role("link", name="admin").click()
    expect(page.get_by_role("heading", name="Sessions", level=2)).to_be_visible()
    found += faults(page)
    assert found == []


def test_what_is_excused_is_there(window: Callable[..., Page], signed_in: Callable[..., Page]) -> None:
    """Each exception is needed still: without them axe finds just these."""
    page, found = signed_in(window()), set()
    for path in (f"{TOOLKIT}token/", f"{TOOLKIT}server/"):
        page.goto(path)
        page.evaluate(AXE_SCRIPT)
        told = page.evaluate(LOOK, [{"runOnly": [rule for rule, _ in DJANGOS]}, []])
        found |= {each["id"] for each in told}
    assert found == {rule for rule, _ in DJANGOS}, json.dumps(sorted(found))
