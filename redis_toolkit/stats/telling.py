"""A thread that tells Redis once a second what this process has counted; nobody else waits for that.

One script adds a batch to the minute, the hour and the day. Batches are numbered, and each is counted once:
1. a batch is sent, and the answer is lost  2. it is sent again with its number  3. the script has heard that already.

While Redis is away batches wait, at most ``MOST_WAITING`` of them, by the minute in which they were counted; what is
older is dropped, and how much that was is counted as well (``dropped``).

A process that ends as processes should tells the rest at its end; one that is killed, or ends by ``os._exit``, loses
what it has counted since it told last. Where threads run only while a request does (uWSGI without
``--enable-threads``) that is told with the next request.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from heapq import nlargest
from operator import itemgetter
from typing import Final

from redis_toolkit.conf import settings
from redis_toolkit.core.clock import now
from redis_toolkit.core.connections import Link, link
from redis_toolkit.core.scripts import Script, run
from redis_toolkit.exceptions import BreakerOpen, RedisToolkitError, StoreUnavailable
from redis_toolkit.stats import names, sampling
from redis_toolkit.stats.gathering import Gathered, Taken, merged

__all__ = ["HOT_HOURS", "MOST_FIELDS", "MOST_HOT", "MOST_WAITING", "Teller", "flush", "gathered", "teller"]

_log = logging.getLogger("redis_toolkit.stats")

#: Fields of one hash in Redis, two for each cell at most; and members of the sorted set of an hour.
MOST_FIELDS: Final = 2000
MOST_HOT: Final = 1000
#: Hours that entries are remembered.
HOT_HOURS: Final = 24
#: Batches that wait for Redis.
MOST_WAITING: Final = 10

_DROPPED: Final = ("dropped", "", "")
#: Metrics that say more of what another counts: not counted among what is dropped.
_FURTHER: Final = frozenset({"saved", "load", "reason", "ended", "pinned", "bytes", "server"})

#: Seconds between two times that Redis is told.
_INTERVAL: Final = 1.0
#: Entries that a batch tells of: those that were read most.
_HOT_AT_ONCE: Final = 200
#: Cells of one call, so that no script keeps the server from others for long.
_AT_ONCE: Final = 250
#: Seconds that anything lives at most: with more a server counts, and then refuses to have it end.
_LONGEST: Final = 10**10
#: Seconds that Redis remembers the last batch of a process: longer than one waits.
_REMEMBERED: Final = 3600
#: Seconds beyond the time-outs of Redis that a process waits at its end for what is being sent.
_GRACE: Final = 1.0

_ADD: Final = Script("stats_add")

#: What this process has counted.
gathered: Final = Gathered()


class _Batch:
    """What was counted in a minute. ``number``: of its first call."""

    __slots__ = ("minute", "number", "taken", "was_sent")

    def __init__(self, minute: int, number: int, taken: Taken) -> None:
        self.minute, self.number, self.taken = minute, number, taken
        self.was_sent = False

    @property
    def size(self) -> int:
        """How many calls it takes."""
        return max(1, -(-len(self.taken.cells) // _AT_ONCE))

    def calls(self, sender: str) -> Iterator[bytes]:
        """The calls that tell it."""
        hour, day = self.minute // 60, self.minute // 1440
        places = (
            names.sender_key(sender),
            *(names.bucket_key(*each) for each in (("minute", self.minute), ("hour", hour), ("day", day))),
            names.whole_key(),
            names.hot_key(hour),
        )
        keep = {**type(settings).STATS_KEEP.default, **settings.STATS_KEEP}
        lives = [min(keep[resolution], _LONGEST) for resolution in names.RESOLUTIONS]
        cells = list(self.taken.cells.items())
        hot = nlargest(_HOT_AT_ONCE, self.taken.hot.items(), key=itemgetter(1))
        for at in range(self.size):
            part = cells[at * _AT_ONCE : (at + 1) * _AT_ONCE]
            yield _ADD.call_on(
                places, self.number + at, _REMEMBERED, *lives, lives[-1], HOT_HOURS * 3600, MOST_FIELDS, MOST_HOT,
                len(part),
                *(each for cell, (count, total) in part for each in _told(cell, count, total)),
                *(each for entry, times in (hot if at == 0 else ()) for each in (names.listed(entry), times)),
            )  # fmt: skip


class Teller:
    """The thread, and what waits for it. ``is_running``: whether there is one."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew, in a forked child: what its parent has counted its parent tells."""
        gathered.forget()
        self.is_running = False
        self._starting = threading.Lock()
        self._sending = threading.Lock()
        self._end = threading.Event()
        self._waiting: deque[_Batch] = deque()
        self._sender = os.urandom(8).hex()
        self._number = 0
        self._links: dict[str, tuple[Link, Link]] = {}
        self._sampled = 0
        self._has_warned = False

    @property
    def is_needed(self) -> bool:
        """Whether anything waits to be told, or is being told."""
        return bool(self._waiting) or self._sending.locked() or gathered.is_there

    def start(self) -> None:
        """See that there is a thread. Where none is to be had it is tried again with what is counted next."""
        # Who comes while it is started need not wait: perhaps a signal handler, in the thread that starts it.
        if not self._starting.acquire(blocking=False):
            return
        try:
            if not self.is_running:
                self._begin()
        finally:
            self._starting.release()

    def _begin(self) -> None:
        self._end = threading.Event()
        thread = threading.Thread(target=self._work, args=(self._end,), name="redis-toolkit-stats", daemon=True)
        self.is_running = True
        try:
            thread.start()
        except RuntimeError:
            self.is_running = False
            return
        _tell_at_the_end_of_children()

    def stop(self) -> None:
        """Have the thread end, and forget what was not told. When this returns nothing is sent any more."""
        with self._sending:
            self._end.set()
            self.is_running = False
            self._waiting.clear()
            self._sampled = 0
            gathered.forget()
            self._hang_up()

    def tell(self, *, patience: float = -1) -> None:
        """Tell everything there is, in one round trip. Raises StoreUnavailable.

        ``patience``: seconds to wait for who is telling now; then it is left to them.
        """
        if not self._sending.acquire(timeout=patience):
            return
        try:
            self._tell()
        finally:
            self._sending.release()

    def _work(self, end: threading.Event) -> None:
        try:
            while not end.wait(_INTERVAL):
                with self._sending:
                    if end.is_set():
                        return
                    try:
                        self._tell()
                        self._sample()
                    except Exception as error:  # noqa: BLE001 - a thread that ends would be started with each read
                        self._note(error)
        finally:
            self._hang_up()
            if end is self._end:
                self.is_running = False

    def _note(self, error: Exception) -> None:
        """Of a server that is away the link has told, and the breaker sees to it that it costs nothing."""
        if not isinstance(error, StoreUnavailable) and not self._has_warned:
            self._has_warned = True
            _log.warning(
                "What is counted cannot be kept (REDIS_TOOLKIT_STATS…): %s: %s", type(error).__name__, str(error)
            )

    def _tell(self) -> None:
        self._put(gathered.take())
        if not self._waiting:
            return
        calls = [call for batch in self._waiting for call in batch.calls(self._sender)]
        try:
            run(self._link(), calls, idempotent=False)
        except BreakerOpen:
            raise
        except StoreUnavailable:
            # It may have been heard, or a part of it: from now on it stays as it is.
            for batch in self._waiting:
                batch.was_sent = True
            raise
        self._waiting.clear()

    def _put(self, taken: Taken) -> None:
        if not taken.cells:
            return
        minute = int(now() // 60)
        last = self._waiting[-1] if self._waiting else None
        if last is not None and last.minute == minute and not last.was_sent:
            merged(last.taken, taken)
            # (Its number is the last that was given away.)
            self._number = last.number - 1 + last.size
            return
        if len(self._waiting) >= MOST_WAITING:
            lost = self._waiting.popleft().taken.cells
            taken.cells[_DROPPED] = [sum(count for cell, (count, _) in lost.items() if cell[0] not in _FURTHER), 0.0]
        batch = _Batch(minute, self._number + 1, taken)
        self._number += batch.size
        self._waiting.append(batch)

    def _sample(self) -> None:
        minute = int(now() // 60)
        if minute == self._sampled:
            return
        self._sampled = minute
        for alias, what, number in sampling.sample(self._link(), self._link, minute):
            gathered.add(("server", alias, what), 1, number)

    def _hang_up(self) -> None:
        """Close this thread's connections."""
        for _, own in tuple(self._links.values()):
            own.close()

    def _link(self, alias: str | None = None) -> Link:
        """A way to Redis of our own, so that those who count round trips do not count ours, with the breaker of all."""
        shared = link(alias or settings.STATS_ALIAS)
        known = self._links.get(shared.alias)
        if known is None or known[0] is not shared:
            if known is not None:
                known[1].close()
            known = self._links[shared.alias] = shared, Link(shared.alias)
        own = known[1]
        own.breaker = shared.breaker
        return own


teller: Final = Teller()


def flush() -> None:
    """Tell Redis now what this process has counted, in one round trip. Raises StoreUnavailable."""
    teller.tell()


def _told(cell: names.Cell, count: float, total: float) -> Sequence[str | int]:
    other = names.alternative(cell)
    return names.field(cell), names.field(other), round(count), names.measured(cell[0], total)


def _at_the_end() -> None:
    """Tell the rest, once, as long as the time-outs allow."""
    if not teller.is_needed:
        return
    try:
        teller.tell(patience=settings.CONNECT_TIMEOUT + settings.READ_TIMEOUT + _GRACE)
    except RedisToolkitError:
        return


def _tell_at_the_end_of_children() -> None:
    # Children of multiprocessing, and of Celery's, end by os._exit: they have finalizers of their own.
    for name in ("multiprocessing.util", "billiard.util"):
        module = sys.modules.get(name)
        if module is not None:
            module.Finalize(None, _at_the_end, exitpriority=0)


atexit.register(_at_the_end)
os.register_at_fork(after_in_child=teller.forget)
