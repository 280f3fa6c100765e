"""A visitor and the timetable office, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.demo import Demo

if TYPE_CHECKING:  # a run without the browser's tests needs no playwright
    from playwright.sync_api import Page

PATHS = [
    "/groups/",
    "/groups/q065/",
    "/teachers/",
    "/teachers/t027/",
    "/rooms/",
    "/rooms/A/",
    "/rooms/A/1/",
    "/courses/",
    "/courses/c0108/",
    "/nowhere/",
]


def test_pages_fit_their_window(window: Callable[..., Page], look: Callable[..., None]) -> None:
    """No page scrolls sideways, whatever the window's size; each has its picture taken."""
    page = window(told=404)
    for path in PATHS:
        page.goto(path)
        look(page, path.strip("/").replace("/", "-"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_dark_is_dark(window: Callable[..., Page], scheme: str) -> None:
    """The colours are those that the visitor's system has."""
    page = window("laptop", scheme)
    page.goto("/")
    red = int(re.findall(r"\d+", page.evaluate("getComputedStyle(document.body).backgroundColor"))[0])
    assert (red < 60) == (scheme == "dark")


def test_a_visitor_finds_their_week_on_a_laptop(window: Callable[..., Page], expect: Any) -> None:
    """From the search box to the week: days stand beside each other, periods below each other."""
    page = window("laptop")
    page.goto("/groups/")
    page.get_by_label("A group, a teacher, a room or a course").fill("management master's year 1 c")
    page.get_by_role("button", name="Find").click()
    expect(page).to_have_url(re.compile("/groups/q065/$"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Management Engineering master’s year 1, C")  # noqa: RUF001
    tuesday, friday = (page.get_by_role("rowheader", name=day).bounding_box() for day in ("Tuesday", "Friday"))
    assert tuesday
    assert friday
    assert tuesday["y"] == friday["y"]
    assert tuesday["x"] < friday["x"]
    lessons = page.get_by_role("row", name=re.compile("^Tuesday")).get_by_role("article")
    expect(lessons).to_have_count(5)
    first, second = lessons.nth(0).bounding_box(), lessons.nth(1).bounding_box()
    assert first
    assert second
    assert first["x"] == second["x"]
    assert first["y"] < second["y"]


def test_a_visitor_reads_their_week_on_a_phone(window: Callable[..., Page], expect: Any) -> None:
    """Days stand below each other, each lesson with its hours; free periods take no room."""
    page = window("phone")
    page.goto("/groups/q065/")
    monday, friday = (page.get_by_role("rowheader", name=day).bounding_box() for day in ("Monday", "Friday"))
    assert monday
    assert friday
    assert monday["x"] == friday["x"]
    assert monday["y"] < friday["y"]
    expect(page.locator("td.empty").first).to_be_hidden()
    first = page.get_by_role("row", name=re.compile("^Monday")).get_by_role("article").first
    expect(first).to_contain_text("13:15–15:00")  # noqa: RUF001
    expect(first).to_contain_text("Hall A")


def test_the_keyboard_reaches_the_content_first(window: Callable[..., Page], expect: Any) -> None:
    """The first Tab shows a link that skips to the content."""
    page = window("laptop")
    page.goto("/groups/q065/")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


def test_a_second_look_costs_the_database_nothing(window: Callable[..., Page], expect: Any) -> None:
    """The foot of the page says so: three hits, no queries."""
    page = window("laptop")
    page.goto("/groups/q012/")
    page.reload()
    expect(page.locator(".served")).to_contain_text("3 cache hits, 0 misses in")
    expect(page.locator(".served")).to_contain_text("0 database queries")


def test_the_office_moves_a_lesson_and_visitors_see_it(
    window: Callable[..., Page], expect: Any, demo: Demo, pictures: Path
) -> None:
    """A visitor looks, the office edits in the admin, the visitor reloads: the lesson has moved to Friday."""
    visitor, office = window("phone"), window("laptop")
    visitor.goto("/groups/q065/")
    friday = visitor.get_by_role("row", name=re.compile("^Friday"))
    expect(friday.get_by_text("Engineering Economics")).to_have_count(0)

    office.goto("/admin/")
    office.get_by_label("Username").fill("office")
    office.get_by_label("Password").fill(demo.password)
    office.get_by_role("button", name="Log in").click()
    office.goto("/groups/q065/")
    wednesday = office.get_by_role("row", name=re.compile("^Wednesday")).get_by_role("article")
    wednesday.filter(has_text="Engineering Economics").filter(has_text="Hall F").get_by_role(
        "link", name="Edit"
    ).click()
    office.get_by_label("Weekday").select_option("Friday")
    office.locator("#select2-id_room-container").click()
    office.locator(".select2-search__field").fill("DS1")
    office.get_by_role("option", name="Room DS1").click()
    office.screenshot(path=pictures / "admin-lesson.png", full_page=True)
    office.get_by_role("button", name="Save", exact=True).click()
    expect(office.get_by_text("was changed successfully")).to_be_visible()
    office.screenshot(path=pictures / "admin-lessons.png", full_page=True)

    visitor.reload()
    expect(friday.get_by_text("Engineering Economics")).to_have_count(1)
    expect(friday).to_contain_text("17:15–19:00")  # noqa: RUF001
