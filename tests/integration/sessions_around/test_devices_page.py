"""The page "your devices": what it shows, what it ends, whom it lets in, and that it gives nothing away."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client, RequestFactory
from django.urls import reverse

from redis_toolkit.core.connections import reset
from redis_toolkit.exceptions import Misconfigured
from redis_toolkit.sessions import SessionStore, sessions_for
from redis_toolkit.sessions.views import DevicesView
from redis_toolkit.testing import ValkeyServer
from tests.integration.sessions_around.conftest import DJANGOS, OURS

PAGE = "/devices/"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Safari/604.1"


@pytest.fixture(autouse=True)
def addresses(settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.integration.sessions_around.addresses"
    settings.LOGIN_URL = "/enter/"


def browser(user: User, **options: Any) -> Client:
    """A browser in which the user is logged in."""
    found = Client(**options)
    found.force_login(user)
    return found


def key_of(client: Client) -> str:
    return client.cookies["sessionid"].value


def handle_of(client: Client, user: User) -> str:
    [handle] = [each.handle for each in client.get(PAGE).context["devices"] if each.is_current]
    return handle


class Shape(HTMLParser):
    """Elements with their attributes, and whether each one that needs an end has it."""

    VOID = {"meta", "input", "br", "link"}

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.found if name == tag]


def test_the_list(ada: User, settings: Any):
    """All of the user's sessions, the one in use marked, with browser and network where they are kept."""
    settings.REDIS_TOOLKIT_SESSION_DEVICES = True
    mine, other = (
        Client(HTTP_USER_AGENT=agent, REMOTE_ADDR=address)
        for agent, address in ((FIREFOX, "203.0.113.7"), (SAFARI, "198.51.100.9"))
    )
    for each in (mine, other):
        each.post("/enter/")
    text = mine.get(PAGE).content.decode()
    places = re.findall(r"<h2[^>]*>(.*?)</h2>|<dd>([0-9./]+)</dd>", text)
    assert [first or second for first, second in places] == [
        "Safari on iOS", "198.51.100.0/24", "Firefox on Linux", "203.0.113.0/24",
    ]  # fmt: skip
    assert text.count('aria-current="true"') == 1
    assert text.index("Safari") < text.index("Firefox") < text.index("This device")
    unknown = browser(ada).get(PAGE).content.decode()
    assert "Unknown browser" in unknown
    settings.REDIS_TOOLKIT_SESSION_DEVICES = False
    assert "Unknown browser" not in mine.get(PAGE).content.decode()


def test_end_one(ada: User):
    """By its handle; the others go on. Ended twice is no error."""
    mine, other = browser(ada), browser(ada)
    handle = handle_of(other, ada)
    response = mine.post(PAGE, {"handle": handle})
    assert (response.status_code, response["Location"]) == (302, "/devices/?ended=1")
    assert "1 session was ended." in mine.get(response["Location"]).content.decode()
    assert other.get(PAGE)["Location"] == "/enter/?next=/devices/"
    response = mine.post(PAGE, {"handle": handle})
    assert response["Location"] == "/devices/?ended=0"
    assert "That session had ended already." in mine.get(response["Location"]).content.decode()
    assert len(sessions_for(ada)) == 1


def test_end_all_others(ada: User):
    """One button for all but the one in use, told how many they are; it is not there when there are none."""
    mine, *others = (browser(ada) for _ in range(4))
    assert "End all 3 other sessions" in mine.get(PAGE).content.decode()
    response = mine.post(PAGE, {"others": "1"})
    assert response["Location"] == "/devices/?ended=3"
    text = mine.get(response["Location"]).content.decode()
    assert "3 sessions were ended." in text
    assert "End all" not in text
    assert "End the other" not in text
    assert [each.get(PAGE).status_code for each in others] == [302, 302, 302]


def test_end_the_one_in_use(ada: User):
    """Is to log out."""
    mine, other = browser(ada), browser(ada)
    response = mine.post(PAGE, {"handle": handle_of(mine, ada)})
    assert (response.status_code, response["Location"]) == (302, PAGE)
    assert response.cookies["sessionid"].value == ""
    assert other.get(PAGE).status_code == 200
    assert len(sessions_for(ada)) == 1


def test_of_nobody_else(ada: User):
    """Another user's handle ends nothing, and his sessions are not shown."""
    mine, victim = browser(ada), browser(User.objects.create_user("eve"))
    handle = handle_of(victim, ada)
    assert handle not in mine.get(PAGE).content.decode()
    assert mine.post(PAGE, {"handle": handle})["Location"] == "/devices/?ended=0"
    assert victim.get(PAGE).status_code == 200


def test_who_is_not_logged_in(db: None):
    """Is sent to log in, and does nothing."""
    for response in (Client().get(PAGE), Client().post(PAGE, {"others": "1"})):
        assert (response.status_code, response["Location"]) == (302, "/enter/?next=/devices/")
        assert "no-store" in response["Cache-Control"]


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_nothing_ends_but_by_post(ada: User, method: str):
    """A link ends nothing, whatever it says, and other methods are not allowed."""
    mine, other = browser(ada), browser(ada)
    mine.get(PAGE, {"others": "1", "handle": handle_of(other, ada)})
    assert getattr(mine, method)(PAGE, {"others": "1"}).status_code == 405
    assert other.get(PAGE).status_code == 200


