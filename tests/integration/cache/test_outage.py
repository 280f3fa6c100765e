"""Redis gone, silent, and back again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connections, transaction
from redis.connection import AbstractConnection

from redis_toolkit.cache import debts, transactions, trust
from redis_toolkit.core.clock import travel
from redis_toolkit.core.connections import link, pack
from redis_toolkit.exceptions import StoreUnavailable
from redis_toolkit.models import Outbox
from redis_toolkit.signals import breaker_changed, cache_invalidated, cache_read
from redis_toolkit.testing import ValkeyServer
from tests.app.models import Lesson
from tests.integration.cache.term import Term

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

LONG = 60.0
SOON = 0.01
#: Seconds after which Redis is trusted again: more than the two time-outs and the breaker's pause.
TRUSTED = LONG + 2
#: And after which it is not yet, however long a test has taken till then.
DOUBTED = LONG - 20


@pytest.fixture(autouse=True)
def outage(settings: Any, valkey: ValkeyServer) -> None:
    """A server of one's own, given a second to answer; a breaker that opened stays open until a test says else."""
    settings.REDIS_TOOLKIT_READ_TIMEOUT = 1
    settings.REDIS_TOOLKIT_BREAKER_RETRY = LONG


@pytest.fixture
def dial(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How many connections this thread tried to open since it was last asked."""
    dialled: list[int] = []
    own = AbstractConnection.connect

    def counting(connection: AbstractConnection) -> None:
        dialled.append(threading.get_ident())
        own(connection)

    monkeypatch.setattr(AbstractConnection, "connect", counting)

    def since() -> int:
        number = dialled.count(threading.get_ident())
        dialled.clear()
        return number

    return since


@contextmanager
def change_to(state: str) -> Iterator[None]:
    """Wait, after the block, until the breaker has changed to ``state``."""
    changed = threading.Event()

    def listen(state: str, **_: Any) -> None:
        if state == wanted:
            changed.set()

    wanted = state
    breaker_changed.connect(listen)
    try:
        yield
        assert changed.wait(10)
    finally:
        breaker_changed.disconnect(listen)


def everything(term: Term) -> list[Any]:
    """One read of each kind, and a write and a transaction among them."""
    five = term.lessons[5].pk
    with transaction.atomic(using=term.alias):
        lesson = term.again(5)
        lesson.title += "!"
        lesson.save()
    term.plain(Lesson).filter(pk=five).update(period=50)
    return [
        term.cached.get(pk=five).title,
        term.cached.in_bulk([five])[five].title,
        [each.title for each in term.cached.filter(group=term.groups[5])],
        term.cached.filter(period=50).count(),
        term.cached.filter(period=50).exists(),
    ]


@pytest.mark.parametrize("how", ["kill", "pause"])
def test_nobody_notices(term, valkey, cost, how):
    """Reads, writes and transactions go on without Redis, exact, and no exception reaches the caller."""
    everything(term)
    getattr(valkey, how)()
    with cost() as it:
        answers = [everything(term) for _ in range(3)]
    for times, found in enumerate(answers, 2):
        title = "Lesson 5" + "!" * times
        assert found == [title, title, [title], 1, True]
    assert {outcome for _, outcome in it.outcomes} == {"bypass"}
    assert len(it.outcomes) == 15
    assert link().breaker.is_open
    if how == "pause":
        valkey.resume()
    else:
        valkey.start()
    link().breaker.close()
    with travel(TRUSTED):
        assert [everything(term), everything(term)][0][0] == "Lesson 5!!!!!"
    assert not debts.any_owed()


def test_an_open_breaker_costs_nothing(term, valkey, cost, dial):
    """Refused 3 times, one by each read, the breaker opens: further reads make 0 attempts and send nothing."""
    read = term.cached.filter(group=term.groups[5]).count
    read()
    valkey.kill()
    dial()
    with cost() as it:
        read()
        # The old connection was found broken, and another one could not be opened.
        assert dial() == 1
        read()
        assert dial() == 1
        assert not link().breaker.is_open
        read()
        assert dial() == 1
    assert link().breaker.is_open
    assert [during for during, _ in it.failures] == ["read"] * 3
    before = link().round_trips
    with cost() as it:
        assert [read() for _ in range(10)] == [1] * 10
    assert (dial(), link().round_trips - before, it.failures) == (0, 0, [])
    assert it.outcomes == [("count", "bypass")] * 10
    valkey.start()


def test_silence_opens_the_breaker_at_once(term, valkey, cost, dial):
    """One time-out is enough: the second read makes 0 attempts."""
    read = term.cached.filter(group=term.groups[5]).count
    read()
    valkey.pause()
    dial()
    with cost() as it:
        read()
        assert link().breaker.is_open
        read()
    assert dial() == 0
    assert len(it.failures) == 1
    valkey.resume()


def test_what_is_owed_is_paid_before_hits_are_trusted(term, valkey, cost, settings):
    """A write that Redis did not hear of: when it is back, its old entry is no hit, before nor after the breaker."""
    settings.REDIS_TOOLKIT_BREAKER_RETRY = SOON
    lesson = term.lessons[5]
    read = lambda: term.cached.get(pk=lesson.pk).title  # noqa: E731 - it is asked six times
    assert (read(), read()) == ("Lesson 5", "Lesson 5")
    with change_to("open"):
        valkey.pause()
        with cost() as it:
            term.plain(Lesson).filter(pk=lesson.pk).update(title="new")
    assert [during for during, _ in it.failures] == ["mark", "unmark"]
    assert Outbox.objects.using(term.alias).count() == 1
    assert read() == "new"
    with change_to("closed"):
        valkey.resume()
    with travel(TRUSTED), cost() as it:
        assert (read(), read()) == ("new", "new")
    assert it.outcomes == [("get", "miss"), ("get", "hit")]
    assert Outbox.objects.using(term.alias).count() == 0


def test_what_is_owed_is_paid_by_the_next_read(term, valkey, cost, redis_client):
    """With the breaker still closed, the read that finds Redis back pays first: 1 round trip more."""
    lesson = term.lessons[5]
    assert term.cached.get(pk=lesson.pk).title == "Lesson 5"
    debts.owe([key.decode() for key in redis_client.keys("rt:s:*id=*")], bytes(12))
    before = link().round_trips
    with cost() as it:
        term.cached.get(pk=lesson.pk)
    assert it.outcomes == [("get", "miss")]
    assert link().round_trips - before == 4
    assert not debts.any_owed()


def test_a_server_that_was_restarted(term, valkey, cost, redis_client):
    """After a restart nothing is left and nothing fails: first the database answers, then a miss, then hits."""
    read = term.cached.filter(group=term.groups[5]).count
    read()
    valkey.kill()
    valkey.start()
    with cost() as it:
        assert (read(), read()) == (1, 1)
        with travel(TRUSTED):
            assert (read(), read()) == (1, 1)
    assert it.outcomes == [("count", "bypass")] * 2 + [("count", "miss"), ("count", "hit")]
    assert it.failures == []


@pytest.mark.parametrize("how", ["restart", "breaker"])
def test_others_are_given_time_to_find_redis(term, valkey, cost, how):
    """1. our breaker closes  2. a process whose breaker is open writes  3. ours closes its eyes until it cannot be."""
    read = lambda: term.cached.get(pk=term.lessons[5].pk).title  # noqa: E731 - it is asked often
    read()
    if how == "restart":
        valkey.kill()
        valkey.start()
    else:
        with change_to("open"):
            valkey.pause()
            assert read() == "Lesson 5"
        valkey.resume()
        link().breaker.close()
    assert (read(), read()) == ("Lesson 5", "Lesson 5")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transactions, "link", lambda: (_ for _ in ()).throw(StoreUnavailable()))
        term.plain(Lesson).filter(pk=term.lessons[5].pk).update(title="new")
    with cost() as it:
        assert (read(), read()) == ("new", "new")
        with travel(DOUBTED):
            assert read() == "new"
        with travel(TRUSTED):
            assert (read(), read()) == ("new", "new")
    assert [outcome for _, outcome in it.outcomes] == ["bypass"] * 3 + ["miss", "hit"]


def test_a_breaker_that_closed_unheard(term, cost):
    """A process that was told of the opening only (forked meanwhile, say) trusts again after the same while."""
    read = term.cached.filter(group=term.groups[5]).count
    read()
    trust.lost()
    with cost() as it:
        read()
        with travel(TRUSTED):
            read()
    assert [outcome for _, outcome in it.outcomes] == ["bypass", "hit"]


def test_two_threads_and_a_server_that_changed_its_name(term, valkey, cost, redis_client):
    """1. the server takes another replication id  2. one thread knows  3. the other's old connection is given up: once."""
    read = term.cached.filter(group=term.groups[5]).count
    read()
    name = link().run
    # What a primary does that was without replicas for an hour; here by having been one for a moment.
    redis_client.replicaof("127.0.0.1", "1")
    redis_client.replicaof("NO", "ONE")
    found = []

    def other() -> None:
        try:
            found.append(read())
            # (A connection that found another run is not kept.)
            link().ask(pack(("PING",)))
            found.append(link().run)
        finally:
            link().close()
            connections.close_all()

    thread = threading.Thread(target=other)
    thread.start()
    thread.join(10)
    count, renamed = found
    assert count == 1
    assert renamed not in {name, b""}
    with travel(TRUSTED), cost() as it:
        assert [read() for _ in range(3)] == [1, 1, 1]
    # The first on the old connection, which is closed; then what was stored under the old name is no hit.
    assert [outcome for _, outcome in it.outcomes] == ["bypass", "miss", "hit"]
    assert link().run == renamed


def test_what_another_run_of_the_server_held(term, valkey, cost, redis_client):
    """Entries and stamps that a restarted server still has are no hits: it may have lost a mark among them."""
    read = term.cached.filter(group=term.groups[5]).count
    read()
    kept = {key: redis_client.dump(key) for key in redis_client.keys("rt:*")}
    redis_client.close()
    valkey.kill()
    valkey.start()
    for key, value in kept.items():
        redis_client.restore(key, 600_000, value)
    read()
    with travel(TRUSTED), cost() as it:
        assert (read(), read()) == (1, 1)
    assert it.outcomes == [("count", "miss"), ("count", "hit")]


def test_a_server_that_is_full(term, valkey, cost, redis_client):
    """A server that takes no more entries: misses, with a signal each, and no exception."""
    read = term.cached.filter(group=term.groups[5]).count
    read()
    redis_client.config_set("maxmemory", 1)
    with cost() as it:
        assert term.cached.filter(group=term.groups[6]).count() == 1
        term.again(5).save()
        assert read() == 1
    assert {outcome for _, outcome in it.outcomes} == {"bypass"}
    assert len(it.failures) >= 3
    redis_client.config_set("maxmemory", 0)
    link().breaker.close()
    with travel(TRUSTED), cost() as it:
        assert (read(), read()) == (1, 1)
    assert it.outcomes == [("count", "miss"), ("count", "hit")]
    assert not debts.any_owed()


def test_a_receiver_that_writes_when_redis_goes(term, valkey):
    """1. a read pays what is owed and finds Redis gone  2. a receiver writes, and so owes itself: nobody waits for ever."""
    written = []

    def alarm(state: str, **_: Any) -> None:
        written.append(term.plain(Lesson).filter(pk=term.lessons[5].pk).update(title=state))

    term.cached.get(pk=term.lessons[5].pk)
    debts.owe([f"rt:s:{term.alias}:app_lesson"], bytes(12))
    valkey.kill()
    breaker_changed.connect(alarm)
    try:
        for _ in range(5):
            assert term.cached.filter(group=term.groups[5]).count() == 1
    finally:
        breaker_changed.disconnect(alarm)
    assert written == [1]


def test_a_receiver_that_raises(term, caplog):
    """What a watcher raises is logged, and hurts nobody's read or write."""

    def broken(**_: Any) -> None:
        raise ZeroDivisionError

    signals = (cache_read, cache_invalidated)
    for signal in signals:
        signal.connect(broken)
    try:
        term.again(5).save()
        assert term.cached.get(pk=term.lessons[5].pk).title == "Lesson 5"
    finally:
        for signal in signals:
            signal.disconnect(broken)
    assert "ZeroDivisionError" in caplog.text
