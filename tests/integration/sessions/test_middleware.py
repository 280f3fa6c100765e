"""The middleware: 503 and the cookie kept while Redis is away, no records for made-up ids, no 400 for nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import redis
from django.contrib.auth import get_user, logout
from django.contrib.auth.models import Group, User
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client, RequestFactory

from redis_toolkit.core.connections import link, reset
from redis_toolkit.sessions import SessionStore, passwords, sessions_for
from redis_toolkit.sessions.middleware import SessionMiddleware
from redis_toolkit.testing import ValkeyServer

OURS = "redis_toolkit.sessions.middleware.SessionMiddleware"
DJANGOS = "django.contrib.sessions.middleware.SessionMiddleware"
AUTH = "django.contrib.auth.middleware.AuthenticationMiddleware"


@pytest.fixture(autouse=True)
def project(settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.integration.sessions.views"
    settings.MIDDLEWARE = [OURS, AUTH]


def looks_at_the_session(get_response: Callable[[HttpRequest], HttpResponse]) -> Any:
    """A middleware in between: what it raises is a 500 before it reaches ours."""

    def serve(request: HttpRequest) -> HttpResponse:
        request.session.get("a")
        return get_response(request)

    return serve


def kept(response: Any) -> bool:
    return "sessionid" not in response.cookies


@pytest.mark.parametrize("middleware", [OURS, DJANGOS])
def test_a_page(middleware: str, settings: Any) -> None:
    """Written by one request and read by the next, behind ours or Django's."""
    settings.MIDDLEWARE = [middleware]
    client = Client()
    assert client.get("/write/?a=5").cookies["sessionid"].value
    response = client.get("/read/")
    assert (response.content, response["Vary"], kept(response)) == (b"5", "Cookie", True)
    assert "Vary" not in client.get("/plain/").headers


@pytest.mark.parametrize("middleware", [OURS, DJANGOS])
@pytest.mark.parametrize("every", [False, True])
def test_made_up_ids(middleware: str, every: bool, settings: Any, redis_client: redis.Redis) -> None:
    """Create nothing, whatever page is asked for. Django's middleware deletes their cookies where somebody has looked."""
    settings.MIDDLEWARE = [middleware]
    settings.SESSION_SAVE_EVERY_REQUEST = every
    client = Client()
    for page in ("plain", "read", "aread"):
        client.cookies["sessionid"] = "a" * 32
        response = client.get(f"/{page}/")
        assert response.status_code == 200
        deletes = middleware == DJANGOS and (every or page != "plain")
        assert kept(response) is not deletes
    assert redis_client.keys("*") == []


@pytest.mark.django_db
@pytest.mark.parametrize("page", ["read", "aread"])
def test_a_slow_page_logs_nobody_out(page: str) -> None:
    """1. A slow page is asked for  2. the browser logs in, and has a new id  3. the page answers, and knows no session.

    Its answer must not delete the cookie that has the new id.
    """
    user = User.objects.create_user("ada")
    browser = Client()
    browser.get("/write/?a=1")
    slow = Client()
    slow.cookies["sessionid"] = browser.cookies["sessionid"].value
    browser.force_login(user)
    assert browser.cookies["sessionid"].value != slow.cookies["sessionid"].value
    response = slow.get(f"/{page}/")
    assert (response.status_code, kept(response)) == (200, True)
    assert browser.get("/leave/").cookies["sessionid"].value == ""


@pytest.mark.django_db
def test_a_slow_page_ends_no_session(settings: Any) -> None:
    """1. A slow page loads the session  2. its user changes the password, and has a new id  3. the page asks who it is.

    What it has loaded does not verify, and Django flushes it: that is not the session which goes on by the new id. A
    log-out by the old id is of the same session, which ends.
    """
    user = User.objects.create_user("ada", password="pw")
    browser = Client()
    browser.get("/enter/")
    for page, goes_on in (("who", True), ("leave", False)):
        slow = SessionStore(browser.cookies["sessionid"].value)
        assert slow.get("a") is None  # loads it
        browser.get("/change/")
        request = RequestFactory().get(f"/{page}/")
        request.session = slow
        request.user = get_user(request) if page == "who" else User.objects.get()
        if page == "leave":
            logout(request)
        assert len(sessions_for(user)) == goes_on
        assert (browser.get("/who/").content == b"ada") is goes_on


