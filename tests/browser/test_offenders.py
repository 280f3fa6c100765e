"""The desk that lets in again whom a throttle keeps out, in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import redis

from tests.demo import Demo

if TYPE_CHECKING:  # a run without the browser's tests needs no playwright
    from playwright.sync_api import Page

PAGE = "/admin/redis_toolkit/ban/"


@pytest.fixture(autouse=True)
def untouched(demo: Demo) -> None:
    """Nobody is banned, and nobody was denied anything."""
    with redis.Redis.from_url(demo.redis) as client:
        for key in client.scan_iter("timetable:h:*"):
            client.delete(key)


def guess(page: Page, name: str, times: int) -> int:
    """Try wrong passwords; the status of the last answer."""
    status = 0
    for _ in range(times):
        page.goto("/admin/login/")
        page.get_by_label("Username").fill(name)
        page.get_by_label("Password").fill("a guess")
        with page.expect_response("**/admin/login/**") as answer:
            page.get_by_role("button", name="Log in").click()
        status = answer.value.status
    return status


def test_who_guesses_is_banned_and_let_in_again(
    window: Callable[..., Page], expect: Any, demo: Demo, look: Callable[..., None]
) -> None:
    """Fifteen wrong passwords are a ban; the desk sees whose, in part, and ends it; then guesses are counted anew."""
    stranger = window("laptop", denied=True)
    assert guess(stranger, "somebody@uniud.it", 15) == 429
    desk = window("laptop")
    desk.goto("/admin/login/")
    desk.get_by_label("Username").fill("office")
    desk.get_by_label("Password").fill(demo.password)
    desk.get_by_role("button", name="Log in").click()
    desk.goto("/limits/")
    desk.get_by_role("link", name="Throttles and bans").click()
    bans = desk.get_by_role("region", name="Bans under way")
    expect(bans.get_by_role("rowheader")).to_have_text("ip 127.0.0.1 post:username so…@uniud.it")
    expect(desk.get_by_role("region", name="Denied most in this hour and the last")).to_contain_text("log-in")
    look(desk, "dashboard-throttles-banned")
    bans.get_by_role("button", name="Unban").click()
    expect(desk.get_by_text("banned no more")).to_be_visible()
    expect(desk.get_by_text("Nobody is banned.")).to_be_visible()
    desk.get_by_role("button", name="Forget").first.click()
    expect(desk.get_by_text("forgotten")).to_be_visible()
    assert guess(stranger, "somebody@uniud.it", 1) == 200
