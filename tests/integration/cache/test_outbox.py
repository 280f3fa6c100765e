"""A writer that Redis cannot hear: what it wrote reaches every process by way of its own database."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import pytest
from django.db import OperationalError, connections, transaction

from redis_toolkit.cache import debts, invalidate, looks, outbox, receivers, transactions, trust
from redis_toolkit.core.clock import now, travel
from redis_toolkit.core.connections import link
from redis_toolkit.exceptions import StoreUnavailable
from redis_toolkit.models import Outbox
from tests.app.models import Lesson, Place
from tests.integration.cache.term import Term
from tests.integration.cache.threads import elsewhere

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

#: Seconds after which the next read looks, and after which a write that put its row ahead of itself is over.
LATER, OVER = 11.0, 71.0


@pytest.fixture(autouse=True)
def looked_at(term: Term, settings: Any) -> Iterator[None]:
    """Each test begins with a process that knows nothing of any outbox, and leaves no rows.

    Looks are ten seconds apart, so that none comes of itself, however slow the machine.
    """
    settings.REDIS_TOOLKIT_OUTBOX_INTERVAL = 10
    forget()
    yield
    rows(term).all().delete()
    forget()


def forget() -> None:
    """Know nothing of any outbox."""
    outbox.forget()
    looks.forget()


@contextmanager
def unheard(*, elsewhere: bool = True) -> Iterator[None]:
    """Whoever writes in this block cannot reach Redis: another process, of which we are told nothing, or our own."""

    def refuse(*_: Any) -> None:
        raise StoreUnavailable

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transactions, "mark", refuse)
        patch.setattr(transactions, "unmark", refuse)
        if elsewhere:
            patch.setattr(looks, "expect", lambda: None)
        yield


def rows(term: Term) -> Any:
    """The outbox of the term's database."""
    return Outbox.objects.using(term.alias)


def in_a_transaction(write: Callable[[Term], Any]) -> Callable[[Term], Any]:
    def written(term: Term) -> None:
        with transaction.atomic(using=term.alias):
            write(term)

    return written


def save(term: Term) -> None:
    lesson = term.again(5)
    lesson.title = "new"
    lesson.save()


def move(term: Term) -> None:
    lesson = term.again(5)
    lesson.group = term.groups[6]
    lesson.save()


def twice(term: Term) -> None:
    """A savepoint that is rolled back takes its row of the outbox along; what is written after it puts another."""
    with pytest.raises(ZeroDivisionError), transaction.atomic(using=term.alias):
        save(term)
        raise ZeroDivisionError
    save(term)


def by_hand(term: Term) -> None:
    connections[term.alias].cursor().execute("UPDATE app_lesson SET title = 'new' WHERE title = 'Lesson 5'")


WRITES: dict[str, Callable[[Term], Any]] = {
    "save": save,
    "save in a transaction": in_a_transaction(save),
    "another group": move,
    "after a savepoint": in_a_transaction(twice),
    "update by a filter": lambda term: term.plain(Lesson).filter(group=term.groups[5]).update(title="new"),
    "update in a transaction": in_a_transaction(
        lambda term: term.plain(Lesson).filter(group=term.groups[5]).update(title="new")
    ),
    "raw sql": by_hand,
    "delete": lambda term: term.again(5).delete(),
    "create": lambda term: term.lesson(15).save(using=term.alias),
    "bulk_create": lambda term: term.plain(Lesson).bulk_create([term.lesson(15), term.lesson(16)]),
    "bulk_create in a transaction": in_a_transaction(
        lambda term: term.plain(Lesson).bulk_create([term.lesson(15), term.lesson(16)])
    ),
}


