"""Refreshing in another process: what it is told, what it does, and what happens when nobody can be told."""

from __future__ import annotations

import inspect
import sys
from base64 import b64encode
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import django
import pytest
from asgiref.sync import async_to_sync
from django.core.signing import Signer
from django.db import connections
from django.test.utils import CaptureQueriesContext, override_settings
from django.utils import timezone, translation

from redis_toolkit.cache import cached, own_writes, refreshing, renew, renewals
from redis_toolkit.cache.freshness import Terms
from redis_toolkit.cache.renewals import _signer
from redis_toolkit.core.clock import travel
from redis_toolkit.core.codecs import encode_value
from tests.app.models import Lesson
from tests.app.remembered import described, described_awaited
from tests.listening import outcomes_heard

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

#: A call of a function that there is.
_ASKED = encode_value(["tests.app.remembered.described", [["group", 1], ["more", ()], ["named", {}]]])
#: The messages that were sent to nobody.
sent: list[str] = []


@cached(depends_on=[Lesson], fresh=0.000001)
def outside(group: int) -> int:
    """Declared in a module of no app."""
    return group


def keep(message: str) -> None:
    sent.append(message)


def refuse(message: str) -> None:
    raise ConnectionRefusedError("The broker is away")


@pytest.fixture(autouse=True)
def kept(settings: Any) -> Iterator[None]:
    """Workers are told nothing: messages wait in ``sent``."""
    sent.clear()
    renewals.forget()
    settings.REDIS_TOOLKIT_REFRESHER = f"{__name__}.keep"
    yield
    refreshing.wait()


@pytest.fixture
def heard() -> Iterator[list[str]]:
    """How reads ended, in all threads."""
    with outcomes_heard() as told:
        yield told
        refreshing.wait()


def claims(client: Any) -> int:
    return len(client.keys("rt:o:*"))


def test_a_function(term, heard, redis_client):
    """1. a result is past its fresh  2. one message is sent, and nothing loaded  3. the worker loads, and stores it."""
    assert described(1) == described(1) == described(1)
    refreshing.wait()
    assert (heard, len(sent), claims(redis_client)) == (["miss", "hit", "hit"], 1, 1)
    renew(sent[0])
    assert (heard[3:], claims(redis_client)) == (["refresh"], 0)
    # Done: the next that is due is told again.
    described(1)
    refreshing.wait()
    assert len(sent) == 2


def test_a_function_that_is_awaited(term, heard):
    """A worker without a loop awaits it."""
    ask = async_to_sync(described_awaited)
    assert ask(1) == ask(1)
    refreshing.wait()
    renew(sent[0])
    assert heard == ["miss", "hit", "refresh"]


def test_every_kind_of_argument(term, heard):
    """Positional and named ones come to the worker as they were given."""
    asked = lambda: described(1, (2, [3]), b"4", day=timedelta(days=5))  # noqa: E731 - asked twice
    assert asked() == asked()
    refreshing.wait()
    renew(sent[0])
    assert asked()["more"] == ((2, [3]), b"4")
    assert asked()["named"] == {"day": timedelta(days=5)}
    assert heard == ["miss", "hit", "refresh", "hit", "hit"]