def test_every_request_makes_it_longer(settings: Any, redis_client: redis.Redis) -> None:
    """Cookie and record, by a page that does not look at its session."""
    settings.SESSION_SAVE_EVERY_REQUEST = True
    client = Client()
    client.get("/write/")
    [key] = redis_client.keys("*")
    redis_client.pexpire(key, 10_000)
    response = client.get("/plain/")
    assert (response.cookies["sessionid"]["max-age"], response["Vary"]) == (1_209_600, "Cookie")
    assert redis_client.pttl(key) > 1_209_000_000


def test_round_trips_of_requests(trips: Callable[[Callable[[], Any]], int]) -> None:
    """None without looking, one to read, two to read and write, one for the first."""
    client = Client()
    assert trips(lambda: client.get("/write/?a=1")) == 1
    assert trips(lambda: client.get("/plain/")) == 0
    assert trips(lambda: client.get("/read/")) == 1
    assert trips(lambda: client.get("/write/?a=2")) == 2
    assert trips(lambda: client.get("/write/?a=2")) == 1


@pytest.mark.django_db
def test_a_log_in_takes_three(trips: Callable[[Callable[[], Any]], int]) -> None:
    """The whole request, of a browser that had a session; and the log-out two."""
    User.objects.create_user("ada", password="pw")
    client = Client()
    client.get("/write/")
    assert trips(lambda: client.get("/enter/")) == 3
    assert client.get("/who/").content == b"ada"
    assert trips(lambda: client.get("/leave/")) == 2
    assert client.get("/who/").content == b"AnonymousUser"


def away(server: ValkeyServer, settings: Any) -> Client:
    """A browser that is logged in, and a server that is gone."""
    User.objects.create_user("ada", password="pw")
    settings.REDIS_TOOLKIT_BREAKER_RETRY = 5
    client = Client(raise_request_exception=False)
    client.get("/enter/")
    client.get("/write/?a=1")
    server.kill()
    return client


@pytest.mark.django_db
def test_redis_is_away(valkey: ValkeyServer, settings: Any) -> None:
    """503 and the cookie kept, for reading, writing, logging in and out; what asks for nothing is served."""
    client = away(valkey, settings)
    before = client.cookies["sessionid"].value
    for page in ("read", "write", "who", "enter", "leave", "aread", "awrite"):
        response = client.get(f"/{page}/")
        assert (page, response.status_code, kept(response)) == (page, 503, True)
        assert (response["Retry-After"], response["Cache-Control"]) == ("5", "no-store")
    for every in (False, True):
        settings.SESSION_SAVE_EVERY_REQUEST = every
        response = client.get("/plain/")
        assert (response.status_code, kept(response)) == (200, True)
        response = client.get("/make_do/")
        assert (response.content, kept(response)) == (b"without", True)
    assert client.cookies["sessionid"].value == before


@pytest.mark.django_db
def test_logged_in_when_redis_is_back(valkey: ValkeyServer, settings: Any) -> None:
    """It was away, nobody was told to forget who he is, and it had written down what it held."""
    User.objects.create_user("ada", password="pw")
    client = Client(raise_request_exception=False)
    client.get("/enter/")
    with redis.Redis.from_url(valkey.url) as raw:
        raw.config_set("appendonly", "no")
        raw.save()
    valkey.kill()
    assert client.get("/who/").status_code == 503
    valkey.start()
    reset()
    response = client.get("/who/")
    assert (response.status_code, response.content) == (200, b"ada")


@pytest.mark.django_db
def test_what_a_middleware_in_between_made_a_500_of(valkey: ValkeyServer, settings: Any) -> None:
    """Is a 503 all the same."""
    settings.MIDDLEWARE = [OURS, f"{__name__}.looks_at_the_session"]
    response = away(valkey, settings).get("/plain/")
    assert (response.status_code, kept(response)) == (503, True)


@pytest.mark.django_db
def test_behind_djangos_middleware_the_cookie_is_kept_too(valkey: ValkeyServer, settings: Any) -> None:
    """There it is a 500."""
    settings.MIDDLEWARE = [DJANGOS, AUTH]
    client = away(valkey, settings)
    for page in ("read", "write", "who"):
        response = client.get(f"/{page}/")
        assert (response.status_code, kept(response)) == (500, True)