def asked(term: Term, manager: Any) -> list[Any]:
    """What is cached of a term, in the words of ``manager``."""
    return [
        [lesson.title for lesson in manager.filter(pk=term.lessons[5].pk)],
        [lesson.title for lesson in manager.filter(group=term.groups[5]).order_by("pk")],
        [lesson.title for lesson in manager.filter(group=term.groups[6]).order_by("pk")],
        manager.filter(period__gte=0).count(),
    ]


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_another_process_cannot_reach_redis(term, write):
    """Corner 1 of the promise: old for as long as OUTBOX_INTERVAL, and right from the next look on."""
    old = asked(term, term.cached)
    assert asked(term, term.cached) == old == asked(term, term.plain(Lesson))
    with unheard():
        write(term)
        # (SQLite may commit only when the connection is used next.)
        receivers.on_request_exception()
    right = asked(term, term.plain(Lesson))
    assert right != old
    assert rows(term).exists()
    assert not debts.any_owed()
    # This process was not told, and looked a moment ago.
    assert asked(term, term.cached) == old
    with travel(LATER):
        assert asked(term, term.cached) == right
    with travel(OVER):
        asked(term, term.cached)
        assert rows(term).count() == 0


@pytest.mark.parametrize("reader", ["idle", "new"])
def test_a_reader_that_noticed_no_outage(term, valkey, cost, reader):
    """It trusts Redis at once, and a writer that has not found it yet is one that cannot reach it: the same bound."""
    read = lambda: term.cached.get(pk=term.lessons[5].pk).title  # noqa: E731 - it is asked often
    read()
    valkey.pause()
    valkey.resume()
    if reader == "new":
        link().close()
        trust.forget()
        looks.forget()
    with cost() as it:
        assert read() == "Lesson 5"
        with unheard():
            save(term)
        assert read() == "Lesson 5"
        with travel(LATER):
            assert (read(), read()) == ("new", "new")
    assert [outcome for _, outcome in it.outcomes] == ["hit", "hit", "miss", "hit"]


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_what_the_writer_itself_reads(term, write):
    """With Redis back, the process that wrote looks before it trusts anything, and is right at once."""
    asked(term, term.cached)
    with unheard(elsewhere=False):
        write(term)
        receivers.on_request_exception()
    assert asked(term, term.cached) == asked(term, term.plain(Lesson))


def test_a_write_while_another_thread_looks(term, monkeypatch):
    """1. a thread looks, and finds nothing  2. ours writes unheard  3. the thread is done: we look all the same."""
    own = looks._read

    def read(*args: Any, **kwargs: Any) -> Any:
        found = own(*args, **kwargs)
        looks.expect()
        return found

    monkeypatch.setattr(looks, "_read", read)
    asked(term, term.cached)
    monkeypatch.undo()
    assert looks.is_due(term.alias)
    asked(term, term.cached)
    assert not looks.is_due(term.alias)


def test_a_look_that_takes_long_does_not_put_off_the_next(term, monkeypatch, settings):
    """What is committed while a process looks is seen by the next look, which is due by when that look began."""
    settings.REDIS_TOOLKIT_OUTBOX_INTERVAL = 100
    old = asked(term, term.cached)
    read = looks._read
    with ExitStack() as later:

        def slowly(*args: Any, **how: Any) -> Any:
            monkeypatch.setattr(looks, "_read", read)
            found = read(*args, **how)
            with unheard():
                save(term)
            later.enter_context(travel(40))
            return found

        monkeypatch.setattr(looks, "_read", slowly)
        looks.expect()
        assert asked(term, term.cached) == old
        later.enter_context(travel(20))
        assert asked(term, term.cached) == asked(term, term.plain(Lesson)) != old


def test_a_transaction_that_is_rolled_back(term):
    """What was not written is in no outbox."""
    with pytest.raises(ZeroDivisionError), unheard(), transaction.atomic(using=term.alias):
        save(term)
        assert rows(term).count() == 1
        raise ZeroDivisionError
    assert rows(term).count() == 0


