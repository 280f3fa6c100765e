"""What visitors see, and what it costs the second time: nothing in the database."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from django.test import Client

from demo_project.timetable.hours import Weekday
from demo_project.timetable.models import Lesson
from demo_project.timetable.weeks import week_of
from redis_toolkit.testing import ValkeyServer
from tests.integration.demo.pages import Page

# Page, cached answers it is made of.
PAGES = [
    ("/groups/", 1),
    ("/groups/?q=physics", 4),
    ("/groups/q065/", 3),
    ("/groups/q065/calendar.ics", 3),
    ("/teachers/", 2),
    ("/teachers/t027/", 2),
    ("/rooms/", 1),
    ("/rooms/A/", 2),
    ("/rooms/A/1/", 2),
    ("/courses/", 2),
    ("/courses/?department=CIV", 3),
    ("/courses/c0088/", 3),
]


@pytest.mark.parametrize(("path", "answers"), PAGES)
def test_a_page_loaded_again_asks_the_database_nothing(visit: Callable[..., Any], path: str, answers: int) -> None:
    """First load: each answer is a miss; second load: each is a hit, 0 queries, the same page."""
    first, second = visit(path), visit(path)
    assert (first.response.status_code, second.response.status_code) == (200, 200)
    assert (first.hits, first.misses, first.bypasses) == (0, answers, 0)
    assert (second.hits, second.misses, second.bypasses, second.queries) == (answers, 0, 0, 0)
    assert first.text.partition("served")[0] == second.text.partition("served")[0]


def test_the_footer_says_how_the_page_was_served(visit: Callable[..., Any]) -> None:
    """The numbers of the header stand in words at the foot of the page."""
    visit("/rooms/A/")
    words = " ".join(visit("/rooms/A/").text.replace("<b>", "").replace("</b>", "").split())
    assert re.search(r"2 cache hits, 0 misses in \d+\.\d\d ms · 0 database queries · page in \d+\.\d ms", words)


def test_a_groups_week_stands_in_a_table(visit: Callable[..., Any]) -> None:
    """q065 has 22 lessons in a table of five days and five periods, and its five courses below."""
    text = visit("/groups/q065/").text
    page = Page(text)
    assert "<h1>Management Engineering <span>master’s year 1, C</span></h1>" in text  # noqa: RUF001
    assert (page.count("table"), page.count("tr"), page.count("th"), page.count("td")) == (1, 6, 11, 25)
    assert (page.count("article", "lesson"), page.count("td", "empty")) == (22, 3)
    assert sum(tag == "li" for tag, _ in page.elements) == 5
    assert "22 lessons a week" in text


def test_a_teachers_week_has_the_lessons_of_all_their_courses(visit: Callable[..., Any]) -> None:
    """t027 gives three physics courses of three lessons each."""
    page = Page(visit("/teachers/t027/").text)
    assert page.count("article", "lesson") == 9


def test_a_rooms_week_says_how_full_it_is(visit: Callable[..., Any]) -> None:
    """Hall A is taken in all its 25 periods; its door sign shows five lessons each day."""
    text = visit("/rooms/A/").text
    assert "in use 25 of 25 periods" in text
    assert Page(text).count("article", "lesson") == 25
    assert Page(visit("/rooms/A/3/").text).count("article", "lesson") == 5


def test_courses_are_listed_by_department(visit: Callable[..., Any]) -> None:
    """All 82 courses, or the 29 of civil engineering."""
    assert "82 courses" in visit("/courses/").text
    civil = visit("/courses/?department=CIV")
    assert "29 courses" in civil.text
    assert Page(civil.text).count("tr") == 30


@pytest.mark.parametrize(
    ("words", "address"),
    [
        ("marchetti", "/teachers/t000/"),
        ("Kovac", "/teachers/t044/"),
        ("hall a", "/rooms/A/"),
        ("Q065", "/groups/q065/"),
    ],
)
def test_a_search_with_one_answer_goes_there(visit: Callable[..., Any], words: str, address: str) -> None:
    """Case and accents do not matter, codes are found as names are."""
    response = visit(f"/groups/?q={words}").response
    assert (response.status_code, response.headers["Location"]) == (302, address)


def test_a_search_lists_what_has_all_words(visit: Callable[..., Any]) -> None:
    """Four courses are about physics; nothing is about physics and zebras."""
    text = visit("/groups/?q=physics").text
    assert all(title in text for title in ("Building Physics", "General Physics", "Physics I", "Physics for Computing"))
    assert text.count("<h2>") == 1
    assert "Nothing has all of these words" in visit("/groups/?q=physics zebra").text


@pytest.mark.parametrize(
    "path",
    [
        "/groups/q999/",
        "/groups/q999/calendar.ics",
        "/teachers/t999/",
        "/rooms/Z/",
        "/rooms/A/6/",
        "/courses/?department=X",
    ],
)
def test_what_is_not_there_is_not_found(visit: Callable[..., Any], path: str) -> None:
    """404, in the site's own dress, with the way home."""
    found = visit(path)
    assert found.response.status_code == 404
    assert "There is nothing here" in found.text


