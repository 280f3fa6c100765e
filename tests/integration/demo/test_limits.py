"""The page on which visitors see what is left to them, and the page they see when nothing is."""

from __future__ import annotations

import json
from typing import Any

import pytest
import pytest_django
from django.test import Client

from demo_project.timetable.accounts import demo_password
from redis_toolkit.testing import ValkeyServer
from redis_toolkit.testing.throttling import ThrottleClock
from tests.integration.demo.pages import Page

UNTOUCHED = {
    "drf.anon": {"30 a minute": 30},
    "drf.user": {"5 a second": 5, "120 a minute": 120},
    "drf.search": {"10 a minute": 10},
    "site": {"1,200 a minute": 1200},
    "api": {"300 a minute": 300},
    "door": {"2 a minute": 2},
}


def counters(client: Client) -> dict[str, Any]:
    """What the script of the page is told, by rule."""
    return {each["name"]: each for each in client.get("/limits/now/").json()["counters"]}


def left(client: Client) -> dict[str, dict[str, int]]:
    """What is left of each rate of each rule."""
    return {
        name: {meter["rate"]: meter["remaining"] for meter in each["meters"]} for name, each in counters(client).items()
    }


def test_what_is_left_falls_with_each_request(timetable: None, client: Client, clock: ThrottleClock) -> None:
    """Two requests to the API, one of them a search, and one page; it comes back with time."""
    assert left(client) == UNTOUCHED
    for path in ("/api/rooms/", "/api/search/?q=hall", "/rooms/"):
        assert client.get(path).status_code == 200
    assert left(client) == {
        "drf.anon": {"30 a minute": 28},
        "drf.user": {"5 a second": 3, "120 a minute": 118},
        "drf.search": {"10 a minute": 9},
        "site": {"1,200 a minute": 1197},
        "api": {"300 a minute": 298},
        "door": {"2 a minute": 2},
    }
    clock.move(6)
    assert left(client) == UNTOUCHED


def test_looking_counts_nothing(timetable: None, client: Client) -> None:
    """The page and its figures, twenty times each."""
    client.get("/api/rooms/")
    before = left(client)
    for _ in range(20):
        assert client.get("/limits/").status_code == client.get("/limits/now/").status_code == 200
    assert left(client) == before


def test_the_page_says_the_same_without_a_script(timetable: None, client: Client) -> None:
    """A meter for each rate, with its figures in the page, the address, and a way to look again."""
    for _ in range(6):
        client.get("/api/rooms/")
    text = client.get("/limits/").content.decode()
    page = Page(text)
    meters = [(attrs["max"], attrs["value"]) for tag, attrs in page.elements if tag == "meter"]
    assert meters == [
        ("30", "25"),
        ("5", "0"),
        ("120", "115"),
        ("10", "10"),
        ("1200", "1194"),
        ("300", "294"),
        ("2", "2"),
    ]
    assert all(attrs["aria-labelledby"] for tag, attrs in page.elements if tag == "meter")
    assert "You are counted as <code>127.0.0.1</code>" in text
    assert '<a href="/limits/">Look again</a>' in text
    assert text.count("next in 0.2 s</span>") == 1
    assert page.count("article", "denied") == 1
    assert ("button", {"type": "button", "id": "send", "data-url": "/api/rooms/", "hidden": None}) in page.elements


def test_the_page_needs_nothing_but_its_own_files(timetable: None, client: Client) -> None:
    """One script, of its own file; no style and no handler in the page; one h1."""
    response = client.get("/limits/")
    page = Page(response.content.decode())
    assert response.headers["Content-Security-Policy"].startswith("default-src 'self'; ")
    scripts = [attrs for tag, attrs in page.elements if tag == "script"]
    assert scripts == [{"src": "/static/limits/limits.js", "defer": None}]
    assert page.count("style") == 0
    assert not [attrs for _, attrs in page.elements if "style" in attrs or any(name.startswith("on") for name in attrs)]
    assert page.count("h1") == page.count("main") == 1
    assert "no-store" in response.headers["Cache-Control"]