def test_invalidate_reaches_other_processes(term):
    """invalidate() that Redis does not hear of is in the outbox, too."""
    old = asked(term, term.cached)
    behind = connections[term.alias].execute_wrappers.pop(0)
    term.plain(Lesson).filter(pk=term.lessons[5].pk).update(title="new")
    connections[term.alias].execute_wrappers.insert(0, behind)
    with unheard():
        invalidate(Lesson, pk=term.lessons[5].pk, using=term.alias)
    assert asked(term, term.cached) == old
    with travel(LATER):
        assert asked(term, term.cached)[0] == ["new"]
    assert rows(term).count() == 0


def test_redis_was_away_for_a_moment_only(term):
    """A writer that finds Redis back at its end drops its stamps itself, and its row of the outbox."""
    asked(term, term.cached)
    with transaction.atomic(using=term.alias):
        with unheard():
            save(term)
        assert rows(term).count() == 1
    assert rows(term).count() == 0
    assert asked(term, term.cached)[0] == ["new"]


def test_redis_is_lost_between_mark_and_unmark(term):
    """Marks that cannot be taken off are left to the outbox: who looks takes them off."""
    asked(term, term.cached)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transactions, "unmark", lambda *_: (_ for _ in ()).throw(StoreUnavailable()))
        save(term)
    assert rows(term).count() == 1
    with travel(LATER):
        assert asked(term, term.cached) == asked(term, term.plain(Lesson))
    assert rows(term).count() == 0


def test_looks_cost_no_query_that_anybody_counts(term, cost):
    """A look is no query of the reader's: hits stay at 0 queries and 1 round trip, look or no look."""
    read = lambda: term.cached.get(pk=term.lessons[5].pk)  # noqa: E731 - asked twice
    read()
    for seconds in (0.0, LATER, 2 * LATER):
        before = link().round_trips
        with travel(seconds), cost() as it:
            read()
        assert (it.queries, link().round_trips - before, it.outcomes) == (0, 1, [("get", "hit")])


@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
@pytest.mark.parametrize("alias", ["postgres"], indirect=True)
def test_looks_of_a_reader_inside_a_transaction(term, cost, level):
    """Inside a transaction, one that sees the past too, the look sees what others have committed since."""
    read = lambda: [lesson.title for lesson in term.cached.filter(pk=term.lessons[5].pk)]  # noqa: E731 - asked often
    assert [read(), read()] == [["Lesson 5"]] * 2
    connection = connections[term.alias]
    with closing(connection.copy()) as other, transaction.atomic(using=term.alias):
        connection.cursor().execute(f"SET TRANSACTION ISOLATION LEVEL {level}")
        connection.cursor().execute("SELECT count(*) FROM app_lesson")
        with unheard(), other.cursor() as cursor:
            cursor.execute("UPDATE app_lesson SET title = 'new' WHERE title = 'Lesson 5'")
        with cost() as it:
            assert read() == ["Lesson 5"]
        assert it.outcomes == [("rows", "hit")]
        with travel(LATER), cost() as it:
            # What this transaction sees is its own affair; what matters is that the old entry is no hit any more.
            assert read() == (["new"] if level == "READ COMMITTED" else ["Lesson 5"])
        assert it.outcomes in ([("rows", "miss")], [("rows", "bypass")])
    assert read() == ["new"]
    # That its level was set is remembered as long as it is open: what the next test reads in a transaction is not stored.
    connection.close()


@pytest.mark.parametrize("alias", ["default"], indirect=True)
def test_looks_of_a_reader_inside_a_transaction_of_sqlite(term, cost):
    """Inside a transaction of SQLite, where nobody else can write, a look needs no query of the transaction's."""
    read = lambda: term.cached.get(pk=term.lessons[5].pk)  # noqa: E731 - asked twice
    read()
    with transaction.atomic(using=term.alias), travel(LATER), cost() as it:
        read()
    assert (it.outcomes, it.queries) == ([("get", "hit")], 0)


