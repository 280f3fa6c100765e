"""Looks at the outbox that do not go smoothly: nobody is hurt by one, and nobody trusts what none has confirmed."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import OperationalError, connections, transaction
from django.db.models.signals import post_delete
from django.test.utils import CaptureQueriesContext

from redis_toolkit.cache import debts, looks, outbox, transactions
from redis_toolkit.core.clock import monotonic, now, travel
from redis_toolkit.core.connections import link
from redis_toolkit.exceptions import StoreUnavailable
from redis_toolkit.models import Outbox
from tests.app.models import Lesson
from tests.integration.cache.term import Term
from tests.integration.cache.threads import elsewhere
from tests.listening import outcomes_heard

pytestmark = [pytest.mark.django_db(transaction=True, databases="__all__"), pytest.mark.usefixtures("empty_outboxes")]

#: Seconds after which a read looks (of an interval of ten), and after which nothing is trusted without a look.
DUE, LATER = 6.0, 11.0
PATIENCE = 30


@pytest.fixture(autouse=True)
def interval(settings: Any, term: Term) -> None:
    """Looks are ten seconds apart, so that none comes of itself, however slow the machine."""
    settings.REDIS_TOOLKIT_OUTBOX_INTERVAL = 10


@contextmanager
def unheard() -> Iterator[None]:
    """Another process writes in this block, which cannot reach Redis."""

    def refuse(*_: Any) -> None:
        raise StoreUnavailable

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transactions, "mark", refuse)
        patch.setattr(transactions, "unmark", refuse)
        patch.setattr(looks, "expect", lambda: None)
        yield


def rows(term: Term) -> Any:
    return Outbox.objects.using(term.alias)


def title(term: Term) -> str:
    return str(term.cached.get(pk=term.lessons[5].pk).title)


def write(term: Term, value: str = "new") -> None:
    """Another process writes, unheard."""
    with unheard():
        term.plain(Lesson).filter(pk=term.lessons[5].pk).update(title=value)


def run_sql(term: Term, *statements: str) -> None:
    with connections[term.alias].cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


@pytest.fixture
def lacking(term: Term) -> Iterator[Callable[[], None]]:
    """Takes the right to read the outbox away from this connection, behind the toolkit's back."""

    def lack() -> None:
        run_sql(term, "SET ROLE nobody_much")

    run_sql(
        term, "DROP ROLE IF EXISTS nobody_much", "CREATE ROLE nobody_much",
        "GRANT SELECT, UPDATE, INSERT, DELETE ON ALL TABLES IN SCHEMA public TO nobody_much",
        "REVOKE ALL ON redis_toolkit_outbox FROM nobody_much",
    )  # fmt: skip
    yield lack
    run_sql(term, "RESET ROLE", "DROP OWNED BY nobody_much", "DROP ROLE nobody_much")


on_postgres = pytest.mark.parametrize("alias", ["postgres"], indirect=True)
on_sqlite = pytest.mark.parametrize("alias", ["default"], indirect=True)


@on_postgres
def test_an_outbox_that_may_not_be_read(term, cost, monkeypatch, caplog):
    """Without the right to read the outbox nothing is trusted: what others wrote unheard would not be known."""
    assert [title(term), title(term)] == ["Lesson 5"] * 2
    write(term)
    monkeypatch.setattr(outbox, "TABLE", "app_unwatched")
    with travel(LATER), cost() as it:
        assert [title(term), title(term)] == ["new"] * 2
    assert it.outcomes == [("get", "bypass")] * 2
    # Asked once for both reads: it is tried again when half of the interval is over.
    assert caplog.text.count("could not be read, so nothing cached is trusted") == 1
    monkeypatch.undo()
    with travel(2 * LATER):
        assert title(term) == "new"


@on_postgres
def test_a_look_never_ends_the_callers_transaction(term, cost, lacking):
    """Denied in the middle of a transaction, the look is a bypass, and the transaction goes on and commits."""
    assert [title(term), title(term)] == ["Lesson 5"] * 2
    with transaction.atomic(using=term.alias), travel(LATER):
        lacking()
        with cost() as it:
            assert title(term) == "Lesson 5"
        run_sql(term, "RESET ROLE")
        term.plain(Lesson).filter(pk=term.lessons[6].pk).update(title="kept")
    assert it.outcomes in ([("get", "bypass")], [("get", "hit")])
    assert term.again(6).title == "kept"