@pytest.fixture
def minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lessons are fresh for a minute."""
    monkeypatch.setattr(Lesson._meta.managers_map["cached"], "terms", Terms(fresh=60.0))


@pytest.mark.usefixtures("minute")
def test_a_row_by_its_key(term, heard):
    """The worker finds the row by its model, its key and its database."""
    assert term.cached.get(pk=term.lessons[5].pk).title == "Lesson 5"
    with travel(61):
        assert term.cached.get(pk=term.lessons[5].pk).title == "Lesson 5"
        refreshing.wait()
        with CaptureQueriesContext(connections[term.alias]) as asked:
            renew(sent[0])
    assert (len(asked), heard) == (1, ["miss", "hit", "refresh"])


def test_what_a_write_has_ended(term, heard, monkeypatch):
    """Within its ``stale``: given while a worker is told, who loads what was written."""
    monkeypatch.setattr(Lesson._meta.managers_map["cached"], "terms", Terms(stale=3600.0))
    key = term.lessons[5].pk
    assert [term.cached.get(pk=key).title for _ in range(2)] == ["Lesson 5"] * 2
    # Another process writes.
    with monkeypatch.context() as patch:
        patch.setattr(own_writes, "_writes", {})
        term.plain(Lesson).filter(pk=key).update(title="new")
    assert term.cached.get(pk=key).title == "Lesson 5"
    refreshing.wait()
    renew(sent[0])
    assert term.cached.get(pk=key).title == "new"
    assert heard == ["miss", "hit", "stale", "refresh", "hit"]


def test_the_readers_language_and_time_zone(term):
    """Both are the reader's in the worker, too, and afterwards the worker's own again."""
    with translation.override("de"), timezone.override("Asia/Tokyo"):
        described(1)
        described(1)
        refreshing.wait()
    with translation.override("fr"), timezone.override("Europe/Paris"):
        described.refresh(1)
        renew(sent[0])
        assert (translation.get_language(), timezone.get_current_timezone_name()) == ("fr", "Europe/Paris")
    found = described(1)
    assert (found["language"], found["zone"]) == ("de", "Asia/Tokyo")


@pytest.mark.usefixtures("minute")
def test_somebody_else_was_first(term, heard):
    """The second of two messages finds that the answer is no longer due, and loads nothing."""
    key = term.lessons[5].pk
    term.cached.get(pk=key)
    with travel(61):
        term.cached.get(pk=key)
        refreshing.wait()
        renew(sent[0])
        renew(sent[0])
    assert heard == ["miss", "hit", "refresh", "hit"]


def test_the_message_is_lost(term, redis_client):
    """The answer is given as before, and told of again once the claim has run out."""
    for _ in range(3):
        described(1)
        refreshing.wait()
    assert len(sent) == 1
    redis_client.delete(*redis_client.keys("rt:o:*"))
    described(1)
    refreshing.wait()
    assert len(sent) == 2


def test_a_claim_runs_out(term, redis_client):
    """It lives as long as a message may be late."""
    described(1)
    described(1)
    refreshing.wait()
    [claim] = redis_client.keys("rt:o:*")
    assert 0 < redis_client.ttl(claim) <= renewals.LIFE


def test_nobody_can_be_told(term, heard, settings, redis_client, caplog):
    """The thread of this process does it; for half a minute it does not try again, for that may take its time."""
    settings.REDIS_TOOLKIT_REFRESHER = f"{__name__}.refuse"
    described(1)
    described(1)
    refreshing.wait()
    assert (heard, claims(redis_client)) == (["miss", "hit", "refresh"], 0)
    assert "No worker could be told to refresh an answer, so this process does: The broker is away" in caplog.text
    settings.REDIS_TOOLKIT_REFRESHER = f"{__name__}.keep"
    described(1)
    refreshing.wait()
    assert (heard[3:], sent) == (["hit", "refresh"], [])
    with travel(30):
        described(1)
        refreshing.wait()
    assert len(sent) == 1


def test_what_cannot_be_told(term, heard):
    """Lists, and results in a time zone without a name, are made anew by the thread of this process."""
    lessons = Lesson.cached.db_manager(term.alias).filter(group=1).cache(fresh=60)
    list(lessons)
    with travel(61):
        list(lessons.all())
        refreshing.wait()
    with timezone.override(timezone.get_fixed_timezone(90)):
        described(1)
        described(1)
        refreshing.wait()
    assert (heard, sent) == (["miss", "hit", "refresh"] * 2, [])
    assert (described(1)["zone"], heard[6:]) == ("+0130", ["hit"])


def test_redis_is_away(term, valkey, heard):
    """For the worker: nothing is loaded, and nothing raised."""
    described(1)
    described(1)
    refreshing.wait()
    valkey.kill()
    renew(sent[0])
    assert heard == ["miss", "hit"]


def message(*parts: Any, key: str = "") -> str:
    """A message as this project signs it."""
    return _signer().sign(b64encode(encode_value([1, *parts, key, "claim"])).decode())


UNSIGNED: dict[str, Any] = {
    "no text": 5,
    "nothing": "",
    "no signature": b64encode(encode_value([1, "value", None, "UTC", [], "", ""])).decode(),
    "another signature": Signer(salt="another").sign("AAAA"),
    "a signature of something else": _signer().sign("!"),
    "no list": _signer().sign(b64encode(encode_value({})).decode()),
    "another version": _signer().sign(b64encode(encode_value([2])).decode()),
}


@pytest.mark.parametrize("told", UNSIGNED.values(), ids=UNSIGNED)
def test_what_is_no_message_of_ours(told):
    """Whoever may write to the broker can send nothing else than what this project has signed."""
    with pytest.raises(ValueError, match=r"no message of this project's|another version of redis_toolkit"):
        renew(told)


def call(module: str, name: str, *arguments: Any) -> str:
    return message("value", None, "UTC", [module, encode_value([name, list(arguments)])])


def row(label: str, asked: Any, *aliases: str) -> str:
    return message("get", None, "UTC", [label, asked, aliases or ("default", "default"), (60.0, None, 0.0, 0.0)])


UNKNOWN: dict[str, tuple[str, type[Exception]]] = {
    "a kind": (message("query", None, "UTC", []), ValueError),
    "a function": (call("tests.app.remembered", "a"), LookupError),
    "a module": (call("tests.app.nowhere", "a"), LookupError),
    "a module of no app": (call("tests.demo", "a"), LookupError),
    "a model": (row("app.nobody", {"pk": 1}), LookupError),
    "a database": (row("app.lesson", {"pk": 1}, "nowhere", "nowhere"), LookupError),
    "a time zone": (message("value", None, "Mars/Base", ["tests.app.remembered", _ASKED]), LookupError),
    "another question": (row("app.lesson", {"pk": 1}), ValueError),
    "no question": (row("app.lesson", {"title": "a"}), ValueError),
}


@pytest.mark.parametrize("case", UNKNOWN)
def test_what_this_process_does_not_know(case):
    """Of another version, or with other apps and databases: it raises, and loads nothing."""
    told, error = UNKNOWN[case]
    loaded = "tests.demo" in sys.modules
    with pytest.raises(error):
        renew(told)
    assert ("tests.demo" in sys.modules) is loaded


def test_a_worker_that_asks_another_database(term, heard):
    """What a message says of one is not loaded from another: its key tells which it is of."""
    described(1)
    described(1)
    refreshing.wait()
    with (
        override_settings(REDIS_TOOLKIT_PREFIX="another"),
        pytest.raises(ValueError, match="is another in this process"),
    ):
        renew(sent[0])
    assert heard == ["miss", "hit"]


def test_a_late_worker_ends_no_later_claim(term, redis_client):
    """1. a message is late, and its claim over  2. another is told  3. the first worker is done: the second's claim stands."""
    described(1)
    described(1)
    refreshing.wait()
    redis_client.delete(*redis_client.keys("rt:o:*"))
    described(1)
    refreshing.wait()
    renew(sent[0])
    assert (len(sent), claims(redis_client)) == (2, 1)
    renew(sent[1])
    assert claims(redis_client) == 0


