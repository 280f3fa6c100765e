"""The page of sessions: how many there are, how they end, those of a user, and who may end them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from string import ascii_lowercase
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.db import connection
from django.http import HttpRequest
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext, override_settings

from redis_toolkit import stats
from redis_toolkit.core.connections import link
from redis_toolkit.dashboard import sessions as page_of_sessions
from redis_toolkit.sessions import SessionStore, current, sessions_for
from redis_toolkit.testing import ValkeyServer
from tests import servers

pytestmark = pytest.mark.django_db
PAGE = "/admin/redis_toolkit/livesession/"
DJANGOS = "django.contrib.sessions.middleware.SessionMiddleware"
OURS = "redis_toolkit.sessions.middleware.SessionMiddleware"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"


@pytest.fixture(autouse=True)
def engine(settings: Any) -> Iterator[None]:
    settings.SESSION_ENGINE = "redis_toolkit.sessions"
    settings.MIDDLEWARE = [OURS if each == DJANGOS else each for each in settings.MIDDLEWARE]
    settings.REDIS_TOOLKIT_SESSION_DEVICES = True
    current.forget()
    yield
    current.forget()


@pytest.fixture
def ada(db: None) -> User:
    return User.objects.create_user("ada", "ada@example.com", "secret")


def shown(client: Client, way: str = "") -> str:
    response = client.get(PAGE + way)
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


def status(client: Client, way: str) -> int:
    # (The demo's page for what is not found wants the demo's URLs.)
    with override_settings(DEBUG=True):
        return int(client.get(PAGE + way).status_code)


def log_in(user: User, agent: str = FIREFOX, address: str = "203.0.113.5") -> SessionStore:
    """A session of ``user``, begun by a browser."""
    store = SessionStore()
    store.begun_by(request := RequestFactory(headers={"User-Agent": agent}).get("/", REMOTE_ADDR=address))
    store[SESSION_KEY] = str(user.pk)
    store[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    store[HASH_SESSION_KEY] = user.get_session_auth_hash()
    store.save()
    assert request.method == "GET"
    return store


def ends(page: str) -> list[str]:
    return re.findall(r'name="handle" value="([0-9a-f]{24})"', page)


def said(response: Any) -> list[str]:
    return [str(each) for each in response.context["messages"]]


def test_who_sees_it(desk: Client, permit: Callable[..., None], ada: User) -> None:
    """Staff with the permission: neither the page nor a user's without it; what is in the index follows."""
    log_in(ada)
    for way in ("", f"{ada.pk}/change/"):
        assert desk.get(PAGE + way).status_code == 403
        assert desk.post(PAGE + way, {"user": ada.pk, "all": "1"}).status_code == 403
        assert Client().get(PAGE + way).status_code == 302
    assert PAGE not in desk.get("/admin/").content.decode()
    permit("view_livesession")
    assert "Sessions of a user" in shown(desk)
    assert PAGE in desk.get("/admin/").content.decode()
    for way in ("add/", "1/delete/", "1/history/"):
        assert desk.get(PAGE + way).status_code == 403
    assert len(sessions_for(ada)) == 1


def test_how_many(desk: Client, permit: Callable[..., None], ada: User, redis_client: Any) -> None:
    """All that are in Redis are counted, visitors' too; a list of a user's is none, nor the mark of one taken over."""
    permit("view_livesession")
    for _ in range(3):
        log_in(ada)
    visitor = SessionStore()
    visitor["cart"] = 1
    visitor.save()
    redis_client.set(next(redis_client.scan_iter("rt:d:*")) + b":m", "")
    assert page_of_sessions.counted() == (5, True)
    assert desk.get(PAGE).context["sessions"] == "5"


def test_about_how_many(ada: User, redis_client: Any) -> None:
    """Of 30,000 keys some 10,000 are looked at; what is told is within a fifth, in eleven round trips."""
    log_in(ada)
    with redis_client.pipeline(transaction=False) as pipeline:
        for number in range(15_000):
            pipeline.set(f"somebody:{number}", "")
            pipeline.set(f"rt:d:{{abc}}:{number:032x}", "")
        pipeline.execute()
    before = link().total_round_trips
    number, is_exact = page_of_sessions.counted()
    assert link().total_round_trips - before == 11
    assert not is_exact
    assert 12_000 < number < 18_000


def test_it_is_not_counted_for_each_look(
    desk: Client, permit: Callable[..., None], trips: Callable[[Callable[[], Any]], int]
) -> None:
    """Somebody who looks on costs what their own session costs: the count is remembered for some seconds."""
    permit("view_livesession")
    own = trips(lambda: desk.get("/admin/"))
    assert trips(lambda: desk.get(PAGE)) == own
    assert trips(lambda: desk.get(PAGE, {"q": "desk"})) == own + 1