@on_postgres
def test_the_server_closed_the_connection(term, cost):
    """A connection that the server has closed is looked past, on another: hits go on, and are right."""
    assert [title(term), title(term)] == ["Lesson 5"] * 2
    connection = connections[term.alias]
    with closing(connection.copy()) as other, other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [connection.connection.info.backend_pid])
        with unheard():
            cursor.execute("UPDATE app_lesson SET title = 'new' WHERE title = 'Lesson 5'")
    with travel(LATER), cost() as it:
        # What is wrong with the connection is Django's to say, and only to whoever asks the database.
        assert elsewhere(lambda: title(term)) == "new"
        assert title(term) == "new"
    assert it.outcomes[-1] == ("get", "hit")
    connection.close()


@on_postgres
def test_a_server_that_lets_us_not_in(term):
    """Where the database runs and refuses this process a connection, others write: nothing is trusted."""
    assert [title(term), title(term)] == ["Lesson 5"] * 2
    write(term)
    run_sql(
        term, "DROP ROLE IF EXISTS kept_out", "CREATE ROLE kept_out LOGIN CONNECTION LIMIT 0",
    )  # fmt: skip
    connection = connections[term.alias]
    with travel(LATER), pytest.MonkeyPatch.context() as patch:
        connection.close()
        patch.setitem(connection.settings_dict, "USER", "kept_out")
        # (A hit would ask the database for nothing.)
        with pytest.raises(OperationalError, match="too many connections for role"):
            title(term)
    connection.close()
    run_sql(term, "DROP ROLE kept_out")
    with travel(2 * LATER):
        assert title(term) == "new"


@on_postgres
def test_a_broken_transaction(term, cost):
    """In a transaction that an error has ended, a read from the cache still looks, on another connection."""
    assert [title(term), title(term)] == ["Lesson 5"] * 2
    connection = connections[term.alias]
    connection.set_autocommit(False)
    try:
        with pytest.raises(Exception, match="division by zero"):
            run_sql(term, "SELECT 1 / 0")
        with travel(LATER), cost() as it:
            assert title(term) == "Lesson 5"
        assert it.outcomes == [("get", "hit")]
    finally:
        connection.rollback()
        connection.set_autocommit(True)


@on_postgres
def test_without_autocommit_a_look_leaves_no_transaction_open(term):
    """A hit that looks does not begin the caller's transaction: its isolation level may still be chosen."""
    assert [title(term), title(term)] == ["Lesson 5"] * 2
    connection = connections[term.alias]
    connection.set_autocommit(False)
    try:
        with travel(LATER):
            assert title(term) == "Lesson 5"
        assert connection.connection.info.transaction_status == 0
    finally:
        connection.rollback()
        connection.set_autocommit(True)


@pytest.mark.parametrize("begin", ["autocommit off", "BEGIN"])
def test_a_refused_row_outside_of_atomic(term, monkeypatch, begin):
    """In a transaction that is not Django's, too, an outbox that refuses a row leaves the write as it was."""
    monkeypatch.setattr(outbox, "TABLE", "app_unwatched")
    connection = connections[term.alias]
    if begin == "BEGIN":
        run_sql(term, "BEGIN")
    else:
        connection.set_autocommit(False)
    with unheard():
        run_sql(term, "UPDATE app_lesson SET title = 'kept' WHERE title = 'Lesson 6'")
        if begin == "BEGIN":
            run_sql(term, "COMMIT")
        else:
            connection.commit()
            connection.set_autocommit(True)
    assert term.again(6).title == "kept"
    monkeypatch.undo()
    debts.pay(link())


@on_postgres
def test_while_a_look_hangs_others_ask_the_database(term):
    """1. the outbox is locked  2. a thread looks, and hangs  3. when its time is over, others bypass: 0 stale."""
    assert [title(term), title(term)] == ["Lesson 5"] * 2
    connection = connections[term.alias]
    write(term)
    with closing(connection.copy()) as locking, ThreadPoolExecutor(1) as pool:
        with locking.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("LOCK TABLE redis_toolkit_outbox IN ACCESS EXCLUSIVE MODE")
        with travel(DUE):
            hanging = pool.submit(lambda: elsewhere(lambda: title(term)))
            _wait_for_a_lock(term)
            # Half of the time is left.
            assert title(term) == "Lesson 5"
        with travel(LATER):
            assert [title(term), title(term)] == ["new"] * 2
        assert not hanging.done()
        locking.rollback()
        assert hanging.result(PATIENCE) == "new"
    assert title(term) == "new"


