"""``Concurrency``: so many at work at once, and no more.

Who begins takes a lease and gives it back at the end. A lease of who died runs out by itself. What is at work in a
``place`` is kept (heartbeats.py); who takes a lease by hand has one that is long enough, or keeps it now and then.

1. A holds the last place and its host is gone  2. its lease ends  3. B is let in. Were A only slow, both are at work:
so a lease bounds the load, and locks nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from asgiref.sync import sync_to_async

from redis_toolkit.conf import settings
from redis_toolkit.core import keys
from redis_toolkit.core.connections import link, pack
from redis_toolkit.core.scripts import Script, run
from redis_toolkit.exceptions import StoreUnavailable, Throttled
from redis_toolkit.signals import throttle_checked, throttle_denied, throttle_failed
from redis_toolkit.throttling.checking import still
from redis_toolkit.throttling.decisions import Decision
from redis_toolkit.throttling.heartbeats import heartbeats
from redis_toolkit.throttling.identities import digest, fresh_id, identified, texts

__all__ = ["Concurrency", "Lease"]

_LEASE: Final = Script("throttle_lease")
_MICRO: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Lease:
    """A place that was asked for: the ``decision``, and the ``holder``'s id under which it is held in ``key``."""

    decision: Decision
    key: str
    holder: str

    def __bool__(self) -> bool:
        return self.decision.allowed


class Concurrency:
    """At most ``places`` at once for each identity, by ``name``; a lease lasts for ``lease`` seconds or a timedelta.

    ``on_outage``: "open" or "closed", while Redis is away. Raises ValueError for what cannot be.
    """

    def __init__(self, name: str, places: int, *, lease: float | timedelta = 60, on_outage: str = "open") -> None:
        seconds = lease.total_seconds() if isinstance(lease, timedelta) else lease
        given: object = places
        if not name or not isinstance(given, int) or isinstance(given, bool) or given < 1:
            raise ValueError("So many at once is a whole number, 1 or more, and has a name.")
        if not 0.001 <= seconds <= 86_400 * 366:
            raise ValueError("A lease is a number of seconds, or a timedelta, of at most a year.")
        if on_outage not in {"open", "closed"}:
            raise ValueError(f"on_outage is open or closed, not {on_outage!r}: processes know nothing of each other.")
        self.name, self.places, self.on_outage = name, places, on_outage
        self._life = round(seconds * _MICRO)

    def take(self, *identity: str | int) -> Lease:
        """Take a place; one round trip. Truth says whether it was got. To be given back (:meth:`give_back`)."""
        holder, key = fresh_id(), self._key(identity)
        decision = self._decide(key, holder, keeps=False)
        if throttle_checked.receivers:
            throttle_checked.send_robust(sender=None, decisions=(decision,), charged=True)
        if not decision:
            known, told = identified(texts(identity))
            throttle_denied.send_robust(sender=None, decision=decision, identity=known, told=told, request=None)
        return Lease(decision, key, holder)

    def keep_up(self, lease: Lease) -> None:
        """Keep a lease until it is given back, or this process ends."""
        if lease.decision.source == "redis" and lease:
            heartbeats.begin(lease.holder, self._life / _MICRO, lambda: self.keep(lease))

    def keep(self, lease: Lease) -> bool:
        """Let a lease last from now on. False if it had ended: another may have the place."""
        return bool(self._decide(lease.key, lease.holder, keeps=True))

    def give_back(self, lease: Lease) -> None:
        """Leave the place to another. What cannot be said to Redis runs out."""
        heartbeats.end(lease.holder)
        if lease.decision.source == "redis" and lease:
            with suppress(StoreUnavailable):
                link(settings.THROTTLE_ALIAS).ask(pack(("ZREM", lease.key, lease.holder)))

    @contextmanager
    def place(self, *identity: str | int) -> Iterator[Lease]:
        """A block for which a place is held, however long it takes. Raises Throttled if there is none."""
        lease = self.take(*identity)
        if not lease:
            raise Throttled(decision=lease.decision)
        self.keep_up(lease)
        try:
            yield lease
        finally:
            self.give_back(lease)

    async def atake(self, *identity: str | int) -> Lease:
        """:meth:`take`, in a thread."""
        return await sync_to_async(self.take, thread_sensitive=False)(*identity)

    async def akeep(self, lease: Lease) -> bool:
        """:meth:`keep`, in a thread."""
        return await sync_to_async(self.keep, thread_sensitive=False)(lease)

    async def agive_back(self, lease: Lease) -> None:
        """:meth:`give_back`, in a thread."""
        await sync_to_async(self.give_back, thread_sensitive=False)(lease)

    def _key(self, identity: tuple[str | int, ...]) -> str:
        return keys.tagged("h", digest(texts(identity)), keys.escape(self.name), "n")

    def _decide(self, key: str, holder: str, *, keeps: bool) -> Decision:
        if not settings.THROTTLE:
            return Decision(allowed=True, name=self.name, source="none")
        moment = still()
        try:
            answers: list[Any] = run(
                link(settings.THROTTLE_ALIAS),
                [_LEASE.call(key, "" if moment is None else moment, holder, self.places, self._life, int(keeps))],
            )
        except StoreUnavailable as error:
            opens = self.on_outage == "open"
            wait = 0.0 if opens else max(1.0, settings.BREAKER_RETRY)
            decision = Decision(allowed=opens, retry_after=wait, name=self.name, source=self.on_outage)
            throttle_failed.send_robust(sender=None, error=error, decisions=(decision,))
            return decision
        [[held, left, first]] = answers
        wait = first / _MICRO
        return Decision(
            allowed=held == 1, limit=self.places, remaining=left, retry_after=0.0 if held else wait, reset_after=wait,
            name=self.name,
        )  # fmt: skip