def test_redis_is_away_when_somebody_looks(term):
    """With rows in the outbox and no way to tell Redis, no cached answer is trusted."""
    old = asked(term, term.cached)
    with unheard():
        save(term)
    with travel(LATER), pytest.MonkeyPatch.context() as patch:
        patch.setattr(looks, "unmark_all", lambda *_: (_ for _ in ()).throw(StoreUnavailable()))
        for _ in range(2):
            assert asked(term, term.cached) == asked(term, term.plain(Lesson)) != old
    assert rows(term).count() == 1


def test_a_database_without_the_table(term, monkeypatch, caplog):
    """Before the migration has run nothing fails: the process remembers what it owes, and says what is missing."""
    asked(term, term.cached)
    monkeypatch.setattr(outbox, "TABLE", "nobody_made_it")
    forget()
    with unheard():
        save(term)
    assert debts.any_owed()
    assert asked(term, term.cached) == asked(term, term.plain(Lesson))
    assert not debts.any_owed()
    assert "has no outbox (migrate redis_toolkit)" in caplog.text


def test_a_table_that_refuses(term, monkeypatch, caplog):
    """An outbox that cannot be written to takes no transaction with it."""
    asked(term, term.cached)
    monkeypatch.setattr(outbox, "TABLE", "app_unwatched")
    with unheard(), transaction.atomic(using=term.alias):
        save(term)
    assert term.again(5).title == "new"
    assert "could not be written to" in caplog.text
    assert debts.any_owed()
    monkeypatch.undo()
    forget()
    assert asked(term, term.cached)[0] == ["new"]


# (SQLite takes the name of a column that is not there for text.)
@pytest.mark.parametrize("alias", ["postgres"], indirect=True)
def test_a_table_that_cannot_be_read(term, monkeypatch, caplog):
    """An outbox that cannot be read ends no transaction in which somebody reads from the cache."""
    monkeypatch.setattr(outbox, "TABLE", "app_unwatched")
    forget()
    with transaction.atomic(using=term.alias):
        assert term.cached.get(pk=term.lessons[5].pk).title == "Lesson 5"
        assert term.again(5).title == "Lesson 5"
        save(term)
    assert term.again(5).title == "new"
    assert "could not be read" in caplog.text


@pytest.mark.parametrize("alias", ["postgres"], indirect=True)
def test_the_database_is_away(term, cost, monkeypatch, caplog):
    """Without its database a process goes on serving hits, says so at each look, and raises what Django does for others."""
    right = term.cached.get(pk=term.lessons[5].pk).title
    connection = connections[term.alias]
    with monkeypatch.context() as patch, travel(LATER), cost() as it:
        patch.setitem(connection.settings_dict, "HOST", "/nowhere")
        connection.close()
        assert [term.cached.get(pk=term.lessons[5].pk).title for _ in range(2)] == [right, right]
        with pytest.raises(OperationalError):
            term.cached.get(pk=term.lessons[6].pk)
    assert it.outcomes == [("get", "hit"), ("get", "hit")]
    (said,) = [record.getMessage() for record in caplog.records if "postgres" in record.getMessage()]
    assert said.startswith("The database postgres is away, and hits are served as before: connection")


def test_a_table_that_refuses_to_be_made_smaller(term, settings, monkeypatch):
    """Rows go only when the one that stands for them is there."""
    with unheard():
        for at in range(3):
            term.plain(Lesson).filter(pk=term.lessons[at].pk).update(title=f"new {at}")
    # Only now: of this process's transactions any may be the one after which the rows are counted.
    settings.REDIS_TOOLKIT_OUTBOX_ROWS = 1
    monkeypatch.setattr(outbox, "_SELDOM", 1)
    monkeypatch.setattr(outbox, "put", lambda *_, **__: False)
    outbox.keep_small(connections[term.alias])
    assert rows(term).count() == 3
    monkeypatch.undo()