@pytest.mark.usefixtures("counting")
def test_how_they_end(desk: Client, permit: Callable[..., None], ada: User) -> None:
    """Over time, by reason; a chart and its figures."""
    permit("view_livesession", "delete_livesession")
    log_in(ada).flush()
    for _ in range(2):
        log_in(ada)
    desk.post(f"{PAGE}{ada.pk}/change/", {"user": ada.pk, "all": "1"})
    stats.flush()
    for query in ({}, {"span": "day"}, {"span": "month"}):
        context = desk.get(PAGE, query).context
        assert [(each["name"], each["value"]) for each in context["tiles"]] == [
            ("logged out", "1"), ("ended by hand", "2"), ("too many of one user", "0"), ("password changed", "0"),
        ]  # fmt: skip
        assert [sum(each.values) for each in context["chart"].series] == [1, 2, 0, 0]


def test_a_user_is_searched(desk: Client, permit: Callable[..., None], ada: User) -> None:
    """By a part of the name or by primary key; two queries and one round trip, however many are found."""
    permit("view_livesession")
    log_in(ada)
    log_in(ada)
    others = [User.objects.create_user(f"member {letter}") for letter in ascii_lowercase]

    def found(text: str) -> list[tuple[str, str, int | None]]:
        people = desk.get(PAGE, {"q": text}).context["people"]
        return [(person.name, person.key, many) for person, _, many in people]

    assert found("AD") == [("ada", str(ada.pk), 2)]
    assert found(f" {others[3].pk} ") == [("member d", str(others[3].pk), 0)]
    assert found("nobody") == found("") == found("a\0da") == found("9" * 400) == []
    assert [each[0] for each in found("member")] == [f"member {letter}" for letter in ascii_lowercase[:20]]
    assert "The first 20: there are more." in shown(desk, "?q=member")
    assert "Nobody was found." in shown(desk, "?q=nobody")

    def cost(text: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            found(text)
        return len(queries)

    assert cost("member") == cost("ada") == cost("") + 1


def test_a_search_is_not_made_for_each_refresh(desk: Client, permit: Callable[..., None], ada: User) -> None:
    """The page's script takes what is live, and whom a search has found is not: no query looks for them again."""
    permit("view_livesession")

    def searches(**headers: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            desk.get(PAGE, {"q": "ada"}, headers=headers)
        return sum("LIKE" in each["sql"] for each in queries)

    assert (searches(), searches(**{"X-Requested-With": "XMLHttpRequest"})) == (1, 0)
    assert ada.username == "ada"


def test_a_key_that_is_written_otherwise(desk: Client, permit: Callable[..., None], ada: User) -> None:
    """A primary key with zeros before it is the same user's: their sessions are shown and ended, not none of another's."""
    permit("view_livesession", "delete_livesession")
    log_in(ada)
    place = f"00{ada.pk}/change/"
    page = shown(desk, place)
    assert len(ends(page)) == 1
    assert f'name="user" value="{ada.pk}"' in page
    assert said(desk.post(PAGE + place, {"user": f"00{ada.pk}", "all": "1"}, follow=True)) == ["ada: 1 session ended"]
    assert sessions_for(ada) == []
    assert LogEntry.objects.get().object_id == str(ada.pk)


def test_a_users_sessions(desk: Client, permit: Callable[..., None], ada: User) -> None:
    """Where each was begun and when, and nothing by which it could be taken over."""
    permit("view_livesession", "delete_livesession")
    store = log_in(ada)
    page = shown(desk, f"{ada.pk}/change/")
    [device] = sessions_for(ada)
    assert ends(page) == [device.handle]
    assert "Firefox on Linux" in page
    assert "203.0.113.0/24" in page
    assert page.count("<time datetime=") == 3
    assert "203.0.113.5" not in page
    assert store.session_key
    assert store.session_key not in page
    assert "<h1>ada</h1>" in page


def test_of_one_who_has_very_many(
    desk: Client, permit: Callable[..., None], ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that began last are shown, and not anew every few seconds; all are counted, and all are ended."""
    permit("view_livesession", "delete_livesession")
    monkeypatch.setattr(page_of_sessions, "_DEVICES", 3)
    for _ in range(3):
        log_in(ada)
    page = shown(desk, f"{ada.pk}/change/")
    assert (len(ends(page)), "that began last" in page, "data-refresh" in page) == (3, False, True)
    log_in(ada)
    page = shown(desk, f"{ada.pk}/change/")
    assert ends(page) == [each.handle for each in sessions_for(ada)[:3]]
    assert ("The 3 that began last." in page, "data-refresh" in page) == (True, False)
    assert "End all 4 sessions" in page
    response = desk.post(f"{PAGE}{ada.pk}/change/", {"user": ada.pk, "all": "1"}, follow=True)
    assert said(response) == ["ada: 4 sessions ended"]


def test_of_one_who_is_not_there(desk: Client, permit: Callable[..., None], ada: User) -> None:
    """A user who was deleted may have sessions, which can be ended; of others there is no page."""
    permit("view_livesession", "delete_livesession")
    log_in(ada)
    key = ada.pk
    User.objects.filter(pk=key)._raw_delete("default")
    assert "no user with this primary key any more" in shown(desk, f"{key}/change/")
    response = desk.post(f"{PAGE}{key}/change/", {"user": key, "all": "1"}, follow=True)
    assert (response.status_code, said(response)) == (200, [f"{key}: 1 session ended"])
    for other in (f"{key}", "somebody", "_00", "9" * 300):
        assert status(desk, f"{other}/change/") == 404


def test_one_is_ended(desk: Client, permit: Callable[..., None], staff: User, ada: User) -> None:
    """By who may, at once; the others live; the admin's log has it, and leads to the user's page."""
    permit("view_livesession", "delete_livesession")
    phone, laptop = log_in(ada), log_in(ada, address="198.51.100.7")
    place = f"{PAGE}{ada.pk}/change/"
    handle = next(each.handle for each in sessions_for(ada) if each.network == "198.51.100.0/24")
    response = desk.post(place, {"user": ada.pk, "handle": handle}, follow=True)
    assert response.redirect_chain == [(place, 302)]
    assert said(response) == ["A session of ada was ended."]
    assert [phone.exists(phone.session_key), laptop.exists(laptop.session_key)] == [True, False]
    [entry] = LogEntry.objects.all()
    assert (entry.user, entry.object_repr, entry.change_message, entry.get_admin_url()) == (
        staff, "ada Firefox on Linux, 198.51.100.0/24", f"session {handle} ended", place,
    )  # fmt: skip
    assert said(desk.post(place, {"user": ada.pk, "handle": handle}, follow=True)) == [
        "That session of ada had ended already."
    ]
    assert LogEntry.objects.count() == 1


def test_all_are_ended(desk: Client, permit: Callable[..., None], staff: User, ada: User) -> None:
    """Those of the user; not anybody else's."""
    permit("view_livesession", "delete_livesession")
    bob = User.objects.create_user("bob")
    for user in (ada, ada, ada, bob):
        log_in(user)
    place = f"{PAGE}{ada.pk}/change/"
    assert said(desk.post(place, {"user": ada.pk, "all": "1"}, follow=True)) == ["ada: 3 sessions ended"]
    assert [len(sessions_for(each)) for each in (ada, bob)] == [0, 1]
    assert [(each.object_repr, each.change_message) for each in LogEntry.objects.all()] == [
        ("ada", "3 sessions ended")
    ]  # fmt: skip
    assert said(desk.post(place, {"user": ada.pk, "all": "1"}, follow=True)) == ["ada had no session to end."]
    assert LogEntry.objects.count() == 1


def test_ones_own(desk: Client, permit: Callable[..., None], staff: User) -> None:
    """Nobody saws off the branch they sit on: the session in use has no button, and stays when all are ended."""
    permit("view_livesession", "delete_livesession")
    log_in(staff)
    place = f"{PAGE}{staff.pk}/change/"
    page = shown(desk, f"{staff.pk}/change/")
    assert "in use here" in page
    assert len(ends(page)) == 1
    request = HttpRequest()
    request.session = SessionStore(desk.cookies["sessionid"].value)
    [own] = [each.handle for each in sessions_for(staff, request) if each.is_current]
    assert said(desk.post(place, {"user": staff.pk, "handle": own}, follow=True)) == [
        "This is the session that you are using: log out to end it."
    ]
    assert said(desk.post(place, {"user": staff.pk, "all": "1"}, follow=True)) == ["desk: 1 session ended"]
    assert [each.handle for each in sessions_for(staff)] == [own]


@pytest.mark.parametrize(
    ("permissions", "asked", "says"),
    [
        (("view_livesession",), {"all": "1"}, "You are not allowed to do this."),
        (("view_livesession",), {"handle": "0" * 24}, "You are not allowed to do this."),
        (("view_livesession", "delete_livesession"), {}, "This cannot be done."),
        (("view_livesession", "delete_livesession"), {"all": "1", "user": ""}, "This cannot be done."),
        (("view_livesession", "delete_livesession"), {"handle": "*"}, "That session of ada had ended already."),
    ],
)
def test_what_is_refused(
    desk: Client, permit: Callable[..., None], ada: User, permissions: tuple[str, ...], asked: dict[str, str], says: str
) -> None:
    """Without the permission, and what no form of ours sends: said, not done, not logged."""
    permit(*permissions)
    log_in(ada)
    given = {"user": str(ada.pk)} | asked
    assert said(desk.post(f"{PAGE}{ada.pk}/change/", given, follow=True)) == [says]
    assert len(sessions_for(ada)) == 1
    assert not LogEntry.objects.exists()
    page = shown(desk, f"{ada.pk}/change/")
    assert len(ends(page)) == ("delete_livesession" in permissions)
    assert ('name="all"' in page) is ("delete_livesession" in permissions)


def test_forged_posts_are_refused(staff: User, permit: Callable[..., None], ada: User) -> None:
    """Without the token of the form nothing is ended."""
    permit("view_livesession", "delete_livesession")
    log_in(ada)
    client = Client(enforce_csrf_checks=True)
    client.force_login(staff)
    assert client.post(f"{PAGE}{ada.pk}/change/", {"user": ada.pk, "all": "1"}).status_code == 403
    assert len(sessions_for(ada)) == 1


def test_hostile_names(desk: Client, permit: Callable[..., None], redis_client: Any) -> None:
    """Users, browsers and searches are text, also where Redis has been written to by somebody else."""
    permit("view_livesession", "delete_livesession")
    eve = User.objects.create_user("<script>alert(1)</script>")
    log_in(eve, agent="<script>alert(2)</script> Firefox/1")
    [key] = [
        each
        for each in redis_client.scan_iter("rt:d:*")
        if redis_client.hget(each, b"\0u") and redis_client.hget(each, b"\0d")
    ]
    redis_client.hset(key, b"\0d", b"<script>alert(3)</script>\xff\x00\n<img src=x>")
    for page in (
        shown(desk, f"{eve.pk}/change/"),
        shown(desk, "?q=<script>alert"),
        shown(desk, "?q=%22><script>alert(4)</script>"),
    ):
        assert "<script>alert" not in page
        assert "<img src=x" not in page
    assert "&lt;script&gt;alert(1)" in shown(desk, "?q=<script>alert")


def test_another_engine(desk: Client, permit: Callable[..., None], settings: Any, staff: User) -> None:
    """The page says what it is for, asks Redis for nothing, and ends nothing."""
    permit("view_livesession", "delete_livesession")
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
    settings.MIDDLEWARE = [DJANGOS if each == OURS else each for each in settings.MIDDLEWARE]
    desk.force_login(staff)
    before = link().total_round_trips
    page = shown(desk)
    assert link().total_round_trips == before
    assert "This project keeps its sessions by django.contrib.sessions.backends.db." in page
    assert "data-refresh" not in page
    assert status(desk, f"{staff.pk}/change/") == 404
    assert said(desk.post(PAGE, {"user": staff.pk, "all": "1"}, follow=True)) == ["This cannot be done."]


def test_the_server_of_the_statistics_is_away(
    desk: Client, permit: Callable[..., None], settings: Any, ada: User
) -> None:
    """What is known is shown, and what is not is told; sessions can be ended."""
    permit("view_livesession", "delete_livesession")
    log_in(ada)
    with servers.new_valkey() as other:
        settings.CACHES = {**settings.CACHES, "other": {**settings.CACHES["default"], "LOCATION": other.url}}
        settings.REDIS_TOOLKIT_STATS_ALIAS = "other"
        settings.REDIS_TOOLKIT_STATS = True
        other.kill()
        page = shown(desk, "?q=ada")
        settings.REDIS_TOOLKIT_STATS = False
    assert "Redis (&#x27;other&#x27; in CACHES) did not answer" in page
    assert "Not known." in page
    assert "<dt>Sessions in Redis</dt><dd><b>2</b>" in page
    assert '<span class="narrow">Sessions: </span>1</td>' in page


def test_redis_is_away(
    staff: User, permit: Callable[..., None], ada: User, valkey: ValkeyServer, rf: RequestFactory
) -> None:
    """The pages say so; users are found all the same."""
    permit("view_livesession", "delete_livesession")
    log_in(ada)
    valkey.kill()
    request = rf.get(PAGE, {"q": "ada"})
    request.user, request.session = staff, SessionStore()
    found = page_of_sessions.context(request)
    assert "did not answer" in found["trouble"]
    assert "sessions" not in found
    assert [(person.name, many) for person, _, many in found["people"]] == [("ada", None)]
    detail = page_of_sessions.detail(request, str(ada.pk))
    assert detail is not None
    assert ("did not answer" in detail["trouble"] or "breaker" in detail["trouble"], "devices" in detail) == (
        True,
        False,
    )