def test_no_end_without_a_token(ada: User):
    """CSRF is checked though the middleware for it is not in this project; with the token of the page it goes."""
    mine, other = browser(ada, enforce_csrf_checks=True), browser(ada)
    assert mine.post(PAGE, {"others": "1"}).status_code == 403
    assert other.get(PAGE).status_code == 200
    text = mine.get(PAGE).content.decode()
    [token, *_] = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', text)
    assert mine.post(PAGE, {"others": "1", "csrfmiddlewaretoken": token}).status_code == 302
    assert other.get(PAGE).status_code == 302


def test_nothing_chosen(ada: User):
    """A form that says nothing is a bad request."""
    assert browser(ada).post(PAGE, {}).status_code == 400


def test_what_is_given_away(ada: User):
    """No session key, neither the reader's nor another's; stored nowhere; different for each cookie."""
    mine, other = browser(ada), browser(ada)
    response = mine.get(PAGE)
    text = response.content.decode()
    assert key_of(mine) not in text
    assert key_of(other) not in text
    assert {"no-store", "private"} <= set(response["Cache-Control"].split(", "))
    assert "Cookie" in response["Vary"]
    assert response["X-Frame-Options"] == "DENY"


def test_no_other_host(ada: User):
    """A path that begins with two slashes is one of this host still, when something was ended."""
    request: Any = RequestFactory().post("/", {"handle": "none"})
    request.user, request.session, request.path = ada, SessionStore(), "//elsewhere.example/a?b/"
    request._dont_enforce_csrf_checks = True
    assert DevicesView.as_view()(request)["Location"] == "/%2Felsewhere.example/a%3Fb/?ended=0"


@pytest.mark.parametrize("said", ["-1", "1e3", "<b>", "٣", "12345", ""])
def test_a_link_says_nothing_but_a_number(ada: User, said: str):
    """Who writes a link cannot put words on the page."""
    text = browser(ada).get(PAGE, {"ended": said}).content.decode()
    assert 'role="status"' not in text
    assert "<b>" not in text


def test_the_page_is_whole(ada: User):
    """Well-formed, with a language, a title, one heading, a name for each button, no script, and nothing from elsewhere."""
    mine, _ = browser(ada), browser(ada)
    text = mine.get(PAGE).content.decode()
    shape = Shape(text)
    assert shape.open == []
    assert shape.all("html") == [{"lang": "en-us"}]
    assert len(shape.all("h1")) == 1
    assert len(shape.all("main")) == 1
    assert len(shape.all("button")) == 3
    headings = {each["id"] for each in shape.all("h2")}
    assert {each["aria-describedby"] for each in shape.all("button") if "aria-describedby" in each} == headings
    assert shape.all("script") == []
    assert shape.all("link") == []
    assert not any(name.startswith("on") for _, attrs in shape.found for name in attrs)
    assert all(form == {"method": "post"} for form in shape.all("form"))
    assert "prefers-color-scheme: dark" in text
    assert "://" not in text


def test_times_are_the_readers(ada: User, settings: Any):
    """In the zone of the project, with zones and without."""
    mine = browser(ada)
    created = mine.get(PAGE).context["devices"][0].created
    assert str(created.tzinfo) == "Europe/Rome"
    settings.USE_TZ = False
    assert str(mine.get(PAGE).context["devices"][0].created.tzinfo) == "Europe/Rome"


def test_its_name(db: None):
    """By which others link to it."""
    assert reverse("redis_toolkit_sessions:devices") == PAGE


@pytest.mark.parametrize("middleware", [DJANGOS, OURS])
def test_while_redis_is_away(ada: User, valkey: ValkeyServer, settings: Any, middleware: str):
    """503, to come again, the cookie kept; nothing is ended, and the user is logged in when Redis is back."""
    settings.MIDDLEWARE = [middleware if each == OURS else each for each in settings.MIDDLEWARE]
    mine = browser(ada)
    valkey.pause()
    try:
        for response in (mine.get(PAGE), mine.post(PAGE, {"others": "1"})):
            assert response.status_code == 503
            assert int(response["Retry-After"]) >= 1
            assert "no-store" in response["Cache-Control"]
            assert "sessionid" not in response.cookies
            assert "still logged in" in response.content.decode()
    finally:
        valkey.resume()
    reset()
    assert mine.get(PAGE).status_code == 200


@pytest.mark.parametrize("middleware", [DJANGOS, OURS])
def test_the_page_that_says_so(ada: User, valkey: ValkeyServer, settings: Any, middleware: str):
    """Is a page as well: neither middleware puts another answer in its place."""
    settings.MIDDLEWARE = [middleware if each == OURS else each for each in settings.MIDDLEWARE]
    mine = browser(ada)
    valkey.kill()
    response = mine.get(PAGE)
    shape = Shape(response.content.decode())
    assert (response.status_code, shape.open) == (503, [])
    assert shape.all("form") == []
    assert any(attrs.get("role") == "alert" for attrs in shape.all("p"))


def test_of_another_engine(ada: User, settings: Any):
    """There is nothing to list, and the page says which setting it wants."""
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
    with pytest.raises(Misconfigured, match="needs SESSION_ENGINE"):
        browser(ada).get(PAGE)
