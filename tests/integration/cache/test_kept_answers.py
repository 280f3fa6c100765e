"""Answers that a process keeps to itself while Redis is away, where a manager asks for it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connections, transaction

from redis_toolkit.cache import CacheManager, outages, own_writes, trust
from redis_toolkit.cache.freshness import Terms
from redis_toolkit.core.clock import travel
from redis_toolkit.core.connections import link
from tests.app.models import Lesson
from tests.integration.cache.term import Term
from tests.integration.cache.threads import elsewhere

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def away(term: Term, settings: Any) -> Iterator[None]:
    """The breaker is open, and nobody closes it but a test."""
    settings.REDIS_TOOLKIT_BREAKER_RETRY = 60.0
    outages.forget()
    link().breaker.failed(timed_out=True)
    assert link().breaker.is_open
    yield
    link().breaker.close()
    trust.forget()


@pytest.fixture
def kept(term: Term) -> Any:
    """The cached manager, as one that keeps answers for five minutes."""
    manager = term.cached
    manager.terms = Terms(outage=300.0)
    return manager


def read(manager: Any, term: Term) -> list[Any]:
    """One read of each kind."""
    lesson, group = term.lessons[5], term.groups[5]
    return [
        manager.get(pk=lesson.pk).title,
        [each.title for each in manager.filter(group=group)],
        list(manager.filter(group=group).values_list("title", flat=True)),
        manager.filter(group=group).count(),
        manager.filter(pk=0).exists(),
        manager.filter(slug="nobody").first(),
        {key: each.title for key, each in manager.in_bulk([lesson.pk, 0]).items()} == {lesson.pk: "Lesson 5"},
    ]


FOUND = ["Lesson 5", ["Lesson 5"], ["Lesson 5"], 1, False, None, True]
NEW = ["new", ["new"], ["new"], 1, False, None, False]


def write_unseen(term: Term, title: str) -> None:
    """Do what another process does: its write is seen by nobody here."""

    def write() -> None:
        connection = connections[term.alias]
        connection.ensure_connection()
        place = "%s" if connection.vendor == "postgresql" else "?"
        with connection.connection.cursor() if place == "%s" else connection.connection as cursor:
            cursor.execute(f"UPDATE app_lesson SET title = {place} WHERE id = {place}", (title, term.lessons[5].pk))

    elsewhere(write)


def test_each_answer_is_asked_for_once(term, kept, cost):
    """Seven questions, asked three times while Redis is away: 7 queries; told apart by their outcome."""
    with cost() as it:
        assert [read(kept, term) for _ in range(3)] == [FOUND] * 3
    assert it.queries == 7
    assert [outcome for _, outcome in it.outcomes] == [*["bypass"] * 6, "kept", "bypass", *["kept"] * 14]


def test_whoever_does_not_ask_for_it_is_given_none(term, kept, cost):
    """Off by default: the same model's other manager asks the database each time, though answers are kept."""
    read(kept, term)
    with cost() as it:
        assert [read(term.cached, term) for _ in range(2)] == [FOUND] * 2
    assert it.queries == 14


def test_rows_by_key_are_shared_with_get(term, kept, cost):
    """Of four rows one was asked for before, by `get`: 1 query for the three others, and none for any of them after."""
    keys = [lesson.pk for lesson in term.lessons[:4]]
    kept.get(pk=keys[0])
    with cost() as it:
        assert list(kept.in_bulk([*keys, 0])) == keys
        assert list(kept.in_bulk([*keys, 0])) == keys
        assert [kept.get(pk=key).pk for key in keys] == keys
        with pytest.raises(Lesson.DoesNotExist):
            kept.get(pk=0)
    assert it.queries == 1
    assert str(keys[0]) not in it.sql[0].partition(" IN ")[2]
    assert it.outcomes == [("bulk", "kept"), ("bulk", "bypass"), ("bulk", "kept"), *[("get", "kept")] * 5]


def test_what_is_given_is_the_callers_own(term, kept):
    """Instances are made anew: what one reader does to them no other sees."""
    group = term.groups[5]
    first, *_ = kept.filter(group=group)
    first.title = first.notes["x"] = "changed"
    again, *_ = kept.filter(group=group)
    assert (again.title, again.notes, again is first) == ("Lesson 5", {}, False)


def test_others_writes_are_seen_when_the_time_is_over(term, kept, cost):
    """What another process commits is missing for at most the five minutes from when the load began."""
    assert read(kept, term) == FOUND
    write_unseen(term, "new")
    with travel(240.0):
        assert read(kept, term) == FOUND
    with travel(300.0):
        assert read(kept, term) == NEW


@pytest.mark.parametrize("how", ["autocommit", "transaction", "raw", "elsewhere", "invalidate"])
def test_own_writes_end_what_is_kept(term, kept, how):
    """A process sees what it wrote itself, by whichever connection, and what it is told by `invalidate`."""
    read(kept, term)
    pk = term.lessons[5].pk
    write = term.plain(Lesson).filter(pk=pk).update
    if how == "autocommit":
        write(title="new")
    elif how == "transaction":
        with transaction.atomic(using=term.alias):
            write(title="new")
    elif how == "raw":
        with connections[term.alias].cursor() as cursor:
            cursor.execute("UPDATE app_lesson SET title = 'new' WHERE id = %s", [pk])
    elif how == "elsewhere":
        elsewhere(lambda: write(title="new"))
    else:
        from redis_toolkit.cache import invalidate

        write_unseen(term, "new")
        invalidate(Lesson, pk=pk, using=term.alias)
    assert read(kept, term) == NEW


