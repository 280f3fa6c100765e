"""Cache-aside reading: how an answer comes from Redis, or from the database and into Redis.

1. One MGET: the entry and the stamps it depends on. The entry is valid: a hit.
2. A stamp is marked: a writer is at work. The database answers and nothing is stored.
3. Missing stamps are made and all are read *before* the database is.
4. The database is read, and the entry stored under the stamps of step 3.

The race that step 3 wins: 1. a reader reads the old row  2. a writer marks, commits, unmarks  3. the reader stores the
old row. Its entry carries the token from before the mark, so it is born dead.

Many who miss at once wait for one: threads as ``loads.py`` has it, processes as ``flights.py`` has it. What is past its
``fresh`` is given and made anew behind the reader's back (``refreshing.py``); so is what a write has ended, for as long
as ``stale`` allows (``recency.py``).
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

from django.db import connections

from redis_toolkit.cache import gate, renewals
from redis_toolkit.cache.finding import NOTHING, Finding
from redis_toolkit.cache.flights import Flight, learn
from redis_toolkit.cache.loads import Load, join_or_begin, within
from redis_toolkit.cache.outages import Outage
from redis_toolkit.cache.reading import Loaded, Question, Source, unreadable
from redis_toolkit.cache.status import is_open
from redis_toolkit.cache.watch import watch_of
from redis_toolkit.conf import settings
from redis_toolkit.core.clock import monotonic
from redis_toolkit.core.connections import pack
from redis_toolkit.exceptions import CodecError

__all__ = ["LOAD", "Asking", "Steps", "advance", "ask", "make_anew"]

_log = logging.getLogger("redis_toolkit.cache")
#: What :meth:`Asking.steps` yields when it is time to load. It is sent what was loaded.
LOAD: Final = object()

Need = Any  # LOAD, or a callable to call because it waits
Steps = Generator[Need, Any, Any]


def ask(question: Question, source: Source, *, refresh: bool = False) -> Any:
    """The answer to ``question`` from the cache, else from the database. ``refresh`` loads and stores in any case."""
    asking = Asking(question, source, refresh=refresh)
    answer = asking.glance()
    return _drive(asking) if answer is NOTHING else answer


def make_anew(question: Question, source: Source) -> None:
    """Load and store the answer to ``question``, if that is still due and nobody else is at it."""
    asking = Asking(question, source, ahead=True)
    if asking.look() is NOTHING:
        _drive(asking)


def _drive(asking: Asking) -> Any:
    """Take the steps in this thread."""
    steps = asking.steps()
    need, answer = advance(steps)
    while need is not None:
        try:
            given = asking.question.load() if need is LOAD else need()
        except BaseException as error:  # noqa: BLE001 - it goes on from inside the step
            need, answer = advance(steps, error=error)
        else:
            need, answer = advance(steps, given)
    return answer


def advance(steps: Steps, given: Any = None, error: BaseException | None = None) -> tuple[Need, Any]:
    """Take the next steps: what is needed then; or None, and the answer. ``given`` or ``error`` came of the last need.

    So whoever has to await what is loaded (``awaiting.py``) goes the same way as whoever calls it.
    """
    try:
        return (steps.send(given) if error is None else steps.throw(error)), None
    except StopIteration as end:
        return None, end.value
    except RuntimeError as raised:
        if isinstance(error, StopIteration) and raised.__cause__ is error:
            # What the caller's own code has raised; a generator makes another error of it.
            raise error from None
        raise


class Asking(Finding):
    """One read: :meth:`look`, and take the :meth:`steps` if there was nothing."""

    __slots__ = ()

    def steps(self) -> Steps:
        """What is left to do, to be taken where it may: ``yield`` asks for a load, or to call what waits."""
        until = self._began + settings.FLIGHT_WAIT
        while True:
            flies = self._flies(until)
            if not flies or self._held or self._ahead:
                answer = yield from self._load_alone(until if flies else None)
                return answer
            place = self.question.key, self.source.read
            load, is_ours = join_or_begin(place, None if self._seen is None else self._seen[1:])
            if not is_ours:
                answer = yield from self._join(load, until)
            else:
                try:
                    answer = yield from self._load(load, until)
                except BaseException:
                    load.failed = True
                    raise
                finally:
                    load.end()
            if answer is NOTHING and not is_ours:
                answer = self.look()
            if answer is not NOTHING:
                return answer

    def _flies(self, until: float) -> bool:
        """Whether this read may wait for another's load, or others for its own.

        1. a reader in a transaction waits for a load  2. that waits for a lock the transaction holds. So who is in a
        transaction, on any database, waits for nobody; nor is what it reads, which may be uncommitted, anybody else's.
        """
        if not settings.SINGLE_FLIGHT or not settings.ENABLED or self._refresh or self._alone or monotonic() >= until:
            return False
        return not any(is_open(connection) for connection in connections.all(initialized_only=True))

    def _join(self, load: Load, until: float) -> Steps:
        """Wait for another thread's load. Its answer, or NOTHING."""
        yield partial(load.wait, until)
        if load.serves(self._began, trusts=self._seen is not None):
            try:
                answer = self.question.read(load.payload)
            except CodecError as error:
                unreadable(self.question.model, error)
            else:
                self._report("shared", load.took)
                return answer
        # Where loads fail each finds out for itself, none after the other.
        self._alone = load.failed
        return NOTHING

    def _load_alone(self, until: float | None) -> Steps:
        """Load for nobody else. Who holds an answer that may be given has that if it cannot be made anew."""
        try:
            answer = yield from self._load(None, until)
        except Exception as error:
            # (A transaction whose statement has failed is broken, and its owner must hear of it.)
            if not self._held or is_open(self.reader.connection):
                raise
            _log.warning("An answer was not refreshed: %s", str(error))
            self._report(self._outcome_held)
            return self._held[0]
        return answer

    def _load(self, load: Load | None, until: float | None) -> Steps:
        """Load the answer and store it; NOTHING if somebody else has loaded it, or is loading it, meanwhile.

        ``until``: till when it may be waited for another process; None: not at all.
        """
        question, reader, seen = self.question, self.reader, self._seen
        flight = tokens = None
        if seen is not None:
            if until is not None:
                flight = Flight(question.key, seen[0], question.family, len(question.stamps))
            tokens = reader.tokens(question.stamps, seen[1:], question.ttl, flight)
        if tokens is None:
            if flight is not None:
                flight.give_up(reader.link)
            answer = yield from self._bypass(load)
            return answer
        if flight is not None and flight.is_anothers:
            if not self._held and not self._ahead and until is not None:
                yield partial(flight.wait, reader.link, until)
            return self._look_again(load)
        if flight is not None and flight.has_landed(question.fingerprint, reader.link.run, tokens):
            flight.give_up(reader.link)
            return self._look_again(load)
        answer = yield from self._fill(load, flight, tokens)
        return answer

    def _look_again(self, load: Load | None) -> Any:
        """What somebody else has stored, for all threads that wait for this one."""
        if self._held:
            self._report(self._outcome_held)
            return self._held[0]
        if load is None:
            return NOTHING if self._ahead else self.look()
        load.seal()
        answer = self.look()
        if self._body is not None and self._dead is None:
            load.land(self._body.payload, verified=True)
        return answer

    def _bypass(self, load: Load | None) -> Steps:
        """Load without storing."""
        if self._ahead:
            return NOTHING
        if self._held:
            self._report(self._outcome_held)
            return self._held[0]
        question, connection = self.question, self.reader.connection
        if load is not None and not watch_of(connection).may_fill(connection):
            # A half read cursor of SQLite holds an old state open: what is loaded then is for this reader alone.
            load.failed, load = True, None
        outage = Outage(self.reader, question.tables, question.fingerprint, question.terms.outage)
        kept = self._kept(outage)
        if kept is not NOTHING:
            return kept
        with self._loading(load):
            # Whoever was let in before us may have loaded the same.
            kept = self._kept(outage)
            if kept is not NOTHING:
                return kept
            outage.begin(connection)
            started = monotonic()
            loaded: Loaded = yield LOAD
            took = monotonic() - started
        if loaded.is_for_all:
            outage.keep(question.key, loaded.payload)
        self._land(load, loaded, took, verified=False)
        self._report("bypass", took)
        return loaded.answer

    @property
    def _outcome_held(self) -> str:
        return "hit" if self._dead is None else "stale"

    def _kept(self, outage: Outage) -> Any:
        """What this process keeps while Redis is away, as objects of the caller's own, or NOTHING."""
        payload = False if self._refresh or not outage else outage.find(self.question.key)
        if payload is False:
            return NOTHING
        try:
            answer = self.question.read(payload)
        except CodecError as error:
            unreadable(self.question.model, error)
            return NOTHING
        self._report("kept")
        return answer

    def _fill(self, load: Load | None, flight: Flight | None, tokens: list[bytes]) -> Steps:
        """Load under ``tokens`` and store."""
        question, reader = self.question, self.reader
        if load is not None:
            load.tokens = tokens
        server_run = reader.link.run
        try:
            with self._loading(load):
                started = monotonic()
                loaded: Loaded = yield LOAD
                took = monotonic() - started
        except BaseException:
            if flight is not None:
                flight.give_up(reader.link)
            raise
        learn(question.family, took)
        commands = reader.entry(question.key, question.fingerprint, server_run, tokens, loaded, question.ttl, took)
        commands += flight.landed() if flight is not None else []
        followers = load.seal() if load is not None else 0
        if followers and loaded.is_for_all:
            # Found standing after the last of them has come, so it is as if each had looked for itself.
            commands.append(pack(("MGET", *question.stamps)))
        stored = reader.store(commands)
        stand = stored[-1] if followers and loaded.is_for_all and stored and reader.link.run == server_run else ()
        under = len(tokens) if loaded.stamps is None else loaded.stamps
        self._land(load, loaded, took, verified=bool(stand) and list(stand[:under]) == tokens[:under])
        self._report("refresh" if self._ahead else "miss", took)
        return loaded.answer

    @staticmethod
    def _land(load: Load | None, loaded: Loaded, took: float, *, verified: bool) -> None:
        """Give what was loaded to those who wait for it, or say that it is not for them."""
        if load is not None and loaded.is_for_all:
            load.took = took
            load.land(loaded.payload, verified=verified)
        elif load is not None:
            load.failed = True

    @contextmanager
    def _loading(self, load: Load | None) -> Iterator[None]:
        with gate.admit(), within():
            if load is not None:
                load.run()
            yield

    def _refresh_ahead(self) -> None:
        if not renewals.send(self.question):
            make_anew(self.question, self.source)