def test_redis_goes_and_comes_while_a_thread_looks(term, monkeypatch):
    """1. a thread has read the outbox  2. Redis goes, somebody writes, it comes  3. the thread does not trust its look."""
    assert [title(term), title(term)] == ["Lesson 5"] * 2
    read, again = outbox.read, looks.expect

    def slowly(connection: Any) -> Any:
        found = read(connection)
        monkeypatch.setattr(outbox, "read", read)
        write(term)
        again()
        return found

    monkeypatch.setattr(outbox, "read", slowly)
    with travel(LATER):
        assert [title(term), title(term)] == ["new"] * 2


def test_two_who_would_be_the_first_to_look(term):
    """1. A reads the clock  2. B reads it, and notes that nobody has looked  3. A looks, for B has not: it is trusted."""
    assert title(term) == "Lesson 5"
    looks.expect()
    looks._last[term.alias] = looks._Last(monotonic() + 5, known=None)
    with outcomes_heard() as outcomes:
        assert title(term) == "Lesson 5"
    assert outcomes == ["hit"]


@pytest.mark.parametrize("ends", ["well", "in an error"])
def test_who_waits_for_a_look_is_given_his_hit(term, monkeypatch, ends):
    """1. a thread looks  2. two come, and nothing may be trusted without  3. it has looked: both are given what is there.

    If it fails they ask the database, and the next who comes looks again.
    """
    assert [title(term), title(term)] == ["Lesson 5"] * 2
    read, looking, go_on, waiting = outbox.read, threading.Event(), threading.Event(), threading.Semaphore(0)

    def slowly(connection: Any) -> Any:
        monkeypatch.setattr(outbox, "read", read)
        looking.set()
        assert go_on.wait(PATIENCE)
        if ends == "in an error":
            raise ZeroDivisionError
        return read(connection)

    class Heard(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waiting.release()
            return super().wait(PATIENCE)

    def asked() -> int:
        with CaptureQueriesContext(connections[term.alias]) as queries:
            assert title(term) == "Lesson 5"
        return sum("app_lesson" in query["sql"] for query in queries)

    monkeypatch.setattr(looks, "threading", SimpleNamespace(Lock=threading.Lock, Event=Heard))
    looks.expect()
    monkeypatch.setattr(outbox, "read", slowly)
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(lambda: elsewhere(lambda: title(term)))
        assert looking.wait(PATIENCE)
        others = [pool.submit(lambda: elsewhere(asked)) for _ in range(2)]
        for _ in others:
            assert waiting.acquire(timeout=PATIENCE)
        go_on.set()
        if ends == "well":
            assert [first.result(PATIENCE), *(each.result(PATIENCE) for each in others)] == ["Lesson 5", 0, 0]
        else:
            with pytest.raises(ZeroDivisionError):
                first.result(PATIENCE)
            # (Or one loads for both.)
            assert sum(each.result(PATIENCE) for each in others) in {1, 2}
    with travel(DUE):
        assert asked() == 0


def _wait_for_a_lock(term: Term) -> None:
    waits = threading.Event()
    while not waits.wait(0.01):
        with connections[term.alias].cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            if cursor.fetchone()[0]:
                waits.set()


GARBAGE: dict[str, dict[str, str]] = {
    "no number": {"writer": "xyz"},
    "no list": {"names": "{"},
    "a number": {"names": "5"},
    "numbers": {"names": "[1, 2]"},
    "nothing": {"names": ""},
    "a mapping": {"names": '{"pk=5": 1}'},
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
def test_a_row_that_cannot_be_read(term, garbage):
    """Garbage in the outbox hurts nobody: what the row names is dropped whole, and the row goes."""
    assert [title(term), title(term)] == ["Lesson 5"] * 2
    stem = f"rt:s:{term.alias}:app_lesson"
    row = {"writer": "00" * 12, "stem": stem, "names": json.dumps([""]), "written": now()} | garbage
    rows(term).create(**row)
    with travel(LATER):
        assert title(term) == "Lesson 5"
    assert rows(term).count() == 0


def test_a_number_that_is_given_again(term):
    """1. a look drops row 7 and deletes it  2. the table is emptied, and numbers begin anew  3. another row 7: dropped."""
    stem = f"rt:s:{term.alias}:app_lesson"
    for at, writer in enumerate(("01" * 12, "02" * 12), start=1):
        assert [title(term), title(term)] == [title(term)] * 2
        run_sql(term, f"UPDATE app_lesson SET title = '{at}' WHERE title NOT LIKE '%6'")
        title(term)
        behind = connections[term.alias].execute_wrappers.pop(0)
        run_sql(term, f"UPDATE app_lesson SET title = 'unseen {at}' WHERE title = '{at}'")
        connections[term.alias].execute_wrappers.insert(0, behind)
        rows(term).create(pk=7, writer=writer, stem=stem, names='[""]', written=now())
        with travel(at * LATER):
            assert title(term) == f"unseen {at}"


def test_nobody_of_the_projects_hears_of_rows_that_go(term, cost):
    """Receivers, execute_wrappers and the log of queries hear nothing of a look, so none can fail a hit."""
    assert [title(term), title(term)] == ["Lesson 5"] * 2
    write(term)

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("heard of it")

    read = lambda: title(term)  # noqa: E731 - asked twice
    post_delete.connect(refuse)
    try:
        with travel(LATER), CaptureQueriesContext(connections[term.alias]) as queries:
            assert read() == "new"
            with connections[term.alias].execute_wrapper(refuse):
                assert read() == "new"
    finally:
        post_delete.disconnect(refuse)
    assert [query["sql"].split()[0] for query in queries.captured_queries] == ["SELECT"]
    assert rows(term).count() == 0


@pytest.mark.parametrize("ends", ["commit", "rollback"])
def test_rows_found_inside_a_transaction(term, ends):
    """Whoever only ever reads in transactions deletes what it dropped when one has committed."""
    assert [title(term), title(term)] == ["Lesson 5"] * 2
    write(term)
    with travel(LATER), transaction.atomic(using=term.alias):
        title(term)
        assert rows(term).count() == 1
        transaction.set_rollback(ends == "rollback", using=term.alias)
    assert rows(term).count() == (1 if ends == "rollback" else 0)
    assert title(term) == "new"


@on_sqlite
def test_another_writer_is_at_work_on_sqlite(term):
    """Deleting what was dropped waits for nobody: with SQLite's one lock taken, the row stays for the next look."""
    assert [title(term), title(term)] == ["Lesson 5"] * 2
    write(term)
    with closing(connections[term.alias].copy()) as other:
        with other.cursor() as cursor:
            cursor.execute("BEGIN IMMEDIATE")
        with travel(LATER):
            assert title(term) == "new"
        assert rows(term).count() == 1
        with connections[term.alias].cursor() as cursor:
            assert cursor.execute("PRAGMA busy_timeout").fetchone() == (20000,)
        other.rollback()
    with travel(2 * LATER):
        assert title(term) == "new"
    assert rows(term).count() == 0


@on_sqlite
@pytest.mark.parametrize("mode", ["IMMEDIATE", "EXCLUSIVE"])
def test_a_rollback_journal(term, cost, mode):
    """Without a write-ahead log a look inside a transaction does not wait for the lock that this itself holds."""
    run_sql(term, "PRAGMA journal_mode = DELETE")
    try:
        assert [title(term), title(term)] == ["Lesson 5"] * 2
        run_sql(term, f"BEGIN {mode}")
        with travel(LATER), cost() as it:
            assert title(term) == "Lesson 5"
        run_sql(term, "ROLLBACK")
        assert it.outcomes == [("get", "hit")]
    finally:
        run_sql(term, "PRAGMA journal_mode = WAL")


def test_a_deadline_that_is_over_before_the_write_is(term):
    """1. a row is put ahead, until a deadline  2. it is over, and a look deletes the row  3. the write ends: put again."""
    assert [title(term), title(term)] == ["Lesson 5"] * 2
    with unheard():
        single = transactions.Transaction(term.alias, connections[term.alias])
        single.mark(_tables(term), {"app_lesson": {""}})
        single.put(until=now() + 60)
        assert rows(term).count() == 1
        with travel(61 + LATER):
            assert elsewhere(lambda: title(term)) == "Lesson 5"
            assert rows(term).count() == 0
        term.plain(Lesson).filter(pk=term.lessons[5].pk).update(title="new")
        rows(term).all().delete()
        single.finish()
    assert rows(term).count() == 1
    with travel(3 * 61):
        assert title(term) == "new"


def _tables(term: Term) -> Any:
    from redis_toolkit.cache.tables import tables

    return tables(term.alias)


def test_two_tenants_have_two_outboxes(term, settings, cost):
    """A look at one tenant's outbox says nothing of another's."""
    settings.REDIS_TOOLKIT_TENANT = "tests.integration.cache.tenants.current"
    from tests.integration.cache import tenants

    tenants.name = "one"
    assert [title(term), title(term)] == ["Lesson 5"] * 2
    assert not looks.is_due(term.alias)
    tenants.name = "two"
    assert looks.is_due(term.alias)
