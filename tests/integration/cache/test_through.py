"""Rows that are written through: after a commit the next reader hits."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections, transaction
from django.db.models import F
from django.test import TestCase

from redis_toolkit.cache import bulk, gate, through
from redis_toolkit.core.connections import link
from redis_toolkit.signals import cache_failed
from redis_toolkit.testing.cache import IsolatedCacheMixin, assert_cache_hits, assert_redis_round_trips
from tests.app.models import Order, Receipt

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


def plain(model: Any, alias: str) -> Any:
    return model.objects.using(alias)


def cached(model: Any, alias: str) -> Any:
    return model.cached.db_manager(alias)


@pytest.fixture
def order(alias):
    """An order, and a server that knows the scripts."""
    made = plain(Order, alias).create(table=1, text="soup")
    cached(Order, alias).get(pk=made.pk)
    return made


def _save(alias, order):
    order.text = "saved"
    order.save(using=alias)
    return [order]


def _save_fields(alias, order):
    order.text = "some fields"
    order.save(using=alias, update_fields=["text"])
    return [order]


def _move(alias, order):
    order.table = 2
    order.save(using=alias)
    return [order]


def _update(alias, order):
    plain(Order, alias).filter(pk=order.pk).update(text="updated")
    return [order]


def _expression(alias, order):
    plain(Order, alias).filter(pk__in=[order.pk]).update(text=F("text"))
    return [order]


def _bulk_update(alias, order):
    order.text = "bulk"
    plain(Order, alias).bulk_update([order], ["text"])
    return [order]


WRITES: dict[str, Callable[[str, Any], list[Any]]] = {
    "save": _save,
    "save of some fields": _save_fields,
    "save that moves": _move,
    "create": lambda alias, _: [plain(Order, alias).create(table=3, text="cake")],
    "create with a key": lambda alias, _: [plain(Order, alias).create(pk=77, table=3, text="cake")],
    "create with a key of one's own": lambda alias, _: [plain(Receipt, alias).create(text="paid")],
    "update": _update,
    "update by an expression": _expression,
    "bulk_update": _bulk_update,
    "bulk_create with keys": lambda alias, _: plain(Receipt, alias).bulk_create(Receipt(text=str(at)) for at in range(3)),
    "bulk_create of the cached manager": lambda alias, _: cached(Order, alias).bulk_create(
        Order(table=at, text="x") for at in range(3)
    ),
}  # fmt: skip


@pytest.mark.parametrize("block", [False, True], ids=["autocommit", "in a transaction"])
@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_the_next_reader_hits(alias, order, cost, write, block):
    """After each kind of fine write the rows written are hits, and equal to what the database has."""
    if block:
        with transaction.atomic(using=alias):
            rows = write(alias, order)
    else:
        rows = write(alias, order)
    with cost() as it:
        found = [cached(type(row), alias).get(pk=row.pk) for row in rows]
    assert it.outcomes == [("get", "hit")] * len(rows)
    assert it.queries == 0
    truth = [plain(type(row), alias).get(pk=row.pk) for row in rows]
    assert [vars(row) | {"_state": 0} for row in found] == [vars(row) | {"_state": 0} for row in truth]


def test_what_is_stored_is_what_the_database_has(alias, order):
    """An instance that lies (a number as text, too long a value cut by nobody) is not what readers are given."""
    order.table = "5"
    order.save(using=alias)
    assert order.table == "5"
    assert cached(Order, alias).get(pk=order.pk).table == 5


def test_what_it_costs(alias, order, cost):
    """2 round trips and 1 query more, for one row as for a hundred of a transaction; the write itself as ever."""
    orders = plain(Order, alias).bulk_create(Order(table=at, text="x") for at in range(100))
    for rows, trips in (([order], 4), (orders, 103)):
        with cost() as it, assert_redis_round_trips(trips), transaction.atomic(using=alias):
            for row in rows:
                row.save(using=alias)
        assert [sql.split()[0] for sql in it.sql] == ["BEGIN", *["SELECT", "UPDATE"] * len(rows), "COMMIT", "SELECT"]


def test_a_transaction_that_wrote_very_much(alias, order, cost):
    """Above a hundred rows nothing is read again: readers load what they want."""
    orders = plain(Order, alias).bulk_create(Order(table=at, text="x") for at in range(101))
    with cost() as it, transaction.atomic(using=alias):
        plain(Order, alias).bulk_update(orders, ["text"])
    assert [sql.split()[0] for sql in it.sql].count("SELECT") == 1
    with cost() as it:
        cached(Order, alias).get(pk=orders[0].pk)
    assert it.outcomes == [("get", "miss")]


def test_a_rollback(alias, order, cost):
    """A transaction that is rolled back reads nothing again, and readers are given what was there before."""
    with cost() as it, transaction.atomic(using=alias):
        order.text = "never"
        order.save(using=alias)
        transaction.set_rollback(True, using=alias)
    assert [sql.split()[0] for sql in it.sql] == ["BEGIN", "SELECT", "UPDATE", "ROLLBACK"]
    assert cached(Order, alias).get(pk=order.pk).text == "soup"


def test_a_savepoint_that_was_rolled_back(alias, order):
    """What a savepoint took back is read as it is."""
    with transaction.atomic(using=alias):
        plain(Order, alias).create(table=9, text="kept")
        with transaction.atomic(using=alias):
            plain(Order, alias).filter(pk=order.pk).update(text="never")
            transaction.set_rollback(True, using=alias)
    assert cached(Order, alias).get(pk=order.pk).text == "soup"


def test_rows_that_go(alias, order, cost):
    """A deleted row is not read again, nor one that was created and deleted in one transaction stored as there."""
    with transaction.atomic(using=alias):
        short = plain(Order, alias).create(table=9, text="short")
        short_key = short.pk
        short.delete(using=alias)
    with cost() as it:
        order_key = order.pk
        order.delete(using=alias)
    assert "SELECT" not in [sql.split()[0] for sql in it.sql][-1:]
    for key in (short_key, order_key):
        with pytest.raises(Order.DoesNotExist):
            cached(Order, alias).get(pk=key)


def test_coarse_writes_are_left_to_readers(alias, order, cost):
    """A write that is not pinned to keys reads nothing again, and ends what is stored as ever."""
    with cost() as it:
        plain(Order, alias).filter(table=1).update(text="all")
    assert [sql.split()[0] for sql in it.sql] == ["UPDATE"]
    assert cached(Order, alias).get(pk=order.pk).text == "all"


def test_a_writer_comes_between(alias, order, cost, monkeypatch):
    """1. A's marks are off, it reads its version  2. B commits another  3. A stores its own: nobody is given it."""
    own, others = bulk._Bulk._read, iter(["B"])

    def read(reading: Any, wanted: Any) -> Any:
        found = own(reading, wanted)
        for text in others:
            plain(Order, alias).filter(pk=order.pk).update(text=text)
        return found

    monkeypatch.setattr(bulk._Bulk, "_read", read)
    order.text = "A"
    order.save(using=alias)
    with cost() as it:
        assert cached(Order, alias).get(pk=order.pk).text == "B"
    # A's version lies over B's, dead.
    assert it.outcomes == [("get", "miss")]