def test_async_projects() -> None:
    """The middleware waits in no thread: views and it ask over the loop's own link."""

    async def act() -> tuple[bytes, int]:
        client = AsyncClient()
        await client.get("/awrite/")
        response = await client.get("/aread/")
        return response.content, response.status_code

    before = link().total_round_trips
    assert asyncio.run(act()) == (b"1", 200)
    assert link().total_round_trips == before


def test_async_projects_while_redis_is_away(valkey: ValkeyServer, settings: Any) -> None:
    """The same answers."""
    valkey.kill()

    async def act() -> list[Any]:
        client = AsyncClient(raise_request_exception=False)
        client.cookies["sessionid"] = "a" * 32
        return [await client.get(f"/{page}/") for page in ("aread", "awrite", "read", "write", "plain")]

    responses = asyncio.run(act())
    assert [response.status_code for response in responses] == [503, 503, 503, 503, 200]
    assert all(kept(response) for response in responses)


def test_ended_meanwhile() -> None:
    """What only reads is answered as it was, and its cookie is left alone; what was to change something is told."""
    client = Client()
    for method, query, status in (
        (client.get, "", 200),
        (client.get, "?write", 200),
        (client.post, "", 200),
        (client.post, "?write", 400),
    ):
        client.get("/write/")
        response = method(f"/ended/{query}")
        assert (response.status_code, kept(response)) == (status, True)
        client.cookies.clear()


def test_ended_meanwhile_in_async_projects() -> None:
    """The same."""

    async def act() -> list[int]:
        found = []
        for method, query in (("get", "?write"), ("post", ""), ("post", "?write")):
            client = AsyncClient()
            await client.get("/write/")
            found.append((await getattr(client, method)(f"/ended/{query}")).status_code)
        return found

    assert asyncio.run(act()) == [200, 200, 400]


@pytest.mark.django_db
def test_one_too_many(settings: Any) -> None:
    """409; he is nobody, and keeps what he had as that."""
    settings.REDIS_TOOLKIT_SESSION_LIMIT = 1
    settings.REDIS_TOOLKIT_SESSION_LIMIT_POLICY = "refuse"
    User.objects.create_user("ada", password="pw")
    first, second = Client(), Client()
    first.get("/enter/")
    second.get("/write/?a=cart")
    response = second.get("/enter/")
    assert (response.status_code, response["Cache-Control"]) == (409, "no-store")
    assert [second.get(f"/{page}/").content for page in ("who", "read")] == [b"AnonymousUser", b"cart"]
    assert first.get("/who/").content == b"ada"
    first.get("/leave/")
    assert second.get("/enter/").status_code == 200


@pytest.mark.parametrize("policy", ["refuse", "strict"])
def test_refused_in_async_projects(policy: str, settings: Any) -> None:
    """409 as well: one too many is nobody and keeps what he had; who has read something old changes nothing."""
    settings.REDIS_TOOLKIT_SESSION_LIMIT = 1
    settings.REDIS_TOOLKIT_SESSION_LIMIT_POLICY = "refuse"
    settings.REDIS_TOOLKIT_SESSION_STRICT = ["cart"]
    store = SessionStore()
    store["cart"] = [1]
    store.save()
    if policy == "refuse":
        first = SessionStore()
        first["_auth_user_id"] = "1"
        first.save()

    async def view(request: Any) -> HttpResponse:
        await request.session.aget("cart")
        other = SessionStore(store.session_key)
        await other.aset("cart", [2])
        await other.asave()
        await request.session.aset(*("_auth_user_id", "1") if policy == "refuse" else ("cart", [3]))
        return HttpResponse("served")

    middleware: Any = SessionMiddleware(view)
    request = RequestFactory().get("/", headers={"Cookie": f"sessionid={store.session_key}"})
    response = asyncio.run(middleware(request))
    assert (response.status_code, response["Cache-Control"]) == (409, "no-store")
    assert dict(SessionStore(store.session_key).items()) == {"cart": [2]}
    assert len(sessions_for(1)) == (policy == "refuse")