@pytest.mark.parametrize("path", [path for path, _ in PAGES if "calendar" not in path])
def test_a_page_needs_nothing_but_its_own_files(visit: Callable[..., Any], path: str) -> None:
    """No script, no style in the page, no address elsewhere; a policy that says so; a language and a way to skip."""
    found = visit(path)
    page = Page(found.text)
    assert found.response.headers["Content-Security-Policy"].startswith("default-src 'self'; ")
    assert page.count("script") == page.count("style") == 0
    assert not [attrs for _, attrs in page.elements if "style" in attrs or any(name.startswith("on") for name in attrs)]
    assert not [a for _, attrs in page.elements for a in (attrs.get("href"), attrs.get("src")) if a and "//" in a]
    assert ("html", {"lang": "en"}) in page.elements
    assert ("a", {"class": "skip", "href": "#content"}) in page.elements
    assert page.count("h1") == page.count("main") == 1


def test_staff_see_a_way_to_edit_each_lesson(visit: Callable[..., Any], client: Client) -> None:
    """Visitors get no such link; the office gets 22 on a page of 22 lessons."""
    assert "Edit" not in visit("/groups/q065/").text
    assert client.login(username="office", password=_password())
    assert visit("/groups/q065/").text.count('<p class="edit">') == 22


def test_without_redis_the_database_answers(visit: Callable[..., Any], valkey: ValkeyServer) -> None:
    """With the server gone the same page comes from three queries."""
    whole = visit("/groups/q065/").text.partition("served")[0]
    valkey.kill()
    alone = visit("/groups/q065/")
    assert (alone.response.status_code, alone.hits, alone.queries) == (200, 0, 3)
    assert alone.text.partition("served")[0] == whole


def test_today_is_pointed_out() -> None:
    """A Wednesday's week has Wednesday marked and no other day; on a Sunday no day is."""
    wednesday, sunday = date(2026, 11, 25), date(2026, 11, 29)
    assert [day.weekday for day in week_of([], wednesday) if day.is_today] == [Weekday.WEDNESDAY]
    assert [day for day in week_of([], sunday) if day.is_today] == []


def test_a_week_puts_each_lesson_into_its_cell() -> None:
    """Two lessons at one time stand in one cell, in the order given."""
    first, second = Lesson(pk=1, weekday=2, period=4), Lesson(pk=2, weekday=2, period=4)
    days = week_of([first, second], date(2026, 11, 25))
    assert days[1].cells[3].lessons == (first, second)
    assert [day.is_free for day in days] == [True, False, True, True, True]


def _password() -> str:
    from demo_project.timetable.accounts import demo_password

    return demo_password()