def test_another_writer_is_at_work(alias, order, cost):
    """A row whose stamp another has marked is not read again: nothing could be stored."""
    from redis_toolkit.cache.reading import Source
    from redis_toolkit.cache.rows import rows_of
    from redis_toolkit.cache.stamps import mark, new_transaction_id

    place = rows_of(Order, alias).place({"pk": order.pk}, Source(alias, alias))
    mark(link(), place.stamps[1:2], new_transaction_id())
    with cost() as it:
        _save(alias, order)
    assert [sql.split()[0] for sql in it.sql] == ["BEGIN", "SELECT", "COMMIT", "UPDATE"]
    assert it.failures == []


def test_the_database_fails_afterwards(alias, order, monkeypatch, caplog):
    """What goes wrong after the commit is a warning and a signal; the writer is not told, and his hooks run."""
    heard, done = [], []

    def fail(*_: Any) -> None:
        raise RuntimeError("after the commit")

    def hear(during: str, error: Exception, **_: Any) -> None:
        heard.append((during, str(error)))

    monkeypatch.setattr(through, "fill", fail)
    cache_failed.connect(hear)
    try:
        with transaction.atomic(using=alias):
            _save(alias, order)
            transaction.on_commit(lambda: done.append(1), using=alias)
        _update(alias, order)
    finally:
        cache_failed.disconnect(hear)
    assert heard == [("store", "after the commit")] * 2
    assert done == [1]
    assert caplog.messages == ["Rows that were written could not be written through: after the commit"] * 2
    assert plain(Order, alias).get(pk=order.pk).text == "updated"