def test_a_look_from_inside_the_transaction_that_put_the_row(term):
    """1. A writer cannot mark  2. it looks  3. a reader stores the old row  4. it commits, unheard: right at a look."""
    read = lambda: asked(term, term.cached)  # noqa: E731 - asked often
    old = read()
    with unheard(), transaction.atomic(using=term.alias):
        save(term)
        with travel(LATER):
            list(Place.cached.db_manager(term.alias).filter(name="nobody's"))
            assert elsewhere(read) == old
    assert read() == old
    with travel(3 * LATER):
        assert read() == asked(term, term.plain(Lesson)) != old
    assert rows(term).count() == 0


def test_many_rows(term, settings, monkeypatch):
    """Above OUTBOX_ROWS the rows of a table become one, and nothing is lost by that."""
    settings.REDIS_TOOLKIT_OUTBOX_ROWS = 5
    monkeypatch.setattr(outbox, "_SELDOM", 1)
    asked(term, term.cached)
    with unheard():
        for at in range(10):
            term.plain(Lesson).filter(pk=term.lessons[at].pk).update(title=f"new {at}")
            assert rows(term).count() <= 6
    assert {""} in [set(json.loads(row.names)) for row in rows(term).all()]
    with travel(LATER):
        assert asked(term, term.cached) == asked(term, term.plain(Lesson))
    assert rows(term).count() == 0


def test_a_look_that_finds_very_many_rows(term, monkeypatch):
    """Of very many rows a look drops the tables whole: as many commands as tables."""
    monkeypatch.setattr(looks, "_MANY", 3)
    asked(term, term.cached)
    with unheard():
        for at in range(5):
            term.plain(Lesson).filter(pk=term.lessons[at].pk).update(title=f"new {at}")
    assert rows(term).count() == 5
    before = link().round_trips
    with travel(LATER):
        term.cached.get(pk=term.lessons[9].pk)
    assert link().round_trips - before <= 4
    assert rows(term).count() == 0
    assert asked(term, term.cached) == asked(term, term.plain(Lesson))


def test_a_row_ahead_of_its_write(term):
    """A row that stands before its write is dropped at each look until the write is certainly over."""
    stamp = f"rt:s:{term.alias}:app_lesson"
    connection = connections[term.alias]
    assert outbox.put(connection, bytes(12), [stamp], until=now() + 60)
    read = lambda: asked(term, term.cached)  # noqa: E731 - asked often
    read()
    with travel(LATER):
        read()
        # The write commits only now.
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(transactions, "mark", lambda *_: None)
            patch.setattr(transactions, "unmark", lambda *_: None)
            save(term)
    assert rows(term).count() == 1
    with travel(2.5 * LATER):
        assert read() == asked(term, term.plain(Lesson))
    with travel(OVER + 1):
        read()
    assert rows(term).count() == 0


WRITER = """
import os, django
django.setup()
from django.db import transaction
from tests.app.models import Lesson, Place
with transaction.atomic(using={alias!r}):
    transaction.on_commit(lambda: os._exit(9), using={alias!r})
    lesson = Lesson.objects.using({alias!r}).get(pk={pk})
    lesson.title = "new"
    lesson.save()
"""


def test_a_process_that_cannot_reach_redis_and_dies_after_its_commit(term, django_environment, settings):
    """A real process behind a wire that leads nowhere commits and is gone: right within OUTBOX_INTERVAL."""
    # Longer than any process takes to start.
    settings.REDIS_TOOLKIT_OUTBOX_INTERVAL = 1000
    old = asked(term, term.cached)
    script = WRITER.format(alias=term.alias, pk=term.lessons[5].pk)
    result = subprocess.run(
        [sys.executable, "-c", script],
        env={**django_environment, "REDIS_URL": "redis://127.0.0.1:1/0", "PATH": ""},
        check=False,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 9, result.stderr
    assert asked(term, term.cached) == old
    with travel(1000):
        assert asked(term, term.cached)[0] == ["new"]
    assert rows(term).count() == 0
