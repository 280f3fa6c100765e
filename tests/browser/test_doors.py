"""People who log in without a password, end a session from afar, and make a token, in a real browser."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
import redis

from tests.demo import Demo

if TYPE_CHECKING:  # a run without the browser's tests needs no playwright
    from playwright.sync_api import Page

STUDENT = "student@timetable.example"


@pytest.fixture(autouse=True)
def untouched(demo: Demo) -> None:
    """Nobody has asked for a code, nobody is logged in, nobody has used up anything, and there are no tokens."""
    durable = Path(demo.environment["DEMO_VAR"], "durable-address").read_text()
    with redis.Redis.from_url(durable) as client:
        client.flushdb()
    with redis.Redis.from_url(demo.redis) as client:
        for key in client.scan_iter("timetable:h:*"):
            client.delete(key)
    demo.run("shell", "-v", "0", "-c", "from redis_toolkit.models import Token; Token.objects.all().delete()")


@pytest.fixture
def mailbox(window: Callable[..., Page], demo: Demo) -> Page:
    """A window of staff, who came by the password, with the mailbox open."""
    page: Page = window("laptop")
    page.goto("/admin/login/?next=/mailbox/")
    page.get_by_label("Username").fill("office")
    page.get_by_label("Password").fill(demo.password)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("heading", level=1, name="Mailbox").wait_for()
    return page


def last(mailbox: Page, subject: str, address: str = STUDENT) -> str:
    """The code, or the link, of the letter that came last, which is to `address`."""
    mailbox.get_by_role("link", name="Look again").click()
    letter = mailbox.get_by_role("listitem").filter(has=mailbox.get_by_role("heading", name=subject)).first
    letter.get_by_text(f"To {address}").wait_for()
    found: str = letter.locator(".code" if subject == "Your code" else ".text a").text_content() or ""
    return found


def log_in(page: Page, mailbox: Page) -> None:
    """By a code, from the head of the page that is open."""
    page.get_by_role("navigation", name="You").get_by_role("link", name="Log in").click()
    page.get_by_label("E-mail address").fill(STUDENT)
    page.get_by_role("button", name="Send me a code").click()
    page.get_by_role("heading", level=1, name="Enter the code").wait_for()
    page.get_by_label("Code").fill(last(mailbox, "Your code"))
    page.get_by_role("button", name="Continue").click()


def step_up(page: Page, mailbox: Page) -> None:
    """Another code, before what matters."""
    page.get_by_role("button", name="Send me a code").click()
    page.get_by_label("Code").wait_for()
    page.get_by_label("Code").fill(last(mailbox, "Your code"))
    page.get_by_role("button", name="Continue").click()


def call(url: str, token: str) -> tuple[int, Any]:
    """What the API answers to who comes with this token: status and body."""
    try:
        with urlopen(Request(url, headers={"Authorization": f"Bearer {token}"}), timeout=20) as answer:
            return answer.status, json.load(answer)
    except HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_a_code_from_the_mailbox_lets_in(
    window: Callable[..., Page], expect: Any, mailbox: Page, pictures: Path
) -> None:
    """A wrong one first, which is said; then the right one, back to the page where one was."""
    page = window("phone", denied=True)
    page.goto("/groups/q065/")
    page.get_by_role("link", name="Log in").click()
    page.get_by_label("E-mail address").fill(STUDENT)
    page.get_by_role("button", name="Send me a code").click()
    field = page.get_by_label("Code")
    expect(field).to_be_focused()
    assert field.get_attribute("autocomplete") == "one-time-code"
    code = last(mailbox, "Your code")
    field.fill(f"{(int(code) + 1) % 1_000_000:06}")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("alert")).to_have_text("This is not the code. You have 4 more tries.")
    page.screenshot(path=pictures / "code-wrong-phone.png", full_page=True)
    field.fill(f"{code[:3]} {code[3:]}")
    page.get_by_role("button", name="Continue").click()
    expect(page).to_have_url(re.compile("/groups/q065/$"))
    expect(page.get_by_role("navigation", name="You")).to_contain_text("student")


def test_a_link_lets_in_where_it_was_asked_for(window: Callable[..., Page], expect: Any, mailbox: Page) -> None:
    """In another browser it is no good; in that one it takes a button, once."""
    page, other = window("laptop"), window("phone")
    page.goto("/log-in/?next=/rooms/")
    page.get_by_role("link", name="A link in its place").click()
    page.get_by_label("E-mail address").fill(STUDENT)
    page.get_by_role("button", name="Send me a link").click()
    page.get_by_role("heading", level=1, name="Look into your mailbox").wait_for()
    link = last(mailbox, "Your link")
    other.goto(link)
    expect(other.get_by_role("heading", level=1)).to_have_text("This link does not work")
    page.goto(link)
    page.get_by_role("button", name="Log me in").click()
    expect(page).to_have_url(re.compile("/rooms/$"))
    page.goto(link)
    expect(page.get_by_role("heading", level=1)).to_have_text("This link does not work")


def test_a_session_is_ended_from_another_browser(
    window: Callable[..., Page], expect: Any, mailbox: Page, demo: Demo, pictures: Path
) -> None:
    """The list has both; *End*, and the other browser is asked to log in at its next click."""
    here, there = window("laptop"), window("phone")
    for page in (there, here):
        page.goto("/rooms/")
        log_in(page, mailbox)
        expect(page.get_by_role("navigation", name="You")).to_contain_text("student")
        forget_codes(demo)
    there.get_by_role("link", name="Devices").click()
    expect(there.get_by_role("heading", level=1)).to_have_text("Your devices")
    here.get_by_role("link", name="Devices").click()
    expect(here.get_by_role("main").get_by_role("listitem")).to_have_count(2)
    here.screenshot(path=pictures / "devices-two.png", full_page=True)
    here.get_by_role("button", name="End", exact=True).click()
    expect(here.get_by_role("status")).to_have_text("1 session was ended.")
    expect(here.get_by_role("main").get_by_role("listitem")).to_have_count(1)
    there.reload()
    expect(there.get_by_role("heading", level=1)).to_have_text("Log in by e-mail")
    there.goto("/rooms/")
    expect(there.get_by_role("link", name="Log in")).to_be_visible()
    here.get_by_role("button", name="Log out").click()
    expect(here.get_by_role("heading", level=1)).to_have_text("Log in by e-mail")


def forget_codes(demo: Demo) -> None:
    """So that the same person may ask for another at once."""
    with redis.Redis.from_url(Path(demo.environment["DEMO_VAR"], "durable-address").read_text()) as client:
        for key in client.scan_iter("timetable:o:*"):
            client.delete(key)


def test_a_token_calls_the_api(window: Callable[..., Page], expect: Any, mailbox: Page, demo: Demo) -> None:
    """Made after a second code, shown once, used, rotated, revoked."""
    page = window("laptop")
    page.goto("/rooms/")
    log_in(page, mailbox)
    page.get_by_role("link", name="Tokens", exact=True).click()
    expect(page.get_by_text("You have none.")).to_be_visible()
    page.get_by_role("link", name="Make a token").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Confirm that it is you")
    step_up(page, mailbox)
    page.get_by_label("Name").fill("night report")
    expect(page.get_by_label("Read groups, rooms and lessons")).to_be_checked()
    page.get_by_role("button", name="Make it").click()
    token = page.locator("#token").text_content() or ""
    assert call(demo.url + "api/me/", token)[1]["token"]["name"] == "night report"
    assert len(call(demo.url + "api/rooms/", token)[1]) == 16
    status, told = call(demo.url + "api/search/?q=hall", token)
    assert (status, told["detail"]) == (403, "The token has no scope for this.")

    page.get_by_role("link", name="I have it").click()
    expect(page.get_by_text("Last used")).to_be_visible()
    expect(page.get_by_text(token)).to_have_count(0)
    page.get_by_role("link", name="Rotate").click()
    page.get_by_label("The old token").select_option("ends at once")
    page.get_by_role("button", name="Give me the new one").click()
    fresh = page.locator("#token").text_content() or ""
    assert [call(demo.url + "api/me/", each)[0] for each in (token, fresh)] == [401, 200]
    page.get_by_role("link", name="I have it").click()
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("status")).to_contain_text("night report is revoked")
    assert call(demo.url + "api/me/", fresh)[0] == 401


def test_the_doors_fit_their_window(window: Callable[..., Page], mailbox: Page, look: Callable[..., None]) -> None:
    """No page scrolls sideways, and each has its picture taken; the list of tokens with and without one."""
    page = window()
    page.goto("/log-in/")
    look(page, "log-in")
    page.get_by_label("E-mail address").fill(STUDENT)
    page.get_by_role("button", name="Send me a code").click()
    page.get_by_role("heading", level=1, name="Enter the code").wait_for()
    look(page, "code")
    page.get_by_label("Code").fill(last(mailbox, "Your code"))
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("heading", level=1, name="Find your week").wait_for()
    page.goto("/devices/")
    look(page, "devices")
    page.goto("/tokens/")
    look(page, "tokens-none")
    page.goto("/tokens/new/")
    step_up(page, mailbox)
    page.get_by_label("Name").fill("the night report of the registry, on its laptop")
    look(page, "token-new")
    page.get_by_role("button", name="Make it").click()
    page.locator("#token").wait_for()
    look(page, "token-shown")
    page.goto("/tokens/")
    look(page, "tokens")
    page.get_by_role("link", name="Rotate").click()
    page.get_by_label("The old token").wait_for()
    look(page, "token-rotate")
    look(mailbox, "mailbox")
