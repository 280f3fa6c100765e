"""The means of cache-aside reading, for ``asking.py``: what is asked, what was loaded, the exchanges with Redis."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from redis_toolkit.cache import debts, looks, trust
from redis_toolkit.cache.entries import MAX_STAMPS, build
from redis_toolkit.cache.flights import Family, Flight
from redis_toolkit.cache.freshness import Terms, jittered
from redis_toolkit.cache.stamps import all_tokens, ensure
from redis_toolkit.cache.watch import Watch, watch_of
from redis_toolkit.conf import settings
from redis_toolkit.core.clock import now
from redis_toolkit.core.connections import Link, link, pack
from redis_toolkit.core.scripts import run
from redis_toolkit.exceptions import CodecError, StoreUnavailable
from redis_toolkit.signals import cache_failed
from redis_toolkit.structures.bloom import Filter

__all__ = ["Loaded", "Question", "Reader", "Source", "unreadable"]

_log = logging.getLogger("redis_toolkit.cache")
#: Stored in place of the columns' fingerprint for answers that are no rows.
NO_COLUMNS: Final = b"\0" * 8


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

    @property
    def is_for_all(self) -> bool:
        """Whether others may be given it as well."""
        return self.is_kept and self.error is None


#: A filter, and the member of it (a list of one) without which the answer is *there is no such row*.
Absent = tuple[Filter, Sequence[str]]


class Question:
    """A cacheable question: where its answer lies, what it depends on, for how long, how to read it, how to load it.

    ``told``: gives it as plain values (its kind first), by which another process can ask it; None, or gives None, if
    that cannot be. ``name``, and what ``pins`` gives, are for watchers, as in ``signals.cache_read``.
    """

    __slots__ = (
        "absent", "fingerprint", "key", "kind", "load", "model", "name", "pins", "read", "stamps", "tables", "terms",
        "told",
    )  # fmt: skip

    def __init__(  # noqa: PLR0913, PLR0917 - a record
        self, kind: str, model: Any, key: str, stamps: Sequence[str], tables: Sequence[str], terms: Terms,
        fingerprint: bytes, read: Callable[[bytes | None], Any], load: Callable[[], Loaded],
        absent: Absent | None = None, told: Callable[[], list[Any] | None] | None = None,
        name: str = "", pins: Callable[[], tuple[str, ...]] | None = None,
    ) -> None:  # fmt: skip
        self.absent = absent
        self.told = told
        self.kind = kind
        self.model = model
        self.key = key
        self.stamps = stamps
        self.tables = tables
        self.terms = terms
        self.fingerprint = fingerprint
        self.read = read
        self.load = load
        self.name = name
        self.pins = pins

    @property
    def ttl(self) -> float:
        """Seconds an answer may live."""
        return self.terms.ttl or settings.CACHE_TTL

    @property
    def family(self) -> Family:
        """What kind of load this is, as far as how long it takes can be expected to be alike."""
        return self.kind, self.fingerprint, tuple(self.tables)


class Reader:
    """The means of one cached read: the connections that read and write, what is under way, and the link to Redis.

    ``why``: for what reason Redis was not asked, or nothing may be stored (as ``signals.cache_read`` has it; empty:
    none). ``stored``: how many bytes of entries were made to be stored.
    """

    __slots__ = ("connection", "link", "stored", "watch", "why", "writer")

    def __init__(self, source: Source) -> None:
        self.connection: BaseDatabaseWrapper = connections[source.read]
        self.writer: BaseDatabaseWrapper = connections[source.logical] if source.is_replica else self.connection
        self.watch: Watch = watch_of(self.writer)
        self.link: Link = link()
        self.stored = 0
        self.why = ""

    def may_ask(self, tables: Sequence[str]) -> bool:
        """Whether the cache may answer: it is on, trusted, and this transaction has not written these tables."""
        self.watch.settle(self.writer)
        why = ""
        if not settings.ENABLED:
            why = "off"
        elif self.link.breaker.is_open:
            why = "breaker"
        elif not trust.is_given():
            why = "untrusted"
        elif self.watch.wrote(tables):
            why = "transaction"
        elif debts.any_owed() and not self._pays():
            why = "outage"
        elif not looks.may_trust(self.writer, self.link, self.watch):
            why = "untrusted"
        self.why = why
        return not why

    def _pays(self) -> bool:
        """Whether Redis has been told what it was not told in time."""
        try:
            debts.pay(self.link)
        except StoreUnavailable:
            return False
        return True

    def fetch(self, keys: Sequence[str]) -> list[bytes | None] | None:
        """One MGET; None, once reported, if Redis does not answer, or if it is another run that is not trusted yet."""
        try:
            answer: list[bytes | None] = self.link.ask(pack(("MGET", *keys)))
        except StoreUnavailable as error:
            cache_failed.send_robust(sender=None, during="read", error=error)
            self.why = "outage"
            return None
        if trust.on_run(self.link.run, self.link.born):
            return answer
        # This connection may be what is old: another learns which run it is.
        self.link.close()
        self.why = "untrusted"
        return None

    def tokens(
        self, stamps: Sequence[str], seen: Sequence[bytes | None], ttl: float, flight: Flight | None = None
    ) -> list[bytes] | None:
        """The tokens to build entries under; None if none must be built: a mark, a snapshot, Redis away.

        In the same round trip ``flight`` is claimed.
        """
        is_marked = any(value is not None and value[:1] != b"t" for value in seen)
        if is_marked or not watch_of(self.connection).may_fill(self.connection):
            self.why = "writing" if is_marked else "snapshot"
            return None
        claim = [] if flight is None else flight.claim()
        known = None not in seen
        if known and not claim:
            return list(seen)  # type: ignore[arg-type]
        try:
            made: list[Any] = ensure(self.link, () if known else stamps, ttl, claim)
        except StoreUnavailable as error:
            cache_failed.send_robust(sender=None, during="store", error=error)
            self.why = "outage"
            return None
        if flight is not None and claim:
            head = made.pop()
            flight.hear(made.pop(), head)
        if known:
            return list(seen)  # type: ignore[arg-type]
        if all_tokens(made):
            return made
        self.why = "writing"
        return None

    def ruled_out(self, bloom: Filter, members: Sequence[str]) -> list[bool]:
        """For each of ``members`` whether it is surely not in the database; a round trip more, where it is missed."""
        if watch_of(self.connection).may_fill(self.connection):
            try:
                return bloom.rules_out(self.link, members)
            except StoreUnavailable as error:
                cache_failed.send_robust(sender=None, during="read", error=error)
        # (In a snapshot a row may be seen that has long been deleted.)
        return [False] * len(members)

    def store(self, commands: list[bytes]) -> list[Any] | None:
        """Send the SETs of new entries, in one round trip. The answers, or None, once reported, if there are none."""
        try:
            return run(self.link, commands)
        except StoreUnavailable as error:
            cache_failed.send_robust(sender=None, during="store", error=error)
            self.stored = 0
            return None

    def entry(
        self,
        key: str,
        fingerprint: bytes,
        server_run: bytes,
        tokens: list[bytes],
        loaded: Loaded,
        ttl: float,
        took: float,
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
        life = min(ttl, settings.NULL_TTL) if loaded.payload is None or loaded.brief else ttl
        # The dice need not be unpredictable: they only keep entries from expiring together.
        expires = jittered(life, settings.TTL_JITTER, random.random())  # noqa: S311
        data = build(fingerprint, server_run, under, (now() - took, took, expires / 1000), loaded.payload)
        if len(data) > settings.MAX_ENTRY_BYTES:
            _log.warning("An answer of %s bytes was not cached (REDIS_TOOLKIT_MAX_ENTRY_BYTES).", len(data))
            return []
        self.stored += len(data)
        stored = [(key, data)] if loaded.transcript is None else [(key, data), loaded.transcript]
        return [pack(("SET", name, value, "PX", expires)) for name, value in stored]


def unreadable(model: Any, error: Exception) -> None:
    """Warn that an entry could not be read: for the caller it is a miss."""
    _log.warning("A cached answer of %s could not be read and is loaded again: %s", model, str(error))
    cache_failed.send_robust(sender=model, during="read", error=error)