def test_another_version_of_the_function(term, monkeypatch):
    """A message whose arguments are other parameters here: not called, for its result would lie in the wrong place."""
    described(1)
    described(1)
    refreshing.wait()
    calls: Any = described.calls  # type: ignore[attr-defined]
    monkeypatch.setattr(calls, "_signature", inspect.signature(lambda number=5: number))
    with pytest.raises(ValueError, match="described has other parameters here"):
        renew(sent[0])


def test_functions_that_a_worker_would_not_find(term, heard):
    """Nested ones, and those of no app: made anew by the thread."""

    @cached(depends_on=[Lesson], key="nested", fresh=0.000001)
    def nested(group: int) -> int:
        return group

    wrapped = cached(depends_on=[Lesson], key="wrapped", fresh=0.000001)(described.nocache)
    for function in (nested, wrapped, outside):
        function(1)
        function(1)
        refreshing.wait()
    assert (heard, sent) == (["miss", "hit", "refresh"] * 3, [])


def test_django_tasks(term, heard, settings):
    """From Django 6.0 on by its default backend, which runs it at once; before, nobody can be told."""
    settings.REDIS_TOOLKIT_REFRESHER = "redis_toolkit.contrib.django_tasks.send_refresh"
    described(1)
    described(1)
    refreshing.wait()
    assert heard == ["miss", "hit", "refresh"]
    if django.VERSION >= (6, 0):
        from django.tasks import default_task_backend

        assert default_task_backend.supports_defer is False
