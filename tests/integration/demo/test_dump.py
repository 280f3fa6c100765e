"""Who reads all of Redis learns nothing by which anybody is let in: neither the keys of today nor what was ever written.

A busy day at the doors, by all ways in; then every key of every server is read, of whatever type, and the file that the
durable server writes.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import md5, sha1, sha256
from typing import Any

import pytest
import pytest_django
import redis
from django.test import Client

from demo_project.doors.mail import letters
from demo_project.timetable.accounts import ADDRESSES, demo_password
from redis_toolkit.core import keys
from redis_toolkit.testing import ValkeyServer
from redis_toolkit.testing.throttling import ThrottleClock

NOBODY = "nobody@timetable.example"
SESSION = "sessionid"
FAMILIAR = ("rtk_familiar_login",)
SESSIONS = "d"
#: The rooms whose keys have to be there, or nothing was looked at: sessions and users' lists of them, codes, tokens.
ROOMS = {SESSIONS, "u", "o", "k"}
#: And on the other server: throttles, and answers of the cache.
OTHERS = {"h", "q"}

Found = tuple[str, bytes, bytes]


@dataclass
class Secrets:
    """All by which somebody is let in, as it was seen from outside, and the addresses."""

    codes: set[str] = field(default_factory=set)
    links: set[str] = field(default_factory=set)
    sessions: set[str] = field(default_factory=set)
    familiar: set[str] = field(default_factory=set)
    tokens: set[str] = field(default_factory=set)
    addresses: set[str] = field(default_factory=lambda: {*ADDRESSES.values(), NOBODY})

    def by_which_one_is_let_in(self) -> Iterator[tuple[str, re.Pattern[bytes]]]:
        """What may be nowhere. Codes are short: what has one within other digits, a time or a digest, is no code."""
        for code in self.codes:
            yield (
                "a code",
                re.compile(
                    b"(?<![0-9a-f])" + b"[ -]?".join(code[i : i + 1].encode() for i in range(6)) + b"(?![0-9a-f])"
                ),
            )
            yield from guessable("a code", code)
        for name in ("links", "sessions", "familiar", "tokens"):
            for text in getattr(self, name):
                # Half of one would be too much as well: a prefix by which to look it up.
                yield name, re.compile(re.escape(text[-len(text) // 2 :].encode()))

    def of_people(self) -> Iterator[tuple[str, re.Pattern[bytes]]]:
        """Who uses the site: what may be in sessions alone."""
        for address in self.addresses:
            yield "an address", re.compile(re.escape(address.encode()), re.IGNORECASE)
            yield from guessable("an address", address)


def guessable(what: str, text: str) -> Iterator[tuple[str, re.Pattern[bytes]]]:
    """What is as good as the text: a digest that everybody can make of every code there is, and base64."""
    for make in (md5, sha1, sha256):
        yield f"the digest of {what}", re.compile(re.escape(make(text.encode()).hexdigest().encode()))
        yield f"the digest of {what}", re.compile(re.escape(make(text.encode()).digest()))
    yield f"{what} in base64", re.compile(re.escape(b64encode(text.encode()).rstrip(b"=")[:-1]))


class Browser(Client):
    """A client that notes which sessions and which cookies of ours it has had."""

    def __init__(self, secrets: Secrets, address: str = "192.0.2.1") -> None:
        super().__init__(REMOTE_ADDR=address, HTTP_USER_AGENT="Mozilla/5.0 Firefox/140.0 Linux")
        self.secrets = secrets

    def request(self, **request: Any) -> Any:
        response = super().request(**request)
        if SESSION in self.cookies and self.cookies[SESSION].value:
            self.secrets.sessions.add(self.cookies[SESSION].value)
        self.secrets.familiar |= {self.cookies[name].value for name in FAMILIAR if name in self.cookies}
        return response


def mailed(secrets: Secrets) -> str:
    """The code or the link of the last letter, which is noted."""
    code = letters()[0].paragraphs[1]
    if code.isdigit():
        secrets.codes.add(code)
    else:
        secrets.links.add(code.rstrip("/").rpartition("/")[2])
    return code


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06}"


def asked(browser: Browser, path: str, address: str) -> None:
    """Ask for a code, or a link; nobody looks whether it was sent."""
    response = browser.post(path, {"email": address, "next": "/devices/"})
    assert response.status_code == 302, response.content


@pytest.fixture(params=["db+redis", "redis"])
def busy(
    request: pytest.FixtureRequest,
    settings: pytest_django.Settings,
    demo_settings: None,
    durable: ValkeyServer,
    timetable: None,
    clock: ThrottleClock,
) -> Secrets:
    """A day at the doors; tokens have rows, or are in Redis alone."""
    settings.REDIS_TOOLKIT_TOKEN_STORE = request.param
    secrets = Secrets()
    student = Browser(secrets)
    by_code(student, secrets)
    by_link(Browser(secrets, "192.0.2.2"), secrets)
    by_password(secrets)
    tokens(student, secrets, clock)
    clock.move(3600)
    # Some still wait: a code, a link, somebody whom nobody knows, and who is locked out.
    for address, path, client in (
        (ADDRESSES["student"], "/log-in/", "192.0.2.5"),
        (ADDRESSES["admin"], "/log-in/link/", "192.0.2.6"),
    ):
        asked(Browser(secrets, client), path, address)
        mailed(secrets)
    asked(Browser(secrets, "192.0.2.7"), "/log-in/", NOBODY)
    assert len(secrets.codes) >= 4
    assert min(map(len, (secrets.links, secrets.tokens, secrets.familiar))) >= 2
    assert len(secrets.sessions) >= 8
    return secrets


def by_code(browser: Browser, secrets: Secrets) -> None:
    """Two wrong ones, and the right one, with a blank in it."""
    asked(browser, "/log-in/", ADDRESSES["student"])
    code = mailed(secrets)
    for _ in range(2):
        refused = browser.post("/log-in/code/", {"code": wrong(code)})
        assert b"This is not the code" in refused.content
    secrets.codes.add(wrong(code))
    entered = browser.post("/log-in/code/", {"code": f"{code[:3]} {code[3:]}"})
    assert (entered.status_code, entered.headers["Location"]) == (302, "/devices/")
    assert b"Firefox on Linux" in browser.get("/devices/").content


def by_link(browser: Browser, secrets: Secrets) -> None:
    asked(browser, "/log-in/link/", ADDRESSES["office"])
    link = mailed(secrets)
    assert browser.get(link).status_code == 200
    assert browser.post(link).status_code == 302
    assert b"This device" in browser.get("/devices/").content


def by_password(secrets: Secrets) -> None:
    """The right one; and wrong ones for somebody's address, until that is denied and counted among the offenders."""
    office = Browser(secrets, "192.0.2.3")
    right = {"username": "office", "password": demo_password()}
    assert office.post("/admin/login/?next=/admin/", right).status_code == 302
    guess = {"username": ADDRESSES["student"], "password": "a guess"}
    stranger = Browser(secrets, "192.0.2.4")
    assert [stranger.post("/admin/login/", guess).status_code for _ in range(8)] == [200] * 5 + [429] * 3


