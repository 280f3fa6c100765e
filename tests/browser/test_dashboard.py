"""Staff at the dashboard, in a real browser: what it shows, how it keeps up, and what its buttons do."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import pytest
import redis

from tests.demo import Demo

if TYPE_CHECKING:  # a run without the browser's tests needs no playwright
    from playwright.sync_api import Page

TOOLKIT: Final = "/admin/redis_toolkit/"
OVERVIEW: Final = f"{TOOLKIT}statistic/"
LESSON: Final = f"{OVERVIEW}timetable.Lesson/change/"
PAGES: Final = {
    "dashboard-overview": OVERVIEW,
    "dashboard-overview-month": f"{OVERVIEW}?span=month",
    "dashboard-model": LESSON,
    "dashboard-throttles": f"{TOOLKIT}ban/",
    "dashboard-sessions": f"{TOOLKIT}livesession/?q=o",
    "dashboard-codes": f"{TOOLKIT}codecount/",
    "dashboard-tokens": f"{TOOLKIT}token/",
    "dashboard-health": f"{TOOLKIT}server/",
}
#: Milliseconds in which a page has what was counted: a second till Redis is told, five till the page asks, and a busy machine.
PATIENCE: Final = 30_000


@pytest.fixture(autouse=True)
def untouched(demo: Demo) -> None:
    """Nobody has used up anything."""
    with redis.Redis.from_url(demo.redis) as client:
        for key in client.scan_iter("timetable:h:*"):
            client.delete(key)


def tile(page: Page, name: str) -> Any:
    """The number of this name at the head of a page."""
    return page.locator(".rtk-tiles > div").filter(has=page.get_by_text(name, exact=True)).locator("b")


def reads(page: Page, model: str) -> Any:
    """How often a model was read, in the table of what is cached."""
    return page.get_by_role("region", name="What is cached").get_by_role("row", name=model).get_by_role("cell").first


def visit(page: Page, times: int) -> None:
    """Read a group's week."""
    for _ in range(times):
        assert page.request.get("/groups/q012/").status == 200


def test_staff_see_what_the_cache_saves(
    window: Callable[..., Page], signed_in: Callable[..., Page], expect: Any
) -> None:
    """From the head of the timetable: how many reads were hits, in words, as charts, and for each model."""
    page = signed_in(window(), "office")
    visit(page, 3)
    page.goto("/")
    page.get_by_role("navigation", name="You").get_by_role("link", name="Dashboard").click()
    expect(page.get_by_role("heading", level=1, name="Cache")).to_be_visible()
    expect(tile(page, "Hit ratio")).to_have_text(re.compile(r"^\d+ %$"), timeout=PATIENCE)
    expect(tile(page, "Breaker")).to_have_text("closed")
    for name in ("Reads", "Hit ratio"):
        chart = page.get_by_role("img", name=name, exact=True)
        expect(chart).to_be_visible()
        assert chart.evaluate("drawing => drawing.tagName") == "svg"
        assert chart.locator("path").count() > 0
    expect(reads(page, "timetable.Lesson")).to_have_text(re.compile(r"^\D*[1-9][\d,]*\s*$"))
    page.get_by_role("link", name="timetable.Lesson").click()
    expect(page.get_by_role("region", name="Reads by kind").get_by_role("row").nth(1)).to_be_visible()


def test_it_keeps_up_while_somebody_looks(
    window: Callable[..., Page], signed_in: Callable[..., Page], expect: Any
) -> None:
    """A visitor reads, and the numbers change without a reload."""
    page, visitor = signed_in(window(), "office"), window("phone")
    visit(visitor, 1)
    page.goto(OVERVIEW)
    page.evaluate("document.body.dataset.loaded = 'once'")
    expect(reads(page, "timetable.Lesson")).to_have_text(re.compile(r"\d"), timeout=PATIENCE)
    before = reads(page, "timetable.Lesson").text_content() or ""
    visit(visitor, 4)
    expect(reads(page, "timetable.Lesson")).not_to_have_text(before, timeout=PATIENCE)
    assert page.evaluate("document.body.dataset.loaded") == "once"


def test_a_paused_page_asks_for_nothing(
    window: Callable[..., Page], signed_in: Callable[..., Page], expect: Any
) -> None:
    """By the keyboard: a minute of silence, and again what is new every five seconds."""
    page = signed_in(window(), "office")
    page.clock.install()
    page.goto(OVERVIEW)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    pause = page.get_by_role("button", name="Pause updates")
    pause.focus()
    page.keyboard.press("Enter")
    expect(pause).to_have_attribute("aria-pressed", "true")
    page.clock.run_for(60_000)
    assert asked == []
    page.keyboard.press("Enter")
    expect(pause).to_have_attribute("aria-pressed", "false")
    with page.expect_response(lambda answer: OVERVIEW in answer.url):
        page.clock.run_for(5_100)


