"""Cache-aside reading: how an answer comes from Redis, or from the database and into Redis.

1. One MGET: the entry and the stamps it depends on. The entry is valid: a hit.
2. A stamp is marked: a writer is at work. The database answers and nothing is stored.
3. Missing stamps are made and all are read *before* the database is.
4. The database is read, and the entry stored under the stamps of step 3.

Between 3 and 4 a reader may wait for another that loads the same: see ``flights.py``.

The race that step 3 wins: 1. a reader reads the old row  2. a writer marks, commits, unmarks  3. the reader stores the
old row. Its entry carries the token from before the mark, so it is born dead.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Generator, Sequence
from typing import Any, Final, NamedTuple, TypeAlias, cast

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from redis_toolkit.cache import debts, looks, trust
from redis_toolkit.cache.entries import MAX_STAMPS, Body, build, open_entry
from redis_toolkit.cache.flights import Flight
from redis_toolkit.cache.freshness import jittered
from redis_toolkit.cache.stamps import all_tokens, ensure
from redis_toolkit.cache.watch import Watch, watch_of
from redis_toolkit.conf import settings
from redis_toolkit.core.clock import monotonic, now
from redis_toolkit.core.connections import Link, link, pack
from redis_toolkit.exceptions import CodecError, StoreUnavailable
from redis_toolkit.signals import cache_failed, cache_read

__all__ = ["Course", "Loaded", "Question", "Reader", "Source", "advance", "ask", "report", "steps", "unreadable"]

_log = logging.getLogger("redis_toolkit.cache")
#: Stored in place of the columns' fingerprint for answers that are no rows.
NO_COLUMNS: Final = b"\0" * 8
_NOTHING: Final = object()


class Source(NamedTuple):
    """Where answers come from: the alias that is read, and the one whose writes the stamps speak of."""

    read: str
    logical: str

    @property
    def is_replica(self) -> bool:
        """Whether the reads go to another alias than the writes."""
        return self.read != self.logical


class Loaded(NamedTuple):
    """What a load gave: the caller's ``answer``, its ``payload`` (None: absent, or nothing to store if ``error``).

    ``stamps`` is how many of the question's stamps it depends on, from the first (None: all of them). ``brief`` says
    that it tells of something missing, which lives for ``NULL_TTL`` at most. ``transcript`` is a key and what is stored
    there beside the entry, and as long. ``is_kept`` False: it is for this caller alone, and nothing is stored.
    """

    answer: Any
    payload: bytes | None
    stamps: int | None = None
    error: CodecError | None = None
    brief: bool = False
    transcript: tuple[str, bytes] | None = None
    is_kept: bool = True


class Question:
    """A cacheable question: where its answer lies, what it depends on, how to read it, how to load it."""

    __slots__ = ("fingerprint", "key", "kind", "load", "model", "read", "stamps", "tables", "ttl")

    def __init__(  # noqa: PLR0913, PLR0917 - a record
        self, kind: str, model: Any, key: str, stamps: Sequence[str], tables: Sequence[str], ttl: float,
        fingerprint: bytes, read: Callable[[bytes | None], Any], load: Callable[[], Loaded],
    ) -> None:  # fmt: skip
        self.kind = kind
        self.model = model
        self.key = key
        self.stamps = stamps
        self.tables = tables
        self.ttl = ttl
        self.fingerprint = fingerprint
        self.read = read
        self.load = load


#: A read under way: stops where something must be loaded, is sent it, and returns the answer.
Course: TypeAlias = Generator[None, Loaded | None, Any]


class Reader:
    """The means of one cached read: the connections that read and write, what is under way, and the link to Redis."""

    __slots__ = ("connection", "link", "watch", "writer")

    def __init__(self, source: Source) -> None:
        self.connection: BaseDatabaseWrapper = connections[source.read]
        self.writer: BaseDatabaseWrapper = connections[source.logical] if source.is_replica else self.connection
        self.watch: Watch = watch_of(self.writer)
        self.link: Link = link()

    def may_ask(self, tables: Sequence[str]) -> bool:
        """Whether the cache may answer: it is on, trusted, and this transaction has not written these tables."""
        self.watch.settle(self.writer)
        if not settings.ENABLED or self.link.breaker.is_open or not trust.is_given() or self.watch.wrote(tables):
            return False
        if debts.any_owed():
            try:
                debts.pay(self.link)
            except StoreUnavailable:
                return False
        return looks.may_trust(self.writer, self.link, self.watch)

    def fetch(self, keys: Sequence[str]) -> list[bytes | None] | None:
        """One MGET; None, once reported, if Redis does not answer, or if it is another run that is not trusted yet."""
        try:
            answer: list[bytes | None] = self.link.ask(pack(("MGET", *keys)))
        except StoreUnavailable as error:
            cache_failed.send_robust(sender=None, during="read", error=error)
            return None
        if trust.on_run(self.link.run, self.link.born):
            return answer
        # This connection may be what is old: another learns which run it is.
        self.link.close()
        return None

    def tokens(
        self, stamps: Sequence[str], seen: Sequence[bytes | None], ttl: float, flight: Flight | None = None
    ) -> list[bytes] | None:
        """The tokens to build entries under; None if none must be built: a mark, a snapshot, Redis away.

        In the same round trip ``flight`` is claimed.
        """
        if any(value is not None and value[:1] != b"t" for value in seen):
            return None
        if not watch_of(self.connection).may_fill(self.connection):
            return None
        claim = [] if flight is None else flight.claim()
        known = None not in seen
        if known and not claim:
            return list(seen)  # type: ignore[arg-type]
        try:
            made = ensure(self.link, () if known else stamps, ttl, claim)
        except StoreUnavailable as error:
            cache_failed.send_robust(sender=None, during="store", error=error)
            return None
        if flight is not None and claim:
            flight.hear(made.pop())
        if known:
            return list(seen)  # type: ignore[arg-type]
        return made if all_tokens(made) else None

    def store(self, commands: list[bytes]) -> None:
        """Send the SETs of new entries, in one round trip."""
        if not commands:
            return
        try:
            self.link.ask_many(b"".join(commands), len(commands))
        except StoreUnavailable as error:
            cache_failed.send_robust(sender=None, during="store", error=error)

    def entry(
        self, key: str, fingerprint: bytes, run: bytes, tokens: list[bytes], loaded: Loaded, ttl: float, took: float
    ) -> list[bytes]:
        """The SETs of a new entry and its transcript; none, with a warning, for an answer that cannot be stored."""
        if not loaded.is_kept:
            return []
        if loaded.error is not None:
            _log.warning("An answer was not cached: %s", str(loaded.error))
            cache_failed.send_robust(sender=None, during="store", error=loaded.error)
            return []
        under = tokens if loaded.stamps is None else tokens[: loaded.stamps]
        if len(under) > MAX_STAMPS:
            return []
        data = build(fingerprint, run, under, now() - took, took, loaded.payload)
        if len(data) > settings.MAX_ENTRY_BYTES:
            _log.warning("An answer of %s bytes was not cached (REDIS_TOOLKIT_MAX_ENTRY_BYTES).", len(data))
            return []
        life = min(ttl, settings.NULL_TTL) if loaded.payload is None or loaded.brief else ttl
        # The dice need not be unpredictable: they only keep entries from expiring together.
        expires = jittered(life, settings.TTL_JITTER, random.random())  # noqa: S311
        stored = [(key, data)] if loaded.transcript is None else [(key, data), loaded.transcript]
        return [pack(("SET", name, value, "PX", expires)) for name, value in stored]


def ask(question: Question, source: Source, *, refresh: bool = False) -> Any:
    """The answer to ``question`` from the cache, else from the database. ``refresh`` loads and stores in any case."""
    course = steps(question, source, refresh=refresh)
    is_over, answer = advance(course)
    if not is_over:
        try:
            loaded = question.load()
        except BaseException:
            course.close()
            raise
        _, answer = advance(course, loaded)
    return answer


def advance(course: Course, loaded: Loaded | None = None) -> tuple[bool, Any]:
    """Go on with a read until it wants something loaded, or its end: whether it is over, and then the answer."""
    try:
        course.send(loaded)
    except StopIteration as end:
        return True, end.value
    return False, None


def steps(question: Question, source: Source, *, refresh: bool = False) -> Course:
    """The steps of :func:`ask`. They stop where something must be loaded, once at most, and want to be sent it.

    So whoever has to await what is loaded (see ``awaiting.py``) goes the same way as whoever calls it.
    """
    began = monotonic()
    reader = Reader(source)
    seen = reader.fetch((question.key, *question.stamps)) if reader.may_ask(question.tables) else None
    answer = _NOTHING if refresh else _answer(reader, question, seen)
    flight = tokens = None
    if answer is _NOTHING and seen is not None:
        flight = Flight(question.key, None if refresh else seen[0])
        tokens = reader.tokens(question.stamps, seen[1:], question.ttl, flight)
        if flight.is_anothers and tokens is not None:
            flight.wait(reader.link)
            # Whatever came of it, this is a read like any other, that begins now.
            seen = reader.fetch((question.key, *question.stamps))
            answer, tokens = _answer(reader, question, seen), None
            if answer is _NOTHING and seen is not None:
                tokens = reader.tokens(question.stamps, seen[1:], question.ttl)
    if answer is not _NOTHING:
        report(question.kind, question.model, "hit", source, began)
        return answer
    if tokens is None:
        loaded = cast("Loaded", (yield))
        report(question.kind, question.model, "bypass", source, began)
        return loaded.answer
    run = reader.link.run
    started = monotonic()
    loaded = cast("Loaded", (yield))
    took = monotonic() - started
    stored = reader.entry(question.key, question.fingerprint, run, tokens, loaded, question.ttl, took)
    reader.store([*stored, *(flight.landed() if flight is not None else ())])
    report(question.kind, question.model, "miss", source, began)
    return loaded.answer


def _answer(reader: Reader, question: Question, seen: list[bytes | None] | None) -> Any:
    """What a valid entry says, or _NOTHING."""
    body = None if seen is None else _open(reader, question, seen[0], seen[1:])
    if body is not None:
        try:
            return question.read(body.payload)
        except CodecError as error:
            unreadable(question.model, error)
    return _NOTHING


def _open(reader: Reader, question: Question, entry: bytes | None, stamps: list[bytes | None]) -> Body | None:
    if entry is None:
        return None
    try:
        return open_entry(entry, question.fingerprint, reader.link.run, stamps)
    except CodecError as error:
        unreadable(question.model, error)
        return None


def unreadable(model: Any, error: Exception) -> None:
    """Warn that an entry could not be read: for the caller it is a miss."""
    _log.warning("A cached answer of %s could not be read and is loaded again: %s", model, str(error))
    cache_failed.send_robust(sender=model, during="read", error=error)


def report(kind: str, model: Any, outcome: str, source: Source, began: float) -> None:
    """Tell watchers how a read was answered."""
    if cache_read.receivers:
        cache_read.send_robust(sender=model, kind=kind, outcome=outcome, alias=source.read, seconds=monotonic() - began)