@pytest.mark.parametrize("alias", ["postgres"])
def test_a_write_of_which_nobody_knows_whether_it_was_committed(term, kept):
    """Its connection is lost before the COMMIT is answered: what was kept of its table is over."""
    read(kept, term)
    state = own_writes.seen(["app_lesson"])
    with pytest.raises(OperationalError), transaction.atomic(using=term.alias):
        term.plain(Lesson).filter(pk=term.lessons[5].pk).update(title="new")
        with connections[term.alias].cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    assert read(kept, term) == FOUND
    assert own_writes.seen(["app_lesson"])[0] is not state[0]


def test_writes_to_other_tables_end_nothing(term, kept, cost):
    """What was kept of lessons outlives a write to rooms."""
    read(kept, term)
    term.rooms[0].save(using=term.alias)
    with cost() as it:
        read(kept, term)
    assert it.queries == 0


def test_a_transaction_sees_what_it_wrote_and_keeps_nothing(term, kept):
    """Inside the transaction its own value; rolled back, the old one for everybody."""
    read(kept, term)
    with transaction.atomic(using=term.alias):
        term.plain(Lesson).filter(pk=term.lessons[5].pk).update(title="mine")
        assert read(kept, term)[0] == "mine"
        transaction.set_rollback(True, using=term.alias)
    assert read(kept, term) == FOUND


def test_a_snapshot_keeps_nothing(term, kept, cost):
    """A transaction that may see the past (SQLite, REPEATABLE READ) is answered, and nothing of that is kept."""
    with transaction.atomic(using=term.alias):
        if term.alias == "postgres":
            with connections[term.alias].cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        assert kept.get(pk=term.lessons[5].pk).title == "Lesson 5"
    with cost() as it:
        kept.get(pk=term.lessons[5].pk)
    assert it.queries == 1


def test_nothing_is_kept_when_redis_is_back(term, kept, cost):
    """The breaker closes: what was kept is gone, and is not there when it opens again."""
    read(kept, term)
    write_unseen(term, "new")
    link().breaker.close()
    assert read(kept, term)[0] == "new"
    write_unseen(term, "newer")
    link().breaker.failed(timed_out=True)
    assert read(kept, term)[0] == "newer"


def test_refresh_and_a_cache_that_is_off(term, kept, settings):
    """`.refresh()` loads and keeps anew; with REDIS_TOOLKIT_ENABLED off nothing kept is given."""
    group = term.groups[5]
    titles = lambda queryset: [each.title for each in queryset.filter(group=group)]  # noqa: E731 - asked often
    titles(kept)
    write_unseen(term, "new")
    assert [titles(kept), titles(kept.all().refresh()), titles(kept)] == [["Lesson 5"], ["new"], ["new"]]
    write_unseen(term, "newer")
    settings.REDIS_TOOLKIT_ENABLED = False
    assert titles(kept) == ["newer"]


def test_relations_are_kept_with_the_manager_that_prefetches_them(term, kept, cost):
    """Lessons and their groups: 2 queries the first time, 0 the second."""
    with cost() as it:
        for _ in range(2):
            assert [each.group.code for each in kept.filter(group=term.groups[5]).prefetch_related("group")] == ["g5"]
    assert it.queries == 2


@pytest.mark.parametrize(("bound", "value"), [("MOST_ENTRIES", 3), ("MOST_BYTES", 400)])
def test_the_oldest_goes_first(term, kept, cost, monkeypatch, bound, value):
    """Above the bound of answers, or of bytes, the oldest go, and the newest is there."""
    monkeypatch.setattr(outages, bound, value)
    for lesson in term.lessons:
        kept.get(pk=lesson.pk)
    store = outages._store
    assert 0 < len(store._entries) <= 3 or store._bytes <= 400
    assert store._bytes == sum(outages._size(key, each) for key, each in store._entries.items())
    with cost() as it:
        kept.get(pk=term.lessons[9].pk)
        kept.get(pk=term.lessons[0].pk)
    assert it.outcomes == [("get", "kept"), ("get", "bypass")]


def test_an_answer_too_large_is_not_kept(term, kept, cost, settings):
    """What would be no entry in Redis is not kept here either."""
    settings.REDIS_TOOLKIT_MAX_ENTRY_BYTES = 1
    with cost() as it:
        assert [kept.get(pk=term.lessons[5].pk).title for _ in range(2)] == ["Lesson 5"] * 2
    assert it.queries == 2


def test_a_life_is_a_positive_time():
    """Seconds or a timedelta, as any ttl."""
    assert CacheManager(outage_ttl=5).terms.outage == 5.0
    with pytest.raises(ValueError, match="A ttl is a positive number"):
        CacheManager(outage_ttl=0)


FORK = """
import os
from redis_toolkit.cache import outages
with outages._store._lock:
    outages._store._entries["x"] = outages._Kept(b"", 0.0, (), b"")
    child = os.fork()
    if not child:
        os._exit(0 if not outages._store._entries and outages._store._lock.acquire(timeout=0) else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), len(outages._store._entries))
"""


def test_a_forked_child_keeps_nothing_of_its_parents():
    """0 answers and no held lock in the child; the parent's are still there."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", FORK], capture_output=True, text=True, check=True, cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.stdout == "0 1\n"
