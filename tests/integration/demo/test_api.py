"""What programs read, what it costs the second time, and when they are told to wait."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import pytest_django
from django.test import Client

from demo_project.timetable.accounts import demo_password
from redis_toolkit.testing import ValkeyServer
from redis_toolkit.testing.throttling import ThrottleClock

# Address, cached answers it is made of, things it lists.
ADDRESSES = [
    ("/api/groups/", 1, 70),
    ("/api/groups/q065/lessons/", 3, 22),
    ("/api/rooms/", 1, 16),
    ("/api/rooms/A/lessons/", 2, 25),
    ("/api/search/?q=physics", 4, 4),
]
QUOTA_EXCEEDED = "https://iana.org/assignments/http-problem-types#quota-exceeded"


def statuses(client: Client, path: str, times: int) -> list[int]:
    return [client.get(path).status_code for _ in range(times)]


@pytest.mark.parametrize(("path", "answers", "things"), ADDRESSES)
def test_a_list_read_again_asks_the_database_nothing(
    visit: Callable[..., Any], path: str, answers: int, things: int
) -> None:
    """First each answer is a miss, then each is a hit, 0 queries, the same list."""
    first, second = visit(path), visit(path)
    assert (first.response.status_code, first.response.headers["Content-Type"]) == (200, "application/json")
    assert (first.hits, first.misses, first.bypasses) == (0, answers, 0)
    assert (second.hits, second.misses, second.bypasses, second.queries) == (answers, 0, 0, 0)
    assert first.response.json() == second.response.json()
    assert len(first.response.json()) == things


def test_one_group_and_one_room(visit: Callable[..., Any]) -> None:
    """With addresses of what belongs to them; again, no query."""
    group = {
        "url": "http://testserver/api/groups/q065/",
        "code": "q065",
        "programme": "Management Engineering",
        "year": 4,
        "section": "C",
        "department": "Management Engineering",
        "lessons": "http://testserver/api/groups/q065/lessons/",
    }
    room = {
        "url": "http://testserver/api/rooms/A/",
        "code": "A",
        "name": "Hall A",
        "capacity": 312,
        "lessons": "http://testserver/api/rooms/A/lessons/",
    }
    for path, told in (("/api/groups/q065/", group), ("/api/rooms/A/", room)):
        assert visit(path).response.json() == told
        again = visit(path)
        assert (again.response.json(), again.hits, again.queries) == (told, 1, 0)


def test_the_way_in_names_what_there_is(visit: Callable[..., Any]) -> None:
    """Groups, rooms, search, and who asks: each address answers."""
    index = visit("/api/").response.json()
    assert sorted(index) == ["groups", "me", "rooms", "search"]
    assert [visit(index[name]).response.status_code for name in ("groups", "rooms")] == [200, 200]


def test_a_lesson_says_all_that_a_page_says(visit: Callable[..., Any]) -> None:
    """The first of a group's week."""
    assert visit("/api/groups/q065/lessons/").response.json()[0] == {
        "day": "Monday",
        "starts": "13:15",
        "ends": "15:00",
        "course": "Heat and Mass Transfer",
        "course_code": "c0346",
        "teacher": "Edoardo Salvi",
        "room": "Hall A",
        "room_code": "A",
    }


def test_a_search_finds_what_the_page_finds(visit: Callable[..., Any]) -> None:
    """A teacher, by an unaccented word, with the page about them."""
    found = visit("/api/search/?q=kovac").response.json()
    assert [(each["kind"], each["code"], each["page"]) for each in found] == [("teacher", "t044", "/teachers/t044/")]


@pytest.mark.parametrize(
    ("path", "method", "status", "title"),
    [
        ("/api/groups/q999/", "get", 404, "Not found"),
        ("/api/groups/q999/lessons/", "get", 404, "Not found"),
        ("/api/rooms/Z/", "get", 404, "Not found"),
        ("/api/search/", "get", 400, "Bad request"),
        ("/api/rooms/", "post", 405, "Method not allowed"),
    ],
)
def test_what_cannot_be_is_a_problem(
    timetable: None, client: Client, path: str, method: str, status: int, title: str
) -> None:
    """With its status, its title and a sentence, as RFC 9457 has it."""
    response = getattr(client, method)(path)
    told = json.loads(response.content)
    assert (response.status_code, response.headers["Content-Type"]) == (status, "application/problem+json")
    assert (told["type"], told["title"], told["status"]) == ("about:blank", title, status)
    assert told["detail"]


