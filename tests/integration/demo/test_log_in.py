"""Who guesses passwords at the office's door is kept out, and nobody else is."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from demo_project.timetable.accounts import demo_password, ensure_accounts
from redis_toolkit.testing import ValkeyServer
from redis_toolkit.testing.throttling import ThrottleClock

QUARTER = 900
HOUR = 3600


@pytest.fixture
def accounts(transactional_db: None, demo_settings: None) -> None:
    """Both accounts, committed."""
    ensure_accounts()


def attempt(username: str = "office", tried: str = "a guess", address: str = "192.0.2.1") -> Any:
    """A log-in from that address: 302 is right, 200 is wrong, 429 is not asked."""
    client = Client(REMOTE_ADDR=address)
    return client.post("/admin/login/?next=/admin/", {"username": username, "password": tried})


def test_after_five_wrong_passwords_the_right_one_is_denied(accounts: None, clock: ThrottleClock) -> None:
    """Five are told that they are wrong, the sixth is 429; in a quarter of an hour the right one is let in."""
    assert [attempt().status_code for _ in range(6)] == [200] * 5 + [429]
    denied = attempt(tried=demo_password())
    assert (denied.status_code, denied.headers["Retry-After"]) == (429, str(QUARTER))
    assert "sessionid" not in denied.cookies
    clock.move(QUARTER - 1)
    assert attempt(tried=demo_password()).status_code == 429
    clock.move(1)
    assert attempt(tried=demo_password()).status_code == 302


def test_nobody_else_is_hindered(accounts: None) -> None:
    """The same name from another address, and another name from the same address, are let in."""
    assert [attempt().status_code for _ in range(6)] == [200] * 5 + [429]
    assert attempt(tried=demo_password(), address="192.0.2.2").status_code == 302
    assert attempt("admin", demo_password()).status_code == 302


def test_right_passwords_are_given_back(accounts: None) -> None:
    """Twenty log-ins in a row; then there are still five attempts."""
    assert [attempt(tried=demo_password()).status_code for _ in range(20)] == [302] * 20
    assert [attempt().status_code for _ in range(6)] == [200] * 5 + [429]


def test_a_name_is_counted_however_it_is_spelt(accounts: None) -> None:
    """Capitals and spaces make no other name of it."""
    spelt = ["office", "Office", " office", "OFFICE ", "oFFice", "office"]
    assert [attempt(name).status_code for name in spelt] == [200] * 5 + [429]


def test_who_goes_on_is_kept_out_for_an_hour(accounts: None, clock: ThrottleClock) -> None:
    """Ten denials, and the quarter of an hour is over without effect."""
    assert [attempt().status_code for _ in range(15)] == [200] * 5 + [429] * 10
    clock.move(QUARTER)
    banned = attempt(tried=demo_password())
    assert (banned.status_code, banned.headers["Retry-After"]) == (429, str(HOUR - QUARTER))
    clock.move(HOUR - QUARTER)
    assert attempt(tried=demo_password()).status_code == 302


def test_many_addresses_have_fifty_guesses_at_a_name(accounts: None) -> None:
    """Five from each of ten addresses; the eleventh has none left, not even of the right password."""
    guesses = [attempt(address=f"192.0.2.{host}").status_code for host in range(10) for _ in range(5)]
    assert guesses == [200] * 50
    assert attempt(tried=demo_password(), address="192.0.2.99").status_code == 429
    assert attempt("admin", demo_password(), address="192.0.2.99").status_code == 302


def test_an_address_has_sixty_attempts_at_all_names(accounts: None) -> None:
    """One password at sixty accounts; then the address is denied before any session or account is looked up."""
    assert [attempt(f"user{number}").status_code for number in range(60)] == [200] * 60
    denied = attempt("admin", demo_password())
    assert denied.status_code == 429
    assert 'db;desc="0 queries"' in denied.headers["Server-Timing"]
    assert Client(REMOTE_ADDR="192.0.2.1").get("/admin/login/").status_code == 200


def test_while_redis_is_away_nobody_guesses(accounts: None, valkey: ValkeyServer) -> None:
    """503, in words that say so, even for the right password; the timetable is served."""
    valkey.kill()
    closed = Client().post(
        "/admin/login/", {"username": "office", "password": demo_password()}, headers={"accept": "text/html"}
    )
    assert closed.status_code == 503
    assert b"<h1>Closed for a moment</h1>" in closed.content
    assert int(closed.headers["Retry-After"]) >= 1
    assert Client().get("/").status_code == 200


def test_the_log_in_is_still_the_admins(accounts: None) -> None:
    """It leads back to where one came from, and a form of another site is refused."""
    client = Client()
    asked = client.get("/admin/timetable/room/")
    assert (asked.status_code, asked.headers["Location"]) == (302, "/admin/login/?next=/admin/timetable/room/")
    form = {"username": "office", "password": demo_password(), "next": "/admin/timetable/room/"}
    entered = client.post(asked.headers["Location"], form)
    assert (entered.status_code, entered.headers["Location"]) == (302, "/admin/timetable/room/")
    assert Client(enforce_csrf_checks=True).post("/admin/login/", form).status_code == 403
