"""A visitor who uses up their limits, in a real browser."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import pytest
import redis

from tests.demo import Demo

if TYPE_CHECKING:  # a run without the browser's tests needs no playwright
    from playwright.sync_api import Page

COUNTED = "timetable:h:*"
PATIENCE = 20.0  # seconds; the site remembers a denial for two


@pytest.fixture(autouse=True)
def untouched(demo: Demo) -> None:
    """Nobody has used up anything, and the site knows."""
    with redis.Redis.from_url(demo.redis) as client:
        for key in client.scan_iter(COUNTED):
            client.delete(key)
    deadline = perf_counter() + PATIENCE
    while not all(counter["allowed"] and counter["meters"] for counter in counters(demo)):
        assert perf_counter() < deadline


def counters(demo: Demo) -> list[dict[str, Any]]:
    """What the page is told of a visitor."""
    with urlopen(f"{demo.url}limits/now/", timeout=PATIENCE) as answer:
        told: list[dict[str, Any]] = json.load(answer)["counters"]
    return told


def rate(page: Page, rule: str, words: str) -> Any:
    """The part of the page about one rate of a rule."""
    return (
        page.locator(".counter").filter(has=page.get_by_text(rule, exact=True)).locator(".rate").filter(has_text=words)
    )


def press(page: Page, expect: Any) -> tuple[int, int]:
    """Send twenty requests; how many were answered, and denied."""
    page.get_by_role("button", name="Send 20 requests").click()
    expect(page.get_by_role("button", name="Send 20 requests")).to_be_enabled()
    said = page.get_by_role("status")
    expect(said).to_have_text(re.compile(r"^\d+ answered, \d+ denied\.$"))
    answered, denied = map(int, re.findall(r"\d+", said.text_content() or ""))
    return answered, denied


def test_the_button_uses_up_what_is_left(window: Callable[..., Page], expect: Any) -> None:
    """Forty requests are more than thirty a minute: answers and denials are listed, the first denial whole."""
    page = window("laptop", denied=True)
    page.goto("/rooms/")
    page.get_by_role("link", name="Your limits").click()
    visitors = rate(page, "drf.anon", "30 a minute")
    expect(visitors).to_contain_text("30 left")
    expect(page.get_by_text("Live")).to_be_visible()
    assert visitors.locator("meter").evaluate("meter => meter.value") == 30
    answered, denied = press(page, expect)
    assert answered + denied == 20
    expect(visitors).not_to_contain_text("30 left")
    assert visitors.locator("meter").evaluate("meter => meter.value") < 30
    answered, denied = press(page, expect)
    assert answered + denied == 20
    assert denied > 0
    rows = page.get_by_role("table").locator("tbody tr")
    expect(rows).to_have_count(20)
    expect(rows.filter(has=page.get_by_role("cell", name="429", exact=True))).to_have_count(denied)
    expect(rows.filter(has=page.get_by_role("cell", name="200", exact=True))).to_have_count(answered)
    expect(rows.first).to_contain_text('"site";q=1200;w=60, "api";q=300;w=60')
    head, _, body = (page.locator("pre").text_content() or "").partition("\n\n")
    told = json.loads(body)
    assert head.startswith("HTTP 429 Too Many Requests\nContent-Type: application/problem+json\n")
    assert re.search(r"^Retry-After: \d+$", head, re.MULTILINE)
    assert re.search(r'^RateLimit: "site";r=1\d\d\d;t=\d+', head, re.MULTILINE)
    assert (told["status"], told["title"]) == (429, "Too many requests")
    assert told["type"] == "https://iana.org/assignments/http-problem-types#quota-exceeded"


def test_looking_on_costs_nothing(window: Callable[..., Page], expect: Any) -> None:
    """Each second the page asks anew, and the figures stay; those of somebody else's request arrive by themselves."""
    page, other = window("laptop"), window("phone")
    page.goto("/limits/")
    for _ in range(3):
        with page.expect_response("**/limits/now/") as answer:
            pass
        assert answer.value.status == 200
        assert "ratelimit" not in answer.value.headers
        expect(rate(page, "api", "300 a minute")).to_contain_text("300 left")
    for _ in range(2):
        assert other.goto("/limits/door/")
    expect(rate(page, "door", "2 a minute")).to_contain_text("next in")
    expect(page.locator(".counter.denied")).to_have_count(1)


def test_the_third_time_the_door_is_a_429(window: Callable[..., Page], expect: Any, pictures: Path) -> None:
    """From the page about limits: in, in once more, and then the page of who is kept out."""
    page = window("phone", denied=True)
    page.goto("/limits/")
    page.get_by_role("link", name="The narrow door").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("You are in")
    expect(page.get_by_text("1 more at once.")).to_be_visible()
    page.get_by_role("link", name="Once more").click()
    expect(page.get_by_text("0 more at once: the next time you are kept out.")).to_be_visible()
    with page.expect_response("**/limits/door/") as answer:
        page.get_by_role("link", name="Once more").click()
    assert answer.value.status == 429
    expect(page.get_by_role("heading", level=1)).to_have_text("Too many requests")
    expect(page.get_by_text(re.compile(r"Please try again in \d+ seconds?\."))).to_be_visible()
    page.screenshot(path=pictures / "denied-phone.png", full_page=True)
    page.get_by_role("main").get_by_role("link", name="Your limits").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your limits")


def test_without_scripts_the_page_is_read_again_by_hand(window: Callable[..., Page], expect: Any) -> None:
    """The figures are in the page, and where the button was it says how to do without."""
    page = window("laptop", scripts=False)
    page.goto("/limits/")
    expect(rate(page, "api", "300 a minute")).to_contain_text("300 left")
    expect(page.get_by_role("button", name="Send 20 requests")).to_be_hidden()
    expect(page.get_by_text("curl -i")).to_be_visible()
    assert page.request.get("/api/rooms/").status == 200
    page.get_by_role("link", name="Look again").click()
    expect(rate(page, "drf.anon", "30 a minute")).to_contain_text("29 left")


def test_the_limits_fit_their_window(window: Callable[..., Page], expect: Any, look: Callable[..., None]) -> None:
    """With every answer unfolded nothing scrolls sideways; the door, open and closed, neither. Pictures are taken."""
    page = window(denied=True)
    page.goto("/limits/")
    press(page, expect)
    press(page, expect)
    page.locator("details").evaluate("details => { details.open = true; }")
    paths = {"limits": None, "door": "/limits/door/", "door-again": "/limits/door/", "denied": "/limits/door/"}
    for name, path in paths.items():
        if path:
            page.goto(path)
        look(page, name)
