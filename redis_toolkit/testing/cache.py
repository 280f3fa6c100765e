"""For tests of what is cached: a keyspace of the test's own, and counts of hits and round trips.

Works with Django's test cases and with pytest alike; :mod:`redis_toolkit.testing.fixtures` has the same as fixtures.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from django.db import connections
from django.test import SimpleTestCase, TestCase
from django.test.utils import override_settings

from redis_toolkit.cache import rehearsals, trust
from redis_toolkit.cache.watch import watch_of
from redis_toolkit.conf import settings
from redis_toolkit.core import keys, keyspaces
from redis_toolkit.core.connections import link, pack, reset
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


def isolated_cache() -> AbstractContextManager[str]:
    """Give the block a keyspace of its own, empty before and gone afterwards; the value is its prefix.

    The cache is on, whatever ``REDIS_TOOLKIT_ENABLED`` says. The transactions that ``TestCase`` (and pytest-django's
    ``db``) put around a test count as none in it, so reads are cached and writes invalidate as they do in production.
    May be nested. Raises StoreUnavailable if Redis does not answer: a test that cannot be made has not passed.
    """
    return _keyspace(is_promised=True)


@contextmanager
def _keyspace(*, is_promised: bool) -> Iterator[str]:
    had_lost_redis = _begin_afresh(is_promised=is_promised)
    prefix = f"{settings.PREFIX}.test-{secrets.token_hex(4)}"
    with override_settings(REDIS_TOOLKIT_PREFIX=prefix, REDIS_TOOLKIT_ENABLED=True):
        aside = {each: watch_of(each).lay_aside() for each in connections.all(initialized_only=True)}
        rehearsals.begin()
        try:
            yield prefix
        finally:
            for each in connections.all(initialized_only=True):
                watch_of(each).settle(each)
            rehearsals.end()
            # 1. the test writes, and what it wrote is settled  2. its keyspace ends, its transaction goes on  3. a read
            # would store what is never committed under the project's own prefix. So till then nothing is read there.
            for each in connections.all(initialized_only=True):
                if rehearsals.is_a_tests(each):
                    watch_of(each).take_back(aside.get(each), each)
            _drop_keys()
            if had_lost_redis:
                trust.regained()
    if rehearsals.is_on():
        # The keyspace around this one heard nothing of what was written in it.
        _drop_keys()


def _drop_keys() -> None:
    with suppress(StoreUnavailable):
        keyspaces.drop(link(), keyspaces.scan(link(), keys.pattern()))


def _begin_afresh(*, is_promised: bool) -> bool:
    """See that Redis answers, and forget an outage that another test made. Whether there was one."""
    if link().breaker.is_open:
        reset()
    try:
        link().ask(pack(("PING",)))
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
    """Fail unless this thread asks Redis ``number`` times in the block. Raises AssertionError.

    A write asks once more when it is over; in a ``TestCase`` that is counted here although it is done later.
    """
    _settle()
    before = link().round_trips
    yield
    _settle()
    seen = link().round_trips - before
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
        """Begin the keyspace of the class."""
        # Before the test: its fixtures may still have to say where Redis is.
        cls.enterClassContext(_keyspace(is_promised=False))
        super().setUpClass()

    def setUp(self) -> None:
        """Begin the keyspace of the test."""
        super().setUp()
        self.enterContext(isolated_cache())

    assert_cache_hits = staticmethod(assert_cache_hits)
    assert_redis_round_trips = staticmethod(assert_redis_round_trips)
    run_commit_hooks = staticmethod(run_commit_hooks)
