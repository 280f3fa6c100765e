"""What the cache has to say to a question: a valid answer, one past its freshness, one that a write has ended."""

from __future__ import annotations

import random
from typing import Any, Final

from redis_toolkit.cache import own_writes, recency, refreshing
from redis_toolkit.cache.entries import Body, is_of_run, open_entry, peek
from redis_toolkit.cache.freshness import is_early
from redis_toolkit.cache.reading import Question, Reader, Source, unreadable
from redis_toolkit.cache.telling import Why, why_dead
from redis_toolkit.conf import settings
from redis_toolkit.core.clock import monotonic, now
from redis_toolkit.exceptions import CodecError
from redis_toolkit.signals import cache_read

__all__ = ["NOTHING", "Finding"]

#: There is no answer (yet).
NOTHING: Final = object()
#: Outcomes of reads that give what lay in Redis.
_FOUND: Final = frozenset({"hit", "stale"})
_DEAD: Final = Why("ended")


class Finding:
    """What the cache has to say to one question."""

    __slots__ = (
        "_ahead", "_alone", "_began", "_body", "_dead", "_held", "_refresh", "_seen", "question", "reader", "source",
    )  # fmt: skip

    def __init__(self, question: Question, source: Source, *, refresh: bool = False, ahead: bool = False) -> None:
        self._began = monotonic()
        self.question = question
        self.source = source
        self.reader = Reader(source)
        self._refresh = refresh
        #: Nobody waits for the answer: it is only to be renewed, if that is due.
        self._ahead = ahead
        self._alone = False
        #: What can be given if somebody else is renewing it, in a tuple.
        self._held: tuple[Any, ...] = ()
        self._seen: list[bytes | None] | None = None
        #: What was found, if it may be given, by its stamps or by `stale`.
        self._body: Body | None = None
        #: Why what was found is not valid.
        self._dead: Why | None = None

    # Looking

    def look(self) -> Any:
        """The answer if the cache may give one, NOTHING otherwise; one round trip."""
        question, reader = self.question, self.reader
        self._held, self._body, self._dead, self._seen = (), None, None, None
        if not reader.may_ask(question.tables):
            return NOTHING
        stale = question.terms.stale
        # Before the cache is asked: a write of ours that is over meanwhile is then another state.
        at, state = (monotonic(), own_writes.seen(question.tables)) if stale else (0.0, ())
        seen = self._seen = reader.fetch((question.key, *question.stamps))
        if seen is None or seen[0] is None or self._refresh:
            return NOTHING
        try:
            body = open_entry(seen[0], question.fingerprint, reader.link.run, seen[1:])
            if body is None:
                self._dead = self._why_dead(seen[0], seen[1:])
                return self._stale(seen[0]) if stale else NOTHING
            answer = question.read(body.payload)
        except CodecError as error:
            self._dead = Why("unreadable")
            unreadable(question.model, error)
            return NOTHING
        self._body = body
        if stale:
            recency.saw(question.key, at, body.built, state)
        if not self._is_due(body):
            self._report("hit")
            return answer
        return NOTHING if self._ahead else self._renewed(answer, "hit", in_background=question.terms.fresh is not None)

    def glance(self) -> Any:
        """The answer that a first look, or a filter, gives; NOTHING if there is none."""
        answer = self.look()
        return self._ruled_out() if answer is NOTHING else answer

    def _ruled_out(self) -> Any:
        """The answer *there is no such row*, if a filter says so; NOTHING if it may be there; a round trip, or none."""
        question = self.question
        # Before stamps are made: keys that somebody makes up leave nothing behind in Redis.
        if question.absent is None or self._seen is None or self._refresh or self._held:
            return NOTHING
        if self.reader.ruled_out(*question.absent) != [True]:
            return NOTHING
        self._report("absent")
        return question.read(None)

    def _is_due(self, body: Body) -> bool:
        """Whether a valid answer is to be made anew."""
        # By the wall clocks of two hosts: where they differ that is early or late, no more.
        age = now() - body.built
        fresh = self.question.terms.fresh
        if fresh is not None:
            return age > fresh
        beta = settings.EARLY_EXPIRY
        # The dice need not be unpredictable.
        return beta > 0 and is_early(body.took + body.life - age, body.took, beta, random.random())  # noqa: S311

    def _stale(self, entry: bytes) -> Any:
        """What a dead entry says, where that may be given for a while yet."""
        question = self.question
        if self._ahead or not is_of_run(entry, self.reader.link.run):
            return NOTHING
        body = peek(entry, question.fingerprint)
        if body is None or not recency.is_within(question.key, question.terms.stale, body.built, question.tables):
            return NOTHING
        answer, self._body = question.read(body.payload), body
        if self._seen is not None and any(value is not None and value[:1] != b"t" for value in self._seen[1:]):
            # A writer is at work: what is loaded now could not be stored.
            self._report("stale")
            return answer
        return self._renewed(answer, "stale", in_background=True)

    def _renewed(self, answer: Any, outcome: str, *, in_background: bool) -> Any:
        """``answer``, once somebody will renew it; NOTHING if that is the caller's to do, who holds it meanwhile."""
        can = in_background and refreshing.is_possible(self.source.read)
        if can and refreshing.later(self.question.key, self._refresh_ahead):
            self._report(outcome)
            return answer
        self._held = (answer,)
        return NOTHING

    def _refresh_ahead(self) -> None:
        """Renew the answer, in another thread, if that is still due and nobody else is at it."""
        raise NotImplementedError

    def _report(self, outcome: str, loaded: float | None = None) -> None:
        """Tell watchers how the read was answered. ``loaded``: seconds that it took to load the answer now."""
        if not cache_read.is_heard:
            return
        question, body, seen = self.question, self._body, self._seen
        size: int | None = self.reader.stored or None
        if outcome in _FOUND and body is not None and seen and seen[0]:
            loaded, size = body.took, len(seen[0])
        reason, stamp = ("", "") if outcome == "hit" else self._why()
        pins = () if outcome == "hit" or question.pins is None else question.pins()
        # (By position, for hits are told of here.)
        cache_read.tell(
            question.model, question.kind, outcome, self.source.read, monotonic() - self._began, question.name,
            question.key, 1, reason, stamp, pins, loaded, size,
        )  # fmt: skip

    def _why_dead(self, entry: bytes, values: list[bytes | None]) -> Why:
        """Why ``entry`` is not valid; in detail if anybody listens."""
        question = self.question
        if not cache_read.is_heard:
            return _DEAD
        return why_dead(entry, question.fingerprint, self.reader.link.run, question.stamps, values)

    def _why(self) -> Why:
        """Why the read was no hit, or the answer was made anew."""
        if self.reader.why:
            return Why(self.reader.why)
        if self._refresh:
            return Why("asked")
        if self._dead is not None:
            return self._dead
        return Why("due") if self._body is not None else Why("empty")
