"""Each metric is counted by really doing the thing: how many, and of what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import RequestFactory

from redis_toolkit.cache.telling import report
from redis_toolkit.core.connections import link
from redis_toolkit.exceptions import CodeRefused
from redis_toolkit.otp import OneTimeCode
from redis_toolkit.sessions import SessionStore
from redis_toolkit.stats import Figures
from redis_toolkit.testing import ValkeyServer
from redis_toolkit.testing.otp import code_clock
from redis_toolkit.throttling import Ban, Concurrency, Throttle, checking, throttle
from redis_toolkit.tokens import authenticate, make_token, revoke, revoke_all
from tests.app.models import Lesson
from tests.integration.cache.term import Term

Look = Callable[[], Figures]


@pytest.fixture
def term(django_db_setup: None, django_db_blocker: Any) -> Any:
    """Ten lessons in the database that can commit."""
    with django_db_blocker.unblock():
        made = Term("default")
        yield made
        made.clear()


def numbers(figures: Figures, metric: str) -> dict[tuple[str, str], int]:
    """How many of a metric, by subject and detail."""
    return {
        (subject, detail): figures.count(metric, subject, detail)
        for subject in figures.subjects(metric)
        for detail in figures.details(metric, subject)
    }


def test_reads_and_writes(term: Term, told: Look) -> None:
    """A miss, four hits and a save, after which one answer is gone: six reads of one model, and one write of it."""
    told()
    for _ in range(5):
        term.cached.get(pk=term.lessons[0].pk)
    term.again(0).save()
    term.cached.get(pk=term.lessons[0].pk)
    found = told()
    label = "app.Lesson"
    assert numbers(found, "read") == {(label, "get.miss"): 2, (label, "get.hit"): 4}
    assert (found.hits(label), found.misses(label), found.bypasses(label)) == (4, 2, 0)
    assert found.hit_ratio(label) == found.hit_ratio() == 4 / 6
    assert found.hit_ratio("app.Room") is None
    assert numbers(found, "write") == {(label, ""): 1}
    assert found.total("write", label) >= 2
    assert 0 < found.total("read", label, "get.hit") < 4


def test_what_a_read_says_of_itself(told: Look) -> None:
    """Reasons, what the database took, what a hit has saved, bytes, which stamp ended an answer and what was pinned."""

    def read(outcome: str, **told: Any) -> None:
        usual: dict[str, Any] = {
            "kind": "rows",
            "alias": "default",
            "seconds": 0.25,
            "count": 1,
            "reason": "",
            "stamp": "",
        }
        report(model=Lesson, outcome=outcome, **usual | told)

    stamp = "rt:s:default:app_lesson"
    read("hit", loaded=1.0, size=10, key="rt:q:1")
    read("stale", loaded=1.0, reason="ended", stamp=f"{stamp}:*")
    read("shared", loaded=None)
    # (No questions reached the database: a filter has answered.)
    read("absent", reason="empty", count=4)
    read("miss", loaded=2.0, size=500, reason="ended", stamp=f"{stamp}:*", pins=("group", "weekday"), key="rt:q:1")
    read("miss", loaded=2.0, size=500, reason="ended", stamp=f"{stamp}:group_id=5", pins=("group",))
    read("miss", loaded=2.0, size=500, reason="ended", stamp="rt:s:default:app_room:*", pins=("group",), count=3)
    # (By a write of which nobody knows the rows: what is pinned would not have saved it.)
    read("miss", reason="ended", stamp=stamp, pins=("group",))
    read("bypass", loaded=4.0, reason="off", size=9)
    read("refresh", loaded=1.0, size=100, reason="asked")
    found = told()
    label = "app.Lesson"
    assert numbers(found, "load") == {(label, "rows"): 5}
    assert found.total("load", label) == 2 * 3 + 4 + 1
    assert (found.count("saved", label), found.seconds_saved(label)) == (2, 1.5)
    assert numbers(found, "reason") == {(label, "ended"): 6, (label, "off"): 1, (label, "asked"): 1}
    assert numbers(found, "ended") == {(label, "*"): 2, (label, "group"): 1, (label, "app.Room *"): 3}
    assert numbers(found, "pinned") == {(label, "group,weekday"): 1}
    assert (found.count("bytes", label), found.total("bytes", label)) == (6, 1600)
    assert (found.hits(), found.misses(), found.bypasses(), found.hit_ratio()) == (7, 6, 1, 7 / 14)
    assert found.total("read", label) == 10 * 0.25


def test_what_an_entry_says_is_not_believed(told: Look) -> None:
    """How long a load took stands in Redis: nothing that is no time, or longer than a day, is added."""
    for loaded in (float("nan"), float("inf"), -1.0, 1e300, 86_400.0):
        report(model=Lesson, kind="get", outcome="hit", alias="default", seconds=0.0, loaded=loaded)
    found = told()
    assert (found.hits(), found.count("saved"), found.seconds_saved()) == (5, 1, 86_400)


def test_throttles(told: Look) -> None:
    """Allowed, denied, in the shadow, by a lease and by a deny list; a look counts nothing, and a ban is one."""
    limit, shadow = Throttle("mails", "2/h", ban=Ban(strikes=1)), Throttle("trial", "1/h", shadow=True)
    for _ in range(3):
        limit.hit("ada")
        shadow.hit("ada")
    limit.peek("bob")
    jobs = Concurrency("jobs", 1)
    assert [bool(jobs.take("ada")) for _ in range(3)] == [True, False, False]

    @throttle("1/h", name="view", key="ip", deny=["192.0.2.0/24"])
    def view(request: Any) -> Any:
        raise AssertionError

    view(RequestFactory().get("/", REMOTE_ADDR="192.0.2.1"))
    found = told()
    assert numbers(found, "throttle") == {
        ("mails", "allowed"): 2,
        ("mails", "denied"): 1,
        ("trial", "allowed"): 1,
        ("trial", "shadow"): 2,
        ("jobs", "allowed"): 1,
        ("jobs", "denied"): 2,
        ("view", "denied"): 1,
    }
    assert numbers(found, "ban") == {("mails", ""): 1}


def test_of_several_that_are_asked_at_once(told: Look) -> None:
    """One remembers a denial, so the other is not asked: it has decided nothing."""
    small, large = Throttle("small", "1/h"), Throttle("large", "9/h")
    asked = [small._asked(("ada",), None), large._asked(("ada",), None)]
    for _ in range(3):
        checking.check(asked)
    assert numbers(told(), "throttle") == {
        ("small", "allowed"): 1,
        ("large", "allowed"): 2,
        ("small", "denied"): 2,
    }


def test_without_redis(valkey: ValkeyServer, told: Look, settings: Any) -> None:
    """What throttles decide by themselves counts twice: as allowed, and as decided so; errors and breakers count."""
    settings.REDIS_TOOLKIT_BREAKER_RETRY = 3600
    settings.REDIS_TOOLKIT_BREAKER_FAILURES = 2
    limit = Throttle("mails", "8/h", on_outage="local")
    limit.hit("ada")
    valkey.kill()
    for _ in range(2):
        limit.hit("ada")
    valkey.start()
    link().breaker.close()
    found = told()
    assert numbers(found, "throttle") == {("mails", "allowed"): 3, ("mails", "local"): 2}
    assert numbers(found, "breaker") == {("default", "open"): 1, ("default", "closed"): 1}


@pytest.mark.django_db(transaction=True)
def test_errors(valkey: ValkeyServer, told: Look, settings: Any) -> None:
    """A read that Redis did not answer is one."""
    settings.REDIS_TOOLKIT_BREAKER_RETRY = 3600
    list(Lesson.cached.all())
    told()
    valkey.kill()
    list(Lesson.cached.all())
    valkey.start()
    link().breaker.close()
    assert numbers(told(), "error") == {("read", ""): 1}


def test_codes(told: Look) -> None:
    """Issued, sent again, refused, wrong, right, spent, unknown and locked: a count for each, by purpose."""
    code = OneTimeCode("login", cooldown=0, lockout=[(2, 60)])
    issued = code.issue("ada@example.com")
    code.issue("ada@example.com", challenge=issued.challenge)
    with code_clock() as clock:
        issued = code.issue("dan@example.com")
        clock.move(301)
        assert code.verify(issued.challenge, issued.code).reason == "expired"
    issued = code.issue("bob@example.com")
    assert [code.verify(issued.challenge, text).reason for text in (issued.code, issued.code)] == ["", "spent"]
    issued = code.issue("cyd@example.com")
    tries = ["nothing", "nothing", issued.code]
    assert [code.verify(issued.challenge, text).reason for text in tries] == ["wrong", "wrong", "locked"]
    slow = OneTimeCode("slow")
    slow.issue("ada@example.com")
    with pytest.raises(CodeRefused):
        slow.issue("ada@example.com")
    assert numbers(told(), "code") == {
        ("login", "issued"): 4,
        ("login", "resent"): 1,
        ("login", "expired"): 1,
        ("login", "verified"): 1,
        ("login", "spent"): 1,
        ("login", "wrong"): 2,
        ("login", "locked"): 1,
        ("slow", "issued"): 1,
        ("slow", "refused"): 1,
    }


@pytest.mark.django_db(databases="__all__")
def test_sessions_and_tokens(told: Look, settings: Any) -> None:
    """One that is ended, and tokens that are made, refused and revoked."""
    settings.SESSION_ENGINE = "redis_toolkit.sessions"
    store = SessionStore()
    user = User.objects.create(username="ada")
    store["_auth_user_id"] = str(user.pk)
    store.save()
    store.flush()
    made = [make_token(user) for _ in range(3)]
    assert authenticate(made[0].text) is not None
    for text in ("nothing", made[0].text[:-1]):
        authenticate(text)
    revoke(user, made[0].token.handle)
    revoke_all(user)
    found = told()
    assert numbers(found, "session") == {("", "logout"): 1}
    assert numbers(found, "token") == {("", "made"): 3, ("", "refused.malformed"): 2, ("", "revoked"): 3}