def test_the_keyboard_invalidates_a_model(
    window: Callable[..., Page], signed_in: Callable[..., Page], expect: Any
) -> None:
    """Tab and Enter: it says what was done, the next visitor's page is a miss, and the admin remembers who did it."""
    page, visitor = signed_in(window(), "office"), window("phone")
    for _ in range(2):
        visitor.goto("/groups/q012/")
    expect(visitor.locator(".served")).to_contain_text("3 cache hits, 0 misses")
    page.goto(LESSON)
    page.get_by_role("navigation", name="Time").get_by_role("link").last.focus()
    page.keyboard.press("Tab")
    expect(page.locator("summary", has_text="Invalidate…")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Invalidate timetable.Lesson")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".messagelist .success")).to_have_text("Invalidated (timetable.Lesson).")
    visitor.reload()
    expect(visitor.locator(".served")).to_contain_text("2 cache hits, 1 miss in")
    visitor.reload()
    expect(visitor.locator(".served")).to_contain_text("3 cache hits, 0 misses in")
    page.goto("/admin/")
    expect(page.locator("#recent-actions-module li").first).to_contain_text("timetable.Lesson")


def test_a_session_is_ended_from_the_desk(
    window: Callable[..., Page], signed_in: Callable[..., Page], expect: Any
) -> None:
    """The desk finds the user, and ends what they have open; their browser is nobody's at its next click."""
    theirs, desk = signed_in(window("phone"), "office"), signed_in(window())
    theirs.goto("/rooms/")
    expect(theirs.get_by_role("navigation", name="You")).to_contain_text("office")
    desk.goto(f"{TOOLKIT}livesession/")
    desk.get_by_label("User name, or primary key").fill("office")
    desk.get_by_role("button", name="Find").click()
    desk.get_by_role("region", name="Sessions of a user").get_by_role("link", name="office").click()
    desk.get_by_role("button", name=re.compile("^End (this|all)")).click()
    expect(desk.get_by_text("Not logged in anywhere.")).to_be_visible()
    expect(desk.locator(".messagelist .success")).to_be_visible()
    theirs.reload()
    expect(theirs.get_by_role("navigation", name="You").get_by_role("link", name="Log in")).to_be_visible()


def test_without_scripts_all_is_there(window: Callable[..., Page], signed_in: Callable[..., Page], expect: Any) -> None:
    """Numbers, charts and buttons are in the page; what would pause its updates is not."""
    page = signed_in(window(scripts=False), "office")
    visit(page, 2)
    page.goto(OVERVIEW)
    expect(page.get_by_role("button", name="Pause updates")).to_be_hidden()
    expect(tile(page, "Outbox")).to_have_text("0")
    page.goto(LESSON)
    page.locator("summary", has_text="Verify…").click()
    page.get_by_role("button", name="Verify timetable.Lesson").click()
    expect(page.locator(".messagelist li")).to_contain_text("compared")
    expect(page.get_by_role("img", name="Reads", exact=True)).to_be_visible()
    expect(page.get_by_role("region", name="Reads by kind")).to_be_visible()


def test_who_may_not_is_kept_out(
    window: Callable[..., Page], signed_in: Callable[..., Page], expect: Any, demo: Demo
) -> None:
    """A member of staff without the permissions has no link, and the address alone is a 403."""
    demo.run(
        "shell", "-v", "0", "-c",
        "from django.contrib.auth.models import User; User.objects.filter(username='clerk').delete(); "
        f"User.objects.create_user('clerk', '', {demo.password!r}, is_staff=True)",
    )  # fmt: skip
    page = signed_in(window(told=403), "clerk")
    expect(page.get_by_text("Redis toolkit")).to_have_count(0)
    for path in (OVERVIEW, LESSON, f"{TOOLKIT}ban/", f"{TOOLKIT}livesession/", f"{TOOLKIT}server/"):
        answer = page.goto(path)
        assert answer
        assert answer.status == 403, path
    page.goto("/")
    expect(page.get_by_role("navigation", name="You")).to_contain_text("clerk")
    expect(page.get_by_role("navigation", name="You").get_by_role("link", name="Dashboard")).to_have_count(0)


def test_the_dashboard_fits_its_window(
    window: Callable[..., Page], signed_in: Callable[..., Page], look: Callable[..., None], expect: Any, demo: Demo
) -> None:
    """No page scrolls sideways, whatever the window's size; each has its picture taken, with figures in it."""
    page, visitor = signed_in(window()), window(denied=True)
    for path in ("/groups/q012/", "/groups/q065/", "/teachers/", "/rooms/A/1/", "/rooms/") * 3:
        visitor.request.get(path)
    for _ in range(4):
        visitor.request.get("/limits/door/")
    demo.run("redis_throttle", "ban", "log-ins", "ip", "192.0.2.7", "--for", "600")
    page.goto(OVERVIEW)
    expect(reads(page, "timetable.Lesson")).to_have_text(re.compile(r"[1-9]"), timeout=PATIENCE)
    for name, path in PAGES.items():
        page.goto(path)
        look(page, name)
    page.goto(f"{TOOLKIT}livesession/?q=admin")
    page.get_by_role("region", name="Sessions of a user").get_by_role("link", name="admin").click()
    expect(page.get_by_role("heading", name="Sessions", level=2)).to_be_visible()
    look(page, "dashboard-user")
    page.goto("/admin/")
    look(page, "admin")
