"""Draining outboxes: what is dropped, what goes, what stays, and who gets in between."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier
from typing import Any

import pytest
from django.db import connections, transaction

from redis_toolkit.cache import databases, draining, looks, outbox
from redis_toolkit.cache.draining import Drained, drain, drain_all
from redis_toolkit.cache.watch import watch_of
from redis_toolkit.core.clock import travel
from redis_toolkit.core.connections import link
from redis_toolkit.exceptions import StoreUnavailable
from redis_toolkit.models import Outbox
from tests.integration.cache.leftovers import leave
from tests.integration.cache.threads import closing_after, elsewhere
from tests.school import ALIASES

pytestmark = [pytest.mark.django_db(transaction=True, databases="__all__"), pytest.mark.usefixtures("empty_outboxes")]


def rows(alias: str) -> Any:
    return Outbox.objects.using(alias)


@contextmanager
def database(name: str, like: str, **changes: Any) -> Iterator[None]:
    """One more entry in DATABASES."""
    connections.settings[name] = {**connections[like].settings_dict, **changes}
    databases.forget()
    try:
        yield
    finally:
        connections[name].close()
        del connections[name]
        del connections.settings[name]
        databases.forget()


def test_what_is_there_is_dropped_and_gone(alias, redis_client):
    """Of 7 rows 7 stamps are dropped and 0 rows stay; an empty outbox is drained in 0 round trips."""
    stamps = leave(alias, redis_client, range(7))
    assert drain(alias, link()) == Drained(alias, rows=7)
    assert (redis_client.exists(*stamps), rows(alias).count()) == (0, 0)
    before = link().round_trips
    assert drain(alias, link()) == Drained(alias)
    assert link().round_trips == before


def test_rows_are_read_in_pieces(alias, redis_client, monkeypatch, cost):
    """Of 10 rows no more than 4 are read at a time: 1 query for the last, and 2 for each of 3 pieces."""
    monkeypatch.setattr(draining, "PIECE", 4)
    stamps = leave(alias, redis_client, range(10))
    before = link().round_trips
    with cost() as it:
        assert drain(alias, link()) == Drained(alias, rows=10)
    assert (redis_client.exists(*stamps), rows(alias).count()) == (0, 0)
    asked = [word for sql in it.sql if (word := sql.split()[0]) not in {"BEGIN", "COMMIT"}]
    assert asked == ["SELECT", *["SELECT", "DELETE"] * 3]
    assert link().round_trips - before <= 3 + 2


def test_many_stamps_go_in_few_round_trips(alias, redis_client):
    """2,500 rows, each of another transaction, are 13 pieces and as many round trips."""
    link().ask_many(b"", 0)
    leave(alias, redis_client, range(1))
    drain(alias, link())
    stamps = leave(alias, redis_client, range(2500))
    before = link().round_trips
    assert drain(alias, link()) == Drained(alias, rows=2500)
    assert link().round_trips - before == 13
    assert redis_client.exists(*stamps) == 0


def test_a_write_that_may_be_under_way(alias, redis_client):
    """The row of a write that may not be over is dropped at each drain, and stays until it is."""
    stamps = leave(alias, redis_client, [1], until=60)
    assert drain(alias, link()) == Drained(alias, kept=1)
    assert redis_client.exists(*stamps) == 0
    redis_client.mset(dict.fromkeys(stamps, b"t87654321"))
    with travel(61):
        assert drain(alias, link()) == Drained(alias, rows=1)
    assert (redis_client.exists(*stamps), rows(alias).count()) == (0, 0)


def test_another_prefix_and_another_tenant(alias, redis_client, settings):
    """A row holds its whole key: it is dropped where it was written, whatever PREFIX and TENANT are by now."""
    stamps = leave(alias, redis_client, [1], prefix="former")
    stamps += leave(f"{alias}", redis_client, [2], prefix="rt:s")
    settings.REDIS_TOOLKIT_PREFIX = "present"
    settings.REDIS_TOOLKIT_TENANT = "tests.nobody.has.this"
    assert drain(alias, link()) == Drained(alias, rows=2)
    assert redis_client.exists(*stamps) == 0


def test_redis_is_away(alias, valkey, redis_client):
    """Without Redis nothing is deleted; when it is back, what was left is drained."""
    leave(alias, redis_client, range(3))
    valkey.kill()
    with pytest.raises(StoreUnavailable, match="did not answer"):
        drain(alias, link())
    assert rows(alias).count() == 3
    valkey.start()
    assert drain(alias, link()) == Drained(alias, rows=3)


def test_redis_goes_away_between_two_pieces(alias, valkey, redis_client, monkeypatch):
    """What was dropped before Redis went away is gone, the rest stays: 4 of 10 rows are gone, then 6."""
    monkeypatch.setattr(draining, "PIECE", 4)
    leave(alias, redis_client, range(10))
    pieces = draining._pieces

    def interrupted(*args: Any) -> Iterator[Any]:
        for number, piece in enumerate(pieces(*args)):
            if number == 1:
                valkey.kill()
            yield piece

    monkeypatch.setattr(draining, "_pieces", interrupted)
    with pytest.raises(StoreUnavailable):
        drain(alias, link())
    assert rows(alias).count() == 6
    monkeypatch.setattr(draining, "_pieces", pieces)
    valkey.start()
    assert drain(alias, link()) == Drained(alias, rows=6)


def test_a_writer_commits_between_the_reading_and_the_deleting(alias, redis_client, monkeypatch):
    """1. a drain reads 3 rows  2. another writer commits its own  3. the drain deletes: 3 rows are gone, 1 stays."""
    leave(alias, redis_client, range(3))
    own = draining.unmark_all

    def meanwhile(*args: Any) -> None:
        own(*args)
        elsewhere(lambda: leave(alias, redis_client, [9]))

    monkeypatch.setattr(draining, "unmark_all", meanwhile)
    assert drain(alias, link()) == Drained(alias, rows=3)
    assert (redis_client.exists(f"rt:s:{alias}:app_lesson:id=9"), rows(alias).count()) == (1, 1)
    monkeypatch.setattr(draining, "unmark_all", own)
    assert drain(alias, link()) == Drained(alias, rows=1)


def test_a_write_is_over_between_the_dropping_and_the_deleting(alias, redis_client, monkeypatch):
    """1. a drain drops a row whose write is under way  2. it commits, and is over  3. the drain deletes: it stays."""
    leave(alias, redis_client, [1], until=60)
    own = draining.unmark_all

    def meanwhile(*args: Any) -> None:
        own(*args)
        elsewhere(lambda: rows(alias).update(until=None))

    monkeypatch.setattr(draining, "unmark_all", meanwhile)
    assert drain(alias, link()) == Drained(alias, kept=1)
    assert rows(alias).count() == 1


def test_two_at_once(alias, redis_client, monkeypatch):
    """Two drains that read the same 5 rows: each is deleted once, the numbers add up, and nothing is left."""
    stamps = leave(alias, redis_client, range(5))
    barrier, own = Barrier(2, timeout=20), draining.unmark_all

    def together(*args: Any) -> None:
        barrier.wait()
        own(*args)
        barrier.wait()

    monkeypatch.setattr(draining, "unmark_all", together)
    with ThreadPoolExecutor(2) as pool:
        found = [pool.submit(closing_after, lambda: drain(alias, link())) for _ in range(2)]
    results = [each.result() for each in found]
    assert sorted(each.rows for each in results) == [0, 5]
    assert {(each.kept, each.reason, each.failed) for each in results} == {(0, "", False)}
    assert (redis_client.exists(*stamps), rows(alias).count()) == (0, 0)


def test_beside_a_process_that_looks(alias, redis_client, monkeypatch):
    """1. a process looks, and reads 5 rows  2. another drains them  3. the first drops and deletes: 0 left, no error."""
    stamps = leave(alias, redis_client, range(5))
    own, drained = looks._drop_in_redis, []

    def meanwhile(*args: Any) -> None:
        drained.append(elsewhere(lambda: drain(alias, link())))
        own(*args)

    monkeypatch.setattr(looks, "_drop_in_redis", meanwhile)
    assert looks.look(connections[alias], link(), watch_of(connections[alias]))
    assert drained == [Drained(alias, rows=5)]
    assert (redis_client.exists(*stamps), rows(alias).count()) == (0, 0)


def test_in_a_transaction(alias, redis_client):
    """Inside a transaction its own uncommitted rows would be among those: they are dropped and stay."""
    with transaction.atomic(using=alias):
        stamps = leave(alias, redis_client, [1])
        assert drain(alias, link()) == Drained(alias, 0, 1, "a transaction is open", failed=True)
    assert (redis_client.exists(*stamps), rows(alias).count()) == (0, 1)
    assert drain(alias, link()) == Drained(alias, rows=1)


def test_a_database_without_autocommit(alias, redis_client):
    """Where nothing commits by itself, the drain commits what it deleted."""
    leave(alias, redis_client, range(3))
    with database("by_hand", alias, AUTOCOMMIT=False):
        assert drain("by_hand", link()) == Drained("by_hand", rows=3)
    assert rows(alias).count() == 0


def test_a_database_without_the_table(alias, monkeypatch, caplog):
    """A database without the outbox is told of, with the command that makes it."""
    monkeypatch.setattr(outbox, "TABLE", "nobody_made_it")
    reason = f"it has no outbox (manage.py migrate redis_toolkit --database={alias})"
    for seconds in (0, 60, 120):
        with travel(seconds):
            assert drain(alias, link()) == Drained(alias, reason=reason)
    # Not at each run of a task, for a database that is not ours to migrate.
    assert caplog.text.count("has no outbox (migrate redis_toolkit)") == 1


def test_a_database_that_cannot_be_reached(redis_client):
    """A database that is away is named, and hinders no other."""
    leave("postgres", redis_client, [1])
    with database("gone", "postgres", HOST="127.0.0.1", PORT="1", NAME="elsewhere"):
        gone, *others = [drain("gone", link()), *drain_all(ALIASES)]
        assert gone.failed
        assert gone.reason.startswith("the database did not answer: connection")
        assert "\n" not in gone.reason
    assert others == [Drained("default"), Drained("postgres", rows=1)]


def test_a_replica_that_cannot_be_written_to(redis_client):
    """What a replica still has is dropped, stays, and is nobody's fault."""
    stamps = leave("postgres", redis_client, range(2))
    host = connections["postgres"].settings_dict["HOST"]
    read_only = {"options": "-c default_transaction_read_only=on"}
    with database("replica", "postgres", HOST=f"{host}/", OPTIONS=read_only):
        found = drain("replica", link())
        assert (found.rows, found.kept, found.failed) == (0, 2, False)
        assert found.reason.startswith(
            "its rows could not be deleted: cannot execute DELETE in a read-only transaction"
        )
        assert redis_client.exists(*stamps) == 0
        assert list(drain_all())[1:] == [Drained("postgres", rows=2), Drained("replica")]


def test_rows_that_cannot_be_deleted(redis_client):
    """Where the database itself does not let rows go, somebody has to be told."""
    leave("postgres", redis_client, range(2))
    read_only = {"options": "-c default_transaction_read_only=on"}
    with database("stubborn", "postgres", ENGINE="django.db.backends.postgresql", OPTIONS=read_only):
        databases._primaries["stubborn"] = "stubborn"
        found = drain("stubborn", link())
    assert (found.rows, found.kept, found.failed) == (0, 2, True)


def test_two_names_of_one_database(redis_client):
    """Of all databases each is drained once, under its first name; an entry of DATABASES that is empty is none."""
    leave("default", redis_client, range(2))
    with database("twin", "default"), database("nothing", "default", ENGINE="django.db.backends.dummy", NAME=""):
        assert list(drain_all()) == [Drained("default", rows=2), Drained("postgres")]
        assert list(drain_all(["twin", "default"])) == [Drained("twin")]
