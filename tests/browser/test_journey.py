"""All of it in one go: a visitor reads, is denied, and logs in; staff edit, look at the dashboard, and invalidate."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
import redis

from tests.demo import Demo

if TYPE_CHECKING:  # a run without the browser's tests needs no playwright
    from playwright.sync_api import Page

WEEK: Final = "/groups/q012/"
STUDENT: Final = "student@timetable.example"
TOOLKIT: Final = "/admin/redis_toolkit/"
PATIENCE: Final = 30_000  # milliseconds: a second till Redis is told, five till the page asks, and a busy machine


@pytest.fixture(autouse=True)
def untouched(demo: Demo) -> None:
    """Nobody has used up anything, asked for a code, or is logged in."""
    with redis.Redis.from_url(Path(demo.environment["DEMO_VAR"], "durable-address").read_text()) as client:
        client.flushdb()
    with redis.Redis.from_url(demo.redis) as client:
        for key in client.scan_iter("timetable:h:*"):
            client.delete(key)


def by_mail(page: Page, desk: Page, path: str, button: str, letter: str) -> str:
    """Ask for a code or a link; what the letter says, which staff read."""
    page.goto(path)
    page.get_by_label("E-mail address").fill(STUDENT)
    page.get_by_role("button", name=button).click()
    page.get_by_role("link", name="Another address").wait_for()
    desk.goto("/mailbox/")
    return desk.locator(letter).first.text_content() or ""


def test_a_day_at_the_timetable(window: Callable[..., Page], signed_in: Callable[..., Page], expect: Any) -> None:
    """Each step is seen by whom it is about, and the dashboard has counted them."""
    visitor, desk = window("phone", denied=True), signed_in(window(), "office")
    visitor.goto(WEEK)
    wednesday = visitor.get_by_role("row", name=re.compile("^Wednesday"))
    expect(wednesday).not_to_contain_text("Room DS1")

    desk.goto(WEEK)
    lessons = desk.get_by_role("row", name=re.compile("^Wednesday")).get_by_role("article")
    lessons.filter(has_text="Discrete Mathematics").get_by_role("link", name="Edit").click()
    desk.locator("#select2-id_room-container").click()
    desk.locator(".select2-search__field").fill("DS1")
    desk.get_by_role("option", name="Room DS1").click()
    desk.get_by_role("button", name="Save", exact=True).click()
    expect(desk.get_by_text("was changed successfully")).to_be_visible()
    visitor.reload()
    expect(wednesday).to_contain_text("Room DS1")

    for _ in range(2):
        visitor.goto("/limits/door/")
    denied = visitor.goto("/limits/door/")
    assert denied
    assert (denied.status, int(denied.headers["retry-after"]) > 0) == (429, True)
    expect(visitor.get_by_role("heading", level=1)).to_have_text("Too many requests")

    code = by_mail(visitor, desk, f"/log-in/?next={WEEK}", "Send me a code", ".code")
    visitor.get_by_label("Code").fill(code)
    visitor.get_by_role("button", name="Continue").click()
    expect(visitor).to_have_url(re.compile(f"{WEEK}$"))
    expect(visitor.get_by_role("navigation", name="You")).to_contain_text("student")

    library = window("tablet")
    library.goto(by_mail(library, desk, "/log-in/link/", "Send me a link", ".text a"))
    library.get_by_role("button", name="Log me in").click()
    expect(library.get_by_role("navigation", name="You")).to_contain_text("student")
    visitor.get_by_role("link", name="Devices").click()
    expect(visitor.get_by_role("main").get_by_role("listitem")).to_have_count(2)
    visitor.get_by_role("button", name="End", exact=True).click()
    expect(visitor.get_by_role("status")).to_have_text("1 session was ended.")
    library.reload()
    expect(library.get_by_role("link", name="Log in", exact=True)).to_be_visible()

    desk.goto(f"{TOOLKIT}statistic/")
    told = desk.locator(".rtk-tiles > div").filter(has=desk.get_by_text("Hit ratio", exact=True)).locator("b")
    expect(told).to_have_text(re.compile(r"^\d+ %$"), timeout=PATIENCE)
    desk.get_by_role("navigation", name="Redis toolkit").get_by_role("link", name="Throttles and bans").click()
    expect(desk.get_by_role("region", name="Denied most in this hour and the last")).to_contain_text("door")
    desk.get_by_role("navigation", name="Redis toolkit").get_by_role("link", name="Cache").click()

    for _ in range(2):
        visitor.goto(WEEK)
    expect(visitor.locator(".served")).to_contain_text("3 cache hits, 0 misses in")
    desk.get_by_role("link", name="timetable.Lesson").click()
    desk.locator("summary", has_text="Invalidate…").click()
    desk.get_by_role("button", name="Invalidate timetable.Lesson").click()
    expect(desk.locator(".messagelist .success")).to_have_text("Invalidated (timetable.Lesson).")
    visitor.goto(WEEK)
    expect(visitor.locator(".served")).to_contain_text("2 cache hits, 1 miss in")
