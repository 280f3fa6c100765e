"""Who is denied most: counted here as it is heard (``throttle_denied``), and told to Redis once a second.

What Redis has is a sorted set for each hour of a day, of at most ``MOST`` clients: in one that is full the least are
forgotten, so what stands there is the most, not all. A client is a throttle, a digest, and a label for people.

1. A process denies somebody and is told nothing more for an hour  2. its last second stays with it till then, or till
its page of offenders is looked at. Nothing else waits for it.
"""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
from contextlib import suppress
from typing import Any, Final, NamedTuple

from django.core.signals import setting_changed

from redis_toolkit.conf import settings
from redis_toolkit.core import keys
from redis_toolkit.core.clock import monotonic, now
from redis_toolkit.core.connections import link, pack
from redis_toolkit.exceptions import StoreUnavailable
from redis_toolkit.signals import throttle_denied
from redis_toolkit.throttling.banning import legible

__all__ = ["MOST", "Offender", "connect", "told_of", "top"]

#: Clients of one hour.
MOST: Final = 1000
#: Hours that are remembered.
HOURS: Final = 24
#: Seconds between two times that Redis is told.
_INTERVAL: Final = 1.0

_HOUR: Final = 3600
_Member = tuple[str, str, str]


class Offender(NamedTuple):
    """Who was denied by the throttle of that ``name`` so many ``times``; ``told``: who that is, for people."""

    name: str
    identity: str
    told: str
    times: int


class _Gathered:
    """What this process has not told yet."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew: also in a forked child, where a thread that it has not got may hold the lock."""
        self._counts: Counter[_Member] = Counter()
        self._lock = threading.Lock()
        self._told = 0.0

    def add(self, member: _Member) -> Counter[_Member] | None:
        """Count one more. What is to be told now, if it is time."""
        with self._lock:
            if member in self._counts or len(self._counts) < MOST:
                self._counts[member] += 1
            return self._take() if monotonic() - self._told >= _INTERVAL else None

    def take(self) -> Counter[_Member]:
        """What is to be told."""
        with self._lock:
            return self._take()

    def _take(self) -> Counter[_Member]:
        self._told = monotonic()
        taken, self._counts = self._counts, Counter()
        return taken


_gathered = _Gathered()


def top(hours: int = 1, limit: int = 50) -> list[Offender]:
    """Who was denied most since the hour that began so many ``hours`` ago, the most first. Raises StoreUnavailable."""
    _tell(_gathered.take())
    hour = int(now() // _HOUR)
    commands = [
        pack(("ZREVRANGE", _key(hour - back), 0, MOST - 1, "WITHSCORES")) for back in range(min(hours, HOURS - 1) + 1)
    ]
    counts: Counter[_Member] = Counter()
    for answer in link(settings.THROTTLE_ALIAS).ask_many(b"".join(commands), len(commands)):
        for member, score in zip(answer[::2], answer[1::2], strict=True):
            counts[_read(member)] += int(float(score))
    return [Offender(*member, times) for member, times in counts.most_common(limit)]


def told_of(name: str, identity: str) -> str | None:
    """Who that is for people, if it is an offender of now. Raises StoreUnavailable."""
    found = (each.told for each in top(limit=2 * MOST) if (each.name, each.identity) == (name, identity))
    return next(found, None)


def connect() -> None:
    """Listen, or stop listening, as ``REDIS_TOOLKIT_THROTTLE_OFFENDERS`` says."""
    if settings.THROTTLE_OFFENDERS:
        throttle_denied.connect(_on_denied, dispatch_uid=__name__)
    else:
        throttle_denied.disconnect(dispatch_uid=__name__)


def _on_denied(*, decision: Any, identity: str, told: str, **_: object) -> None:
    if decision.shadow:
        # It hindered nobody.
        return
    due = _gathered.add((decision.name, identity, told))
    if due:
        try:
            _tell(due)
        except StoreUnavailable:
            # Redis is away: what was counted is not worth a second try.
            return


def _tell(counts: Counter[_Member]) -> None:
    if not counts:
        return
    key = _key(int(now() // _HOUR))
    commands = [pack(("ZINCRBY", key, times, json.dumps(member))) for member, times in counts.items()]
    commands += [pack(("ZREMRANGEBYRANK", key, 0, -MOST - 1)), pack(("EXPIRE", key, HOURS * _HOUR))]
    link(settings.THROTTLE_ALIAS).ask_many(b"".join(commands), len(commands), idempotent=False)


def _read(member: bytes) -> _Member:
    """Who it is. Of what somebody else has put there: no name, and its digest."""
    with suppress(ValueError, RecursionError):
        match json.loads(member):
            case [str(name), str(identity), str(told)] if (name + identity).encode():
                # (JSON lets lone surrogates through, which no page can show: in the name they have just been refused.)
                return name, identity, legible(told.encode("utf-8", "replace")) or identity
    digest = keys.digest(member)
    return "", digest, digest


def _key(hour: int) -> str:
    return keys.make("h", "offenders", str(hour))


def _changed(*, setting: str, **_: object) -> None:
    if setting == "REDIS_TOOLKIT_THROTTLE_OFFENDERS":
        connect()


setting_changed.connect(_changed, dispatch_uid="redis_toolkit.stats.offenders")
os.register_at_fork(after_in_child=_gathered.forget)