def tokens(browser: Browser, secrets: Secrets, clock: ThrottleClock) -> None:
    """Made, used until it is denied, rotated, both used, one revoked; and one that is none."""
    assert browser.get("/tokens/new/").headers["Location"] == "/log-in/step-up/?next=%2Ftokens%2Fnew%2F"
    assert browser.post("/log-in/step-up/", {"send": "first", "next": "/tokens/new/"}).status_code == 302
    code = mailed(secrets)
    assert browser.post("/log-in/step-up/", {"code": code}).headers["Location"] == "/tokens/new/"
    form = {"name": "night report", "scopes": ["timetable:read"], "ttl": "3600"}
    first = shown(browser.post("/tokens/new/", form), secrets)
    denied = None
    while denied is None:
        answer = call(first, "rooms/")
        clock.move(0.2)
        denied = answer if answer.status_code == 429 else None
    assert b"api-token" in denied.content
    clock.move(60)
    [token] = re.findall(r"/tokens/(\w+)/rotate/", browser.get("/tokens/").content.decode())
    second = shown(browser.post(f"/tokens/{token}/rotate/", {"overlap": "3600"}), secrets)
    assert [call(each, "me/").status_code for each in (first, second)] == [200, 200]
    assert call(second, "search/?q=hall").status_code == 403
    clock.move(1)
    third = shown(browser.post("/tokens/new/", form), secrets)
    assert call(third, "me/").status_code == 200
    latest = re.search(r"/tokens/(\w+)/revoke/", browser.get("/tokens/").content.decode())
    assert latest is not None
    assert browser.post(f"/tokens/{latest[1]}/revoke/").status_code == 302
    assert call(third, "me/").status_code == 401
    assert call(second, "me/").status_code == 200


def shown(response: Any, secrets: Secrets) -> str:
    """The token that a page shows, once."""
    text = re.search(r'<code id="token">(rtk_live_\w+)</code>', response.content.decode())
    assert text is not None
    assert "no-store" in response.headers["Cache-Control"]
    secrets.tokens.add(text[1])
    return text[1]