def test_the_sixth_request_of_a_second_is_denied(timetable: None, client: Client, clock: ThrottleClock) -> None:
    """Five are answered; then 429 with the fields and a problem; a fifth of a second later one more is answered."""
    first, *_ = [client.get("/api/rooms/") for _ in range(5)]
    assert first.headers["RateLimit-Policy"] == (
        '"site";q=1200;w=60, "api";q=300;w=60, "drf.anon";q=30;w=60, "drf.user-1s";q=5;w=1, "drf.user-60s";q=120;w=60'
    )
    assert first.headers["RateLimit"] == (
        '"site";r=1199;t=1, "api";r=299;t=1, "drf.anon";r=29;t=2, "drf.user-1s";r=4;t=1, "drf.user-60s";r=119;t=1'
    )
    denied = client.get("/api/rooms/")
    told = json.loads(denied.content)
    assert (denied.status_code, denied.headers["Retry-After"]) == (429, "1")
    assert denied.headers["Content-Type"] == "application/problem+json"
    assert '"drf.user-1s";r=0;t=1' in denied.headers["RateLimit"]
    assert (told["type"], told["title"], told["status"]) == (QUOTA_EXCEEDED, "Too many requests", 429)
    assert told["detail"].startswith("Request was throttled.")
    assert "Content-Security-Policy" in denied.headers
    clock.move(0.2)
    assert statuses(client, "/api/rooms/", 2) == [200, 429]


def test_a_visitor_has_thirty_a_minute(timetable: None, client: Client, clock: ThrottleClock) -> None:
    """Five each second: thirty, and three that came back in six seconds; who is at another address has all of theirs."""
    answered = 0
    for _ in range(8):
        answered += statuses(client, "/api/rooms/", 5).count(200)
        clock.move(1)
    assert answered == 30 + 3
    assert statuses(Client(REMOTE_ADDR="192.0.2.7"), "/api/rooms/", 1) == [200]


def test_a_user_is_counted_wherever_they_are(timetable: None, clock: ThrottleClock) -> None:
    """Signed in at two addresses they have five a second together, and no visitor's limit: 120 a minute."""
    at_home, at_work = Client(REMOTE_ADDR="192.0.2.1"), Client(REMOTE_ADDR="192.0.2.2")
    for client in (at_home, at_work):
        assert client.login(username="office", password=demo_password())
    assert statuses(at_home, "/api/rooms/", 3) + statuses(at_work, "/api/rooms/", 3) == [200] * 5 + [429]
    for _ in range(10):
        clock.move(1)
        assert statuses(at_home, "/api/rooms/", 5) == [200] * 5


def test_searches_have_a_rate_of_their_own(timetable: None, client: Client, clock: ThrottleClock) -> None:
    """Ten a minute, whatever else is left."""
    answered = []
    for _ in range(3):
        answered += statuses(client, "/api/search/?q=hall", 4)
        clock.move(1)
    assert answered == [200] * 10 + [429] * 2
    denied = client.get("/api/search/?q=hall")
    assert (denied.status_code, denied.headers["Retry-After"]) == (429, "3")
    assert '"drf.search";q=10;w=60' in denied.headers["RateLimit-Policy"]
    assert client.get("/api/rooms/").status_code == 200


def test_an_address_is_denied_before_anything_is_done(
    timetable: None, client: Client, settings: pytest_django.Settings
) -> None:
    """Beyond the middleware's rule the answer is its own, and no session is looked up for it."""
    assert client.login(username="office", password=demo_password())
    few = {**settings.REDIS_TOOLKIT_THROTTLES["api"], "rate": "2/m"}
    settings.REDIS_TOOLKIT_THROTTLES = {**settings.REDIS_TOOLKIT_THROTTLES, "api": few}
    assert statuses(client, "/api/rooms/", 2) == [200, 200]
    denied = client.get("/api/rooms/")
    assert json.loads(denied.content) == {
        "type": QUOTA_EXCEEDED,
        "title": "Too many requests",
        "status": 429,
        "violated-policies": ["api"],
    }
    assert 'db;desc="0 queries"' in denied.headers["Server-Timing"]
    assert client.get("/rooms/").status_code == 200


def test_without_redis_the_api_answers(visit: Callable[..., Any], valkey: ValkeyServer) -> None:
    """With the server gone the same list comes from the database, and each process counts for itself."""
    whole = visit("/api/rooms/").response.json()
    valkey.kill()
    alone = visit("/api/rooms/")
    assert (alone.response.status_code, alone.hits, alone.queries) == (200, 0, 1)
    assert alone.response.json() == whole