@pytest.mark.django_db
def test_devices_are_told(settings: Any) -> None:
    """By the middleware, if asked for."""
    settings.REDIS_TOOLKIT_SESSION_DEVICES = True
    user = User.objects.create_user("ada", password="pw")
    Client(headers={"User-Agent": "Firefox/140.0 (Linux)"}).get("/enter/", REMOTE_ADDR="203.0.113.9")
    [device] = sessions_for(user)
    assert (device.browser, device.network) == ("Firefox on Linux", "203.0.113.0/24")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("middleware", [OURS, DJANGOS])
def test_a_password_is_changed(middleware: str, settings: Any) -> None:
    """The other devices are logged out at once; the one it was done with goes on."""
    settings.MIDDLEWARE = [middleware, AUTH]
    passwords.connect()
    user = User.objects.create_user("ada", password="pw")
    here, there = Client(), Client()
    here.get("/enter/")
    there.get("/enter/")
    assert len(sessions_for(user)) == 2
    there_key = there.cookies["sessionid"].value
    assert here.post("/change/").status_code == 200
    assert not SessionStore().exists(there_key)
    assert [client.get("/who/").content for client in (here, there)] == [b"ada", b"AnonymousUser"]
    assert len(sessions_for(user)) == 1


def test_a_503_of_the_views_own(valkey: ValkeyServer) -> None:
    """Goes out as it is, whatever it says and looks like; told to depend on the cookie, and to be stored by nobody."""
    valkey.kill()
    client = Client()
    client.cookies["sessionid"] = "a" * 32
    response = client.get("/sorry/")
    assert (response.status_code, response.content, response["Retry-After"]) == (503, b"<h1>Sorry</h1>", "77")
    assert (response["Vary"], response["Cache-Control"], kept(response)) == ("Cookie", "no-store", True)


@pytest.mark.django_db
def test_no_page_takes_an_outage_for_nobody(valkey: ValkeyServer) -> None:
    """A condition of a template hides any error and goes on with "no": who is logged in is not asked to log in."""
    User.objects.create_user("ada", password="pw")
    client = Client(raise_request_exception=False)
    assert client.get("/greet/").content == b"Log in, please"
    client.get("/enter/")
    assert client.get("/greet/").content == b"Hello ada"
    valkey.kill()
    other = AsyncClient(raise_request_exception=False)
    other.cookies = client.cookies
    for response in (client.get("/greet/"), asyncio.run(other.get("/greet/"))):
        assert (response.status_code, kept(response), b"Log in" in response.content) == (503, True, False)


def test_a_late_answer_does_not_put_back_an_old_id(settings: Any) -> None:
    """1. two requests  2. one has the session named anew  3. the other, unchanged, says nothing of the old id."""
    settings.SESSION_SAVE_EVERY_REQUEST = True
    client = Client()
    client.get("/write/")
    response = client.get("/named_anew/")
    assert (response.status_code, kept(response)) == (200, True)


def test_a_new_id_is_told(settings: Any) -> None:
    """Though nothing else has changed."""
    client = Client()
    client.get("/write/")
    before = client.cookies["sessionid"].value
    settings.MIDDLEWARE = [OURS, f"{__name__}.gives_a_new_id"]
    client.handler.load_middleware()
    response = client.get("/plain/")
    assert response.cookies["sessionid"].value not in ("", before)
    assert client.get("/read/").content == b"1"


def gives_a_new_id(get_response: Callable[[HttpRequest], HttpResponse]) -> Any:
    def serve(request: HttpRequest) -> HttpResponse:
        request.session.cycle_key()
        return get_response(request)

    return serve


@pytest.mark.parametrize("query", ["", "?save"])
def test_what_is_strict_is_a_conflict(query: str, settings: Any) -> None:
    """409, by the view's own saving and by ours; the cookie is left, and what the first has written."""
    settings.REDIS_TOOLKIT_SESSION_STRICT = ["a"]
    client = Client()
    client.get("/write/")
    response = client.get(f"/clash/{query}")
    assert (response.status_code, response["Cache-Control"], kept(response)) == (409, "no-store", True)
    assert client.get("/read/").content == b"other"


@pytest.mark.django_db
def test_a_project_without_users_saves_what_it_likes(settings: Any) -> None:
    """Its AUTH_USER_MODEL leads nowhere, and nobody who saves a row is told so."""
    group = Group.objects.create(name="a group")
    settings.AUTH_USER_MODEL = "nowhere.User"
    group.name = "another"
    group.save()
    assert Group.objects.get().name == "another"