def call(token: str, path: str) -> Any:
    return Client(REMOTE_ADDR="192.0.2.9").get(f"/api/{path}", headers={"authorization": f"Bearer {token}"})


def dump(*urls: str) -> Iterator[Found]:
    """Every key of every database of these servers: the server, the key, and piece by piece what it holds, as bytes."""
    for url in urls:
        with redis.Redis.from_url(url) as first:
            databases = [int(name.removeprefix("db")) for name in first.info("keyspace")]
        for database in databases:
            with redis.Redis.from_url(url, db=database) as client:
                for key in client.scan_iter(count=1000):
                    yield url, key, key
                    for piece in pieces(client, key):
                        yield url, key, piece


#: What a key of each type holds, as mappings and lists of bytes.
READERS: dict[str, Callable[[Any, bytes], Any]] = {
    "string": lambda client, key: [client.get(key)],
    "hash": lambda client, key: client.hgetall(key),
    "list": lambda client, key: client.lrange(key, 0, -1),
    "set": lambda client, key: client.smembers(key),
    "zset": lambda client, key: {member: b"%.0f" % score for member, score in client.zscan_iter(key)},
    "stream": lambda client, key: [
        each for _, fields in client.xrange(key) for pair in fields.items() for each in pair
    ],
}


def pieces(client: Any, key: bytes) -> Iterator[bytes]:
    """What a key holds, whatever its type; KeyError for one that nobody knows how to read."""
    found = READERS[client.type(key).decode()](client, key)
    yield from found
    if isinstance(found, dict):
        yield from found.values()


def leaks(found: list[Found], secrets: Secrets) -> list[str]:
    """What was found that should not be there, and where."""
    sessions = keys.make(SESSIONS, "").encode()
    return [
        f"{what} in {piece!r} of {key!r}"
        for patterns, everywhere in ((list(secrets.by_which_one_is_let_in()), True), (list(secrets.of_people()), False))
        for _, key, piece in found
        for what, pattern in patterns
        if (everywhere or not key.startswith(sessions)) and pattern.search(piece)
    ]


def test_all_of_redis_lets_nobody_in(busy: Secrets, valkey: ValkeyServer, durable: ValkeyServer) -> None:
    """No code, link, session id, token nor familiar browser in any key, nor a digest of a code that can be guessed.

    An address is in the sessions that wait for its code, where the page shows it, and nowhere else.
    """
    found = list(dump(valkey.url, durable.url))
    rooms = {(url, key.split(b":")[1].decode()) for url, key, _ in found}
    assert rooms >= {(durable.url, room) for room in ROOMS} | {(valkey.url, room) for room in OTHERS}
    assert leaks(found, busy) == []


def test_neither_does_the_file_of_the_server(busy: Secrets, durable: ValkeyServer) -> None:
    """All that was ever written, what is gone by now included, is in the append-only file."""
    written = b"".join(path.read_bytes() for path in sorted(durable.directory.glob("appendonlydir/*")))
    assert written.count(b"HSET") > 50
    assert [what for what, pattern in busy.by_which_one_is_let_in() if pattern.search(written)] == []


#: How to plant a text, by where.
PLANT: dict[str, Callable[[Any, str], object]] = {
    "key": lambda client, text: client.set(f"timetable:{text}", "1"),
    "string": lambda client, text: client.set("timetable:x", text),
    "hash": lambda client, text: client.hset("timetable:x", "field", text),
    "field": lambda client, text: client.hset("timetable:x", text, "1"),
    "list": lambda client, text: client.rpush("timetable:x", "1", text),
    "set": lambda client, text: client.sadd("timetable:x", "1", text),
    "zset": lambda client, text: client.zadd("timetable:x", {text: 1}),
    "stream": lambda client, text: client.xadd("timetable:x", {"field": text}),
}


@pytest.mark.parametrize("kind", PLANT)
def test_what_is_planted_is_found(kind: str, redis_url: str, redis_client: redis.Redis) -> None:
    """The look itself: whatever the type, the database and the spelling, it finds what is there."""
    secrets = Secrets(codes={"271828"}, tokens={"rtk_live_abcdefghijklmnop"}, sessions={"q" * 32})
    for number, text in enumerate(
        (
            "code=271828;",
            "271 828",
            "Bearer rtk_live_abcdefghijklmnop",
            "q" * 32,
            "STUDENT@timetable.example",
            sha256(b"271828").hexdigest(),
        )
    ):
        redis_client.flushall()
        PLANT[kind](redis_client, text)
        assert leaks(list(dump(redis_url)), secrets) != [], (kind, number)
    redis_client.flushall()
    PLANT[kind](redis_client, "1764271828046 f271828a")
    assert leaks(list(dump(redis_url)), secrets) == []
