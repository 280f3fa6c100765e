"""For tests of what is cached: a keyspace of the test's own, and counts of hits and round trips.

Works with Django's test cases and with pytest alike; :mod:`redis_toolkit.testing.fixtures` has the same as fixtures.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import SimpleTestCase, TestCase
from django.test.utils import override_settings

from redis_toolkit.cache import debts, rehearsals, trust
from redis_toolkit.cache.watch import watch_of
from redis_toolkit.conf import settings
from redis_toolkit.core import keys, keyspaces, scripts
from redis_toolkit.core.connections import link, reset
from redis_toolkit.exceptions import StoreUnavailable
from redis_toolkit.signals import cache_read

__all__ = [
    "IsolatedCacheMixin",
    "Read",
    "assert_cache_hits",
    "assert_redis_round_trips",
    "isolated_cache",
    "run_commit_hooks",
]


@dataclass(frozen=True, slots=True)
class Read:
    """One cached read: ``model`` is its label ("" for a function), ``kind`` and ``outcome`` as in ``cache_read``."""

    model: str
    kind: str
    outcome: str

    def __str__(self) -> str:
        return f"{self.kind} of {self.model or 'a function'}: {self.outcome}"


# A keyspace of one's own


@contextmanager
def isolated_cache() -> Iterator[str]:
    """Give the block a keyspace of its own, empty before and gone afterwards; the value is its prefix.

    The cache is on, whatever ``REDIS_TOOLKIT_ENABLED`` says. The transactions that ``TestCase`` (and pytest-django's
    ``db``) put around a test count as none in it, so reads are cached and writes invalidate as they do in production.
    May be nested. Settings changed in the block must be changed back in it, as ``override_settings`` does (the fixture
    goes with pytest-django's ``settings``). Raises StoreUnavailable if Redis does not answer: a test that cannot be
    made has not passed.
    """
    with ExitStack() as stack:

        def put(values: dict[str, Any]) -> None:
            stack.enter_context(override_settings(**values))

        yield stack.enter_context(keyspace(put, is_promised=True))


@contextmanager
def keyspace(put: Callable[[dict[str, Any]], None], *, is_promised: bool) -> Iterator[str]:
    """What :func:`isolated_cache` does, for whoever has a way of their own to ``put`` Django settings by name.

    They are put at the beginning and again at the end, so others may be put in between and taken away in any order
    that is their owner's. ``is_promised``: whether Redis must answer.
    """
    had_lost_redis = _begin_afresh(is_promised=is_promised)
    prefix = f"{settings.PREFIX}.test-{secrets.token_hex(4)}"
    around, own = _chosen(), _wanted(prefix)
    put(own)
    try:
        # Settled first, for a transaction that was over before, or lost its connection, is none to go on with.
        _settle()
        aside = {each: watch_of(each).lay_aside() for each in connections.all(initialized_only=True)}
        rehearsals.begin()
        try:
            yield prefix
        finally:
            _end(aside)
            if had_lost_redis:
                trust.regained()
    finally:
        # Not what a class has put on top of ours by its own override_settings.
        put({name: around[name] for name, value in _chosen().items() if value == own[name]})
    if rehearsals.is_on():
        # The keyspace around this one heard nothing of what was written in it.
        _drop_keys()


def _chosen() -> dict[str, Any]:
    return {
        "REDIS_TOOLKIT_PREFIX": settings.PREFIX,
        "REDIS_TOOLKIT_ENABLED": settings.ENABLED,
        "REDIS_TOOLKIT_STATS": settings.STATS,
    }


def _wanted(prefix: str) -> dict[str, Any]:
    # Without statistics: they are told by a thread, which might still do so when the keyspace is gone.
    return {"REDIS_TOOLKIT_PREFIX": prefix, "REDIS_TOOLKIT_ENABLED": True, "REDIS_TOOLKIT_STATS": False}


def _end(aside: dict[BaseDatabaseWrapper, Any]) -> None:
    _settle()
    rehearsals.end()
    # 1. the test writes, and what it wrote is settled  2. its keyspace ends, its transaction goes on  3. a read would
    # store what is never committed under the project's own prefix. So till then nothing is read there.
    for each in connections.all(initialized_only=True):
        if each.in_atomic_block or aside.get(each) is not None:
            watch_of(each).take_back(aside.get(each), each)
    _drop_keys()


def _drop_keys() -> None:
    for alias in {
        settings.ALIAS,
        *filter(None, (settings.THROTTLE_ALIAS, settings.DURABLE_ALIAS, settings.STATS_ALIAS)),
    }:
        with suppress(StoreUnavailable):
            keyspaces.drop(link(alias), keyspaces.scan(link(alias), keys.pattern()))


def _begin_afresh(*, is_promised: bool) -> bool:
    """See that Redis answers and has the scripts, and forget an outage that another test made. Whether there was one.

    With the scripts, and owed nothing, so that what a test counts does not depend on what was done before it.
    """
    if link().breaker.is_open:
        reset()
    try:
        scripts.load(link())
        debts.pay(link())
    except StoreUnavailable as error:
        if is_promised:
            message = f"A test of the cache needs Redis, and there is none: {error} redis_toolkit.testing has servers."
            raise StoreUnavailable(message) from error
    lost = not trust.is_given()
    if lost:
        trust.forget()
    return lost


# Counting


@contextmanager
def assert_cache_hits(hits: int, *, misses: int | None = None, bypasses: int | None = None) -> Iterator[list[Read]]:
    """Fail unless the block's cached reads end in so many hits; and so many misses and bypasses, if they are given.

    Counted in every thread of this process. The value is the list of reads, which grows as they are made. Raises
    AssertionError, naming each read.
    """
    reads: list[Read] = []

    def heard(sender: Any, kind: str, outcome: str, **_: Any) -> None:
        reads.append(Read("" if sender is None else sender._meta.label, kind, outcome))

    cache_read.connect(heard)
    try:
        yield reads
    finally:
        cache_read.disconnect(heard)
    counted = Counter(each.outcome for each in reads)
    wanted = {"hit": hits, "miss": misses, "bypass": bypasses}
    wrong = [
        f"{number} of outcome {outcome!r} expected, {counted[outcome]} seen"
        for outcome, number in wanted.items()
        if number is not None and counted[outcome] != number
    ]
    if wrong:
        seen = [f"{at}. {each}" for at, each in enumerate(reads, 1)]
        raise AssertionError("\n  ".join(["; ".join(wrong) + ".", *(seen or ["(No cached read was made.)"])]))


@contextmanager
def assert_redis_round_trips(number: int) -> Iterator[None]:
    """Fail unless the threads of this process ask Redis ``number`` times in the block. Raises AssertionError.

    A write asks once more when it is over; in a ``TestCase`` that is counted here although it is done later. (Of the
    writes of other threads, the ORM's in an asynchronous test for one, it is counted when it is done.)
    """
    _settle()
    before = link().total_round_trips
    yield
    _settle()
    seen = link().total_round_trips - before
    if seen != number:
        raise AssertionError(f"{number} round trips to Redis expected, {seen} seen.")


def _settle() -> None:
    for each in connections.all(initialized_only=True):
        watch_of(each).settle(each)


@contextmanager
def run_commit_hooks() -> Iterator[None]:
    """Run what the block gives to ``transaction.on_commit()``, on every database, when the block ends.

    For ``TestCase``, whose transaction never commits. Where transactions commit, they have run already, and once.
    """
    with ExitStack() as stack:
        for alias in connections:
            stack.enter_context(TestCase.captureOnCommitCallbacks(using=alias, execute=True))
        yield


# For test cases


class IsolatedCacheMixin(SimpleTestCase):
    """Gives each test of a class, and its ``setUpTestData``, a keyspace of its own. Put it before the test case."""

    @classmethod
    def setUpClass(cls) -> None:
        """Set the class up in a keyspace that ends with it: whoever forgets our ``setUp`` shares nothing."""

        def put(values: dict[str, Any]) -> None:
            # For the class, whose own override_settings come between the two.
            cls.enterClassContext(override_settings(**values))

        # Not promised before the test: its fixtures may still have to say where Redis is.
        with keyspace(put, is_promised=False):
            super().setUpClass()

    def setUp(self) -> None:
        """Begin the keyspace of the test."""
        super().setUp()
        self.enterContext(isolated_cache())

    assert_cache_hits = staticmethod(assert_cache_hits)
    assert_redis_round_trips = staticmethod(assert_redis_round_trips)
    run_commit_hooks = staticmethod(run_commit_hooks)