def test_redis_is_away(alias, order, valkey, cost):
    """While Redis is away a write asks the database nothing more, and is right when it is back."""
    valkey.stop()
    with cost() as it:
        _update(alias, order)
    assert [sql for sql in it.sql if sql.startswith("SELECT") and "text" in sql] == []
    assert cached(Order, alias).get(pk=order.pk).text == "updated"


@pytest.mark.parametrize("name", ["REDIS_TOOLKIT_ENABLED", "REDIS_TOOLKIT_REPLICA_LAG"])
def test_where_nothing_could_be_stored(alias, order, settings, cost, name):
    """With the cache off, or with marks that linger for replicas, nothing is read again."""
    setattr(settings, name, {"REDIS_TOOLKIT_ENABLED": False}.get(name, 5))
    with cost() as it:
        _update(alias, order)
    assert [sql.split()[0] for sql in it.sql] == ["BEGIN", "SELECT", "COMMIT", "UPDATE"]


def test_rows_live_as_long_as_the_manager_says(alias, order, redis_client, settings):
    """Rows that are written through live for the manager's ttl."""
    settings.REDIS_TOOLKIT_TTL_JITTER = 0
    receipt = plain(Receipt, alias).create(pk=uuid.uuid4(), text="x")
    (key,) = redis_client.keys(f"rt:r:*receipt*{str(receipt.pk)[:8]}*")
    assert 495_000 < redis_client.pttl(key) <= 500_000


def test_commits_by_hand_are_left_to_readers(alias, order, cost):
    """A transaction that is not Django's own reads nothing again: its outcome is not told."""
    connection = connections[alias]
    connection.set_autocommit(False)
    try:
        _update(alias, order)
        connection.commit()
    finally:
        connection.set_autocommit(True)
    assert cached(Order, alias).get(pk=order.pk).text == "updated"


class TestInATestCase(IsolatedCacheMixin, TestCase):
    """What is written in a test is written through, as it would be if it were committed."""

    databases = {"default", "postgres"}

    def test_the_next_reader_hits(self) -> None:
        """Created, saved and updated rows are hits in a TestCase with a keyspace of its own."""
        for alias in self.databases:
            made = plain(Order, alias).create(table=1, text="soup")
            made.save(using=alias)
            with assert_cache_hits(1):
                assert cached(Order, alias).get(pk=made.pk).text == "soup"
            with transaction.atomic(using=alias):
                plain(Order, alias).filter(pk=made.pk).update(text="cake")
            with assert_cache_hits(1):
                assert cached(Order, alias).get(pk=made.pk).text == "cake"


def test_who_has_committed_does_not_queue(alias, order, settings, caplog):
    """All places at the gate are taken, and nobody queues yet: rows that were written are left to readers."""
    settings.REDIS_TOOLKIT_LOADS, settings.REDIS_TOOLKIT_LOADS_WAIT = 1, 0
    taken, free = threading.Event(), threading.Event()

    def take() -> None:
        with gate.admit():
            taken.set()
            free.wait(10)

    other = threading.Thread(target=take)
    other.start()
    assert taken.wait(10)
    try:
        _save(alias, order)
    finally:
        free.set()
        other.join()
    assert caplog.messages == []