def test_a_user_is_shown_their_own(timetable: None, client: Client) -> None:
    """Signed in, the visitors' limit is not theirs, and what they used is theirs alone."""
    client.get("/api/rooms/")
    office = Client()
    assert office.login(username="office", password=demo_password())
    office.get("/api/rooms/")
    shown = left(office)
    assert "drf.anon" not in shown
    assert shown["drf.user"] == {"5 a second": 4, "120 a minute": 119}
    assert shown["api"] == {"300 a minute": 298}
    assert "and as the user <code>office</code>" in office.get("/limits/").content.decode()


def test_every_page_has_the_way_there(timetable: None, client: Client) -> None:
    """At its foot, for everybody."""
    assert '<a href="/limits/">Your limits</a>' in client.get("/rooms/A/").content.decode()


def test_who_is_denied_the_site_still_sees_why(
    timetable: None, client: Client, settings: pytest_django.Settings
) -> None:
    """With one page a minute the second is 429, and the limits are shown."""
    settings.REDIS_TOOLKIT_THROTTLES = {"site": {"rate": "1/m", "key": "ip"}}
    assert [client.get("/").status_code for _ in range(2)] == [200, 429]
    site = counters(client)["site"]
    assert (site["allowed"], site["meters"][0]["remaining"], site["meters"][0]["text"]) == (False, 0, "next in 60 s")
    assert client.get("/limits/").status_code == 200


def test_a_ban_is_called_one(timetable: None, client: Client, settings: pytest_django.Settings) -> None:
    """On the page, and in the answer to who is banned."""
    ban = {"strikes": 1, "within": 60, "length": 600}
    settings.REDIS_TOOLKIT_THROTTLES = {"site": {"rate": "1/m", "key": "ip", "ban": ban}}
    html = {"accept": "text/html"}
    assert [client.get("/", headers=html).status_code for _ in range(2)] == [200, 429]
    assert counters(client)["site"]["verdict"] == "Banned for 10 minutes."
    banned = client.get("/", headers=html)
    text = banned.content.decode()
    assert (banned.status_code, banned.headers["Retry-After"]) == (429, "600")
    assert "Please try again in 10 minutes." in text
    assert "kept out for a while" in text


def test_without_redis_the_page_says_what_it_knows(timetable: None, client: Client, valkey: ValkeyServer) -> None:
    """The site's rule is open, the others are this process's own."""
    valkey.kill()
    shown = counters(client)
    assert (shown["site"]["allowed"], shown["site"]["verdict"], shown["site"]["meters"]) == (
        True,
        "Not counted now.",
        [],
    )
    assert shown["api"]["allowed"]
    assert client.get("/limits/").status_code == 200


def test_the_third_time_the_door_is_closed(timetable: None, client: Client, clock: ThrottleClock) -> None:
    """Two are let in; then a page in the site's own dress says how long to wait. Programs get a problem."""
    html = {"accept": "text/html"}
    assert ["You are in" in client.get("/limits/door/", headers=html).content.decode() for _ in range(2)] == [True] * 2
    denied = client.get("/limits/door/", headers=html)
    text = denied.content.decode()
    assert (denied.status_code, denied.headers["Retry-After"], denied.headers["Cache-Control"]) == (
        429,
        "30",
        "no-store",
    )
    assert denied.headers["Content-Security-Policy"].startswith("default-src 'self'; ")
    assert "<h1>Too many requests</h1>" in text
    assert "Please try again in 30 seconds." in text
    assert "The limit <code>door</code> is reached: <code>2/m</code>." in text
    assert "Find your week" not in text
    assert Page(text).count("style") == 0
    assert Page(text).count("header", "masthead") == 1
    told = json.loads(client.get("/limits/door/", headers={"accept": "application/json"}).content)
    assert (told["status"], told["violated-policies"]) == (429, ["door"])
    clock.move(30)
    assert client.get("/limits/door/").status_code == 200


@pytest.mark.parametrize("path", ["/limits/", "/limits/now/"])
def test_limits_are_read_only(timetable: None, client: Client, path: str) -> None:
    """Nothing is changed by them."""
    assert client.post(path).status_code == 405
