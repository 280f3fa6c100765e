"""The visitors: where each comes from, what they carry, and how fast they are together."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from http.client import HTTPConnection, HTTPResponse
from http.cookiejar import CookieJar
from time import monotonic
from typing import Protocol
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, HTTPHandler, OpenerDirector, ProxyHandler, Request, build_opener

from django.contrib.auth.models import User

from demo_project.doors.mail import ASIDE
from demo_project.visitors.addresses import PEOPLE, address_of
from redis_toolkit import sessions, tokens
from redis_toolkit.tokens import Made, make_token

__all__ = ["Answer", "Over", "Pace", "Visitor", "ensure_people"]

AGENT = "Mozilla/5.0 (demo visitor) Timetable/1.0"
PATIENCE = 3.0  # seconds for an answer: less than the five that one is given to end
TOKEN_LIFE = 3600.0  # seconds
SCOPES = ("timetable:read", "timetable:search")
HIDDEN = r'name="{}" value="([^"]*)"'


class Over(Protocol):
    """What may be waited for: the end."""

    def wait(self, timeout: float) -> bool:
        """Wait for so many seconds at most; whether it is over."""
        ...


class Pace:
    """Lets one request pass at a time, `per_second` at most; waits no longer than until `over`."""

    def __init__(self, per_second: float, over: Over, *, clock: Callable[[], float] = monotonic) -> None:
        self._between = 1 / per_second
        self._over = over
        self._clock = clock
        self._next = clock()

    def wait(self) -> None:
        self.rest(max(0.0, self._next - self._clock()))
        self._next = self._clock() + self._between

    def rest(self, seconds: float) -> None:
        """Do nothing for a while. Raises KeyboardInterrupt once it is over."""
        if self._over.wait(seconds):
            raise KeyboardInterrupt


class Answer:
    """What the site has answered: `status`, `url` after redirects, `text`."""

    def __init__(self, response: HTTPResponse | HTTPError) -> None:
        with response:
            self.status = int(response.status or 0)
            self.url: str = response.url
            self.text = response.read().decode(errors="replace")

    def hidden(self, name: str) -> str:
        """What the first form of the page has in a field that nobody sees; empty if there is none."""
        found = re.search(HIDDEN.format(name), self.text)
        return found[1] if found else ""


class _From(HTTPHandler):
    """HTTP from one of this machine's addresses, at the pace of all: redirects too."""

    def __init__(self, address: str, pace: Pace) -> None:
        super().__init__()
        self._connect = partial(HTTPConnection, source_address=(address, 0))
        self._pace = pace

    def http_open(self, req: Request) -> HTTPResponse:
        self._pace.wait()
        return self.do_open(self._connect, req)


class Visitor:
    """The `number`th of them, with an address, cookies and an account; a token once there is need of one."""

    def __init__(self, number: int, site: str, pace: Pace) -> None:
        self.address = address_of(number)
        self.email = _email(number)
        self._name = _name(number)
        self._site = site.rstrip("/")
        self._pace = pace
        self._token: Made | None = None
        self._made = 0.0
        self.forget()

    @property
    def user(self) -> User:
        return User.objects.get(username=self._name)

    def forget(self) -> None:
        """Another browser, without cookies."""
        self._browser: OpenerDirector = build_opener(
            ProxyHandler({}), _From(self.address, self._pace), HTTPCookieProcessor(CookieJar())
        )

    def get(self, path: str, **headers: str) -> Answer:
        """Ask for a page. Raises OSError if the site does not answer."""
        return self._send(Request(self._site + path, headers=headers))  # noqa: S310 - of the demo, by HTTP

    def call(self, path: str) -> Answer:
        """Ask the API, with a token."""
        return self.get(path, Authorization=f"Bearer {self._text()}")

    def post(self, path: str, page: Answer, **fields: str) -> Answer:
        """Send the form of a page."""
        fields["csrfmiddlewaretoken"] = page.hidden("csrfmiddlewaretoken")
        return self._send(Request(self._site + path, urlencode(fields).encode()))  # noqa: S310 - as above

    def leave(self) -> None:
        """Take everything along: sessions, this run's and those of one that was killed, and tokens."""
        user = self.user
        sessions.revoke_all(user)
        tokens.revoke_all(user)
        self._token = None

    def _send(self, request: Request) -> Answer:
        request.add_header("User-Agent", AGENT)
        try:
            return Answer(self._browser.open(request, timeout=PATIENCE))
        except HTTPError as error:  # an answer all the same
            return Answer(error)

    def _text(self) -> str:
        """The text of a token that still lives for half of its time, at least."""
        if self._token is None or monotonic() - self._made > TOKEN_LIFE / 2:
            user = self.user
            tokens.revoke_all(user)
            self._token = make_token(user, name="a visitor’s program", scopes=SCOPES, ttl=TOKEN_LIFE)  # noqa: RUF001
            self._made = monotonic()
        return self._token.text


def ensure_people() -> None:
    """Their accounts. They have no password, and their mail goes where only they look."""
    for number in range(PEOPLE):
        if not User.objects.filter(username=_name(number)).exists():
            User.objects.create_user(_name(number), _email(number))


def _name(number: int) -> str:
    return f"visitor-{number + 1}"


def _email(number: int) -> str:
    return _name(number) + ASIDE
