"""Who comes in by a code, where they are logged in, and the tokens by which programs read in their name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.mail import send_mail
from django.test import Client

from demo_project import environment
from demo_project.doors.mail import letters
from demo_project.timetable.accounts import ADDRESSES, ensure_accounts
from redis_toolkit.testing import ValkeyServer
from redis_toolkit.testing.throttling import ThrottleClock
from redis_toolkit.tokens import make_token, tokens_for
from tests.integration.demo.pages import Page

SHOWN = re.compile(r'<code id="token">(\w+)</code>')
READS = {"name": "night report", "scopes": ["timetable:read"], "ttl": "3600"}


@pytest.fixture
def accounts(transactional_db: None, demo_settings: None) -> None:
    """The accounts, committed."""
    ensure_accounts()


def code() -> str:
    """The code of the last letter."""
    return letters()[0].paragraphs[1]


def logged_in(name: str = "student", then: str = "") -> Client:
    """A browser in which they have logged in by a code."""
    client = Client()
    client.post("/log-in/", {"email": ADDRESSES[name], "next": then})
    assert client.post("/log-in/code/", {"code": code()}).status_code == 302
    return client


def stepped_up(client: Client, then: str = "/tokens/new/") -> Client:
    """The same browser, after another code."""
    client.post("/log-in/step-up/", {"send": "first", "next": then})
    assert client.post("/log-in/step-up/", {"code": code()}).headers["Location"] == then
    return client


def text_of(response: Any) -> str:
    found = SHOWN.search(response.content.decode())
    assert found is not None
    return found[1]


def call(token: str, path: str) -> Any:
    return Client().get(f"/api/{path}", headers={"authorization": f"Bearer {token}"})


def test_who_has_the_mail_is_let_in(accounts: None) -> None:
    """From a page by way of its link, back to that page; the head then names who it is, and a code is good once."""
    client = Client()
    assert '<a href="/log-in/?next=/rooms/">Log in</a>' in client.get("/rooms/").content.decode()
    page = client.get("/log-in/?next=/rooms/").content.decode()
    assert all(address in page for address in ADDRESSES.values())
    assert client.post("/log-in/", {"email": ADDRESSES["student"], "next": "/rooms/"}).status_code == 302
    sent = code()
    entered = client.post("/log-in/code/", {"code": sent})
    assert (entered.status_code, entered.headers["Location"]) == (302, "/rooms/")
    inside = client.get("/rooms/").content.decode()
    assert "<b>student</b>" in inside
    assert ">Devices</a>" in inside
    assert ">Mailbox</a>" not in inside
    assert client.post("/log-in/code/", {"code": sent}).headers["Location"] == "/log-in/"


def test_nobody_gets_no_mail_and_the_same_page(accounts: None) -> None:
    """An address without an account is answered alike; nothing is in the mailbox."""
    pages = []
    for address in (ADDRESSES["student"], "somebody@timetable.example"):
        client = Client()
        assert client.post("/log-in/", {"email": address}).headers["Location"] == "/log-in/code/"
        pages.append(client.get("/log-in/code/").content.decode().replace(address, "…").partition("<footer>")[0])
    assert re.sub(r'value="\w{64}"', "", pages[0]) == re.sub(r'value="\w{64}"', "", pages[1])
    assert [letter.to for letter in letters()] == [ADDRESSES["student"]]


def test_the_password_and_the_code_know_of_each_other(accounts: None) -> None:
    """Each log-in links to the other and takes along where one was going."""
    code_page = Client().get("/log-in/?next=/lab/").content.decode()
    assert 'href="/admin/login/?next=/lab/"' in code_page
    assert 'href="/log-in/?next=/lab/"' in Client().get("/admin/login/?next=/lab/").content.decode()


def test_only_staff_read_the_mailbox(accounts: None) -> None:
    """Visitors and the student are sent to the password; the office reads, and is told that it is a toy."""
    student = logged_in()
    for client in (Client(), student):
        assert client.get("/mailbox/").headers["Location"] == "/admin/login/?next=/mailbox/"
    office = logged_in("office")
    page = office.get("/mailbox/").content.decode()
    assert "A toy of this demo." in page
    assert page.count('<p class="code">') == 2
    assert page.index(ADDRESSES["office"]) < page.index(ADDRESSES["student"])


def test_the_mailbox_is_small_and_its_owners(accounts: None) -> None:
    """Thirty letters, the latest; files that nobody else on the machine may read."""
    for number in range(33):
        send_mail(f"No. {number}", "Your code:\n\n123456\n", None, [ADDRESSES["office"]])
    assert [letter.subject for letter in letters()] == [f"No. {number}" for number in range(32, 2, -1)]
    kept = sorted(Path(environment.VAR, "mailbox").iterdir())
    assert len(kept) == 30
    assert {path.stat().st_mode & 0o077 for path in [*kept, kept[0].parent]} == {0}


def test_an_older_demo_gets_addresses(accounts: None) -> None:
    """Accounts that had none, and no others."""
    User.objects.filter(username="admin").update(email="me@home.example")
    User.objects.filter(username="office").update(email="")
    User.objects.filter(username="student").delete()
    ensure_accounts()
    assert dict(User.objects.values_list("username", "email")) == {**ADDRESSES, "admin": "me@home.example"}


def test_a_device_that_is_ended_is_logged_out(accounts: None, clock: ThrottleClock) -> None:
    """Two browsers of one person: each ends the other from the list, and its own session by the same list."""
    here = logged_in()
    clock.move(31)
    there = logged_in()
    page = here.get("/devices/").content.decode()
    [other] = [item for item in page.split("</li>") if "Last active" in item and "This device" not in item]
    handle = re.findall(r'name="handle" value="(\w+)"', other)[0]
    assert Page(page).count("li", "here") == 1
    assert here.post("/devices/", {"handle": handle}).headers["Location"] == "/devices/?ended=1"
    assert "1 session was ended." in here.get("/devices/?ended=1").content.decode()
    assert there.get("/devices/").headers["Location"] == "/log-in/?next=/devices/"
    [own] = re.findall(r'name="handle" value="(\w+)"', here.get("/devices/").content.decode())
    here.post("/devices/", {"handle": own})
    assert here.get("/devices/").status_code == 302


def test_a_token_is_shown_once(accounts: None) -> None:
    """Made after a second code; in the page that answers the form, twice, and in no other, nor in a search box."""
    client = logged_in()
    assert client.get("/tokens/new/").headers["Location"] == "/log-in/step-up/?next=%2Ftokens%2Fnew%2F"
    assert client.post("/tokens/new/", READS).status_code == 302
    assert tokens_for(User.objects.get(username="student")) == []
    made = stepped_up(client).post("/tokens/new/", READS)
    text = text_of(made)
    assert made.content.decode().count(text) == 2
    assert f'curl -i -H "Authorization: Bearer {text}" http://testserver/api/me/' in made.content.decode().replace(
        "&quot;", '"'
    )
    assert "no-store" in made.headers["Cache-Control"]
    listed = client.get("/tokens/").content.decode()
    assert "night report" in listed
    assert "timetable:read" in listed
    assert "Not used yet" in listed
    assert text not in listed
    assert call(text, "me/").json()["user"] == "student"
    assert "Last used" in client.get("/tokens/").content.decode()


def test_scopes_are_what_a_token_may_do(accounts: None) -> None:
    """Without one it may ask who it is; anybody else reads and searches freely; what is no token is a 401."""
    student = User.objects.get(username="student")
    reads, searches, none = (
        make_token(student, name="x", scopes=scopes).text for scopes in (["timetable:read"], ["timetable:search"], [])
    )
    paths = ("rooms/", "search/?q=x", "me/")
    assert [[call(token, path).status_code for path in paths] for token in (reads, searches, none)] == [
        [200, 403, 200],
        [403, 200, 200],
        [403, 403, 200],
    ]
    assert [Client().get(f"/api/{path}").status_code for path in paths] == [200, 200, 401]
    refused = call(reads[:-1] + ("a" if reads[-1] != "a" else "b"), "rooms/")
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"] == 'Bearer realm="api", error="invalid_token"'
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert logged_in("office").get("/api/me/").json() == {"user": "office", "token": None}


def test_a_token_has_sixty_requests_a_minute(accounts: None, clock: ThrottleClock) -> None:
    """And then a 429 by its own rule, while another token of another person goes on."""
    first, second = (
        make_token(User.objects.get(username=name), scopes=["timetable:read"]).text for name in ("student", "office")
    )
    answered = 0
    while (answer := call(first, "me/")).status_code == 200:
        answered += 1
        clock.move(0.25)
    assert 60 <= answered < 90
    assert (answer.status_code, answer.json()["violated-policies"]) == (429, ["api-token"])
    assert call(second, "me/").status_code == 200


def test_a_rotated_token_goes_on_as_long_as_was_said(accounts: None) -> None:
    """At once, or an hour more; a second time is refused in words."""
    client = stepped_up(logged_in())
    first = text_of(client.post("/tokens/new/", READS))
    [token] = tokens_for(User.objects.get(username="student"))
    path = f"/tokens/{token.handle}/rotate/"
    assert "Rotate night report" in client.get(path).content.decode()
    second = text_of(client.post(path, {"overlap": "3600"}))
    assert [call(each, "me/").status_code for each in (first, second)] == [200, 200]
    again = client.post(path, {"overlap": "0"}, follow=True).content.decode()
    assert "night report has ended, or was replaced already." in again
    [_, fresh] = tokens_for(User.objects.get(username="student"))
    third = text_of(client.post(f"/tokens/{fresh.handle}/rotate/", {"overlap": "0"}))
    assert [call(each, "me/").status_code for each in (second, third)] == [401, 200]


def test_tokens_are_ones_own(accounts: None) -> None:
    """Nobody replaces or revokes another's; revoking one's own ends it at once."""
    made = make_token(User.objects.get(username="office"), name="theirs")
    client = stepped_up(logged_in())
    for deed in ("rotate", "revoke"):
        assert client.post(f"/tokens/{made.token.handle}/{deed}/", {"overlap": "0"}).status_code == 404
    assert call(made.text, "me/").status_code == 200
    office = logged_in("office")
    told = office.post(f"/tokens/{made.token.handle}/revoke/", follow=True).content.decode()
    assert "theirs is revoked" in told
    assert call(made.text, "me/").status_code == 401


def test_ten_tokens_are_the_most(accounts: None) -> None:
    """The eleventh is refused in the form."""
    client = stepped_up(logged_in())
    for number in range(10):
        text_of(client.post("/tokens/new/", {**READS, "name": f"no. {number}"}))
    refused = client.post("/tokens/new/", READS).content.decode()
    assert "Revoke one first." in refused
    assert SHOWN.search(refused) is None


def test_the_doors_wear_the_sites_dress(accounts: None) -> None:
    """No page brings a style or a script of its own into the page, which the policy of the site would refuse."""
    office = stepped_up(logged_in("office"))
    make_token(User.objects.get(username="office"), name="one")
    [token] = tokens_for(User.objects.get(username="office"))
    waiting = Client()
    waiting.post("/log-in/", {"email": "x@timetable.example"})
    waiting.post("/log-in/link/", {"email": "x@timetable.example"})
    paths = ["/log-in/", "/log-in/link/", "/log-in/code/", "/log-in/link/sent/", "/log-in/link/" + "x" * 64 + "/"]
    mine = ["/mailbox/", "/devices/", "/tokens/", "/tokens/new/", f"/tokens/{token.handle}/rotate/", "/log-in/step-up/"]
    for client, path in [*((waiting, path) for path in paths), *((office, path) for path in mine)]:
        response = client.get(path)
        page = Page(response.content.decode())
        assert response.status_code == 200, path
        assert page.count("header", "masthead") == page.count("h1") == page.count("main") == 1, path
        assert page.count("style") == page.count("script") == 0, path
        assert not [attrs for _, attrs in page.elements if "style" in attrs], path


@pytest.mark.parametrize("which", ["durable", "valkey"])
def test_while_redis_is_away_the_doors_are_closed(
    durable: ValkeyServer, valkey: ValkeyServer, accounts: None, which: str
) -> None:
    """Either server: 503 in the site's dress, to who would come in; the timetable is served to who does not."""
    (durable if which == "durable" else valkey).kill()
    client = Client()
    closed = client.post("/log-in/", {"email": ADDRESSES["student"]}, headers={"accept": "text/html"})
    text = closed.content.decode()
    assert closed.status_code == 503
    assert int(closed.headers["Retry-After"]) >= 1
    assert {"durable": "Codes cannot be sent or checked now.", "valkey": "Closed for a moment"}[which] in text
    assert Page(text).count("header", "masthead") == Page(text).count("h1") == 1
    assert client.get("/rooms/").status_code == 200
