"""What can be watched. These signals are the only seam for watchers: no room of the toolkit knows who listens.

Receivers run inside the caller's request; keep them short and never let them raise.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final

from django.dispatch import Signal

__all__ = [
    "breaker_changed",
    "cache_failed",
    "cache_invalidated",
    "cache_read",
    "code_issued",
    "code_locked",
    "code_refused",
    "code_verified",
    "session_ended",
    "throttle_banned",
    "throttle_checked",
    "throttle_denied",
    "throttle_failed",
    "token_made",
    "token_refused",
    "token_revoked",
]


class _ReadSignal(Signal):
    """The signal of every cached read: of a hit that takes some forty microseconds Django's dispatch would take four.

    So who only counts may give it a ``queue``, to which the arguments of :meth:`tell` are added as they are, and
    ``notice``, which is called when the queue was empty, and when it has ``MOST``. Everybody else connects as to any
    signal.
    """

    MOST: Final = 2000

    queue: deque[tuple[Any, ...]] | None = None
    notice: Callable[[], None]

    @property
    def is_heard(self) -> bool:
        """Whether anybody listens: nothing need be found out otherwise."""
        return self.queue is not None or bool(self.receivers)

    def tell(  # noqa: PLR0913, PLR0917 - by position, for that is quick
        self, sender: Any, kind: str, outcome: str, alias: str, seconds: float, name: str, key: str, count: int,
        reason: str, stamp: str, pins: tuple[str, ...], loaded: float | None, size: int | None,
    ) -> None:  # fmt: skip
        """Send it to all."""
        queue = self.queue
        if queue is not None:
            queue.append((sender, kind, outcome, seconds, name, key, count, reason, stamp, pins, loaded, size))
            if not 1 < len(queue) < self.MOST:
                self.notice()
        if self.receivers:
            self.send_robust(
                sender=sender, kind=kind, outcome=outcome, alias=alias, seconds=seconds, name=name, key=key,
                count=count, reason=reason, stamp=stamp, pins=pins, loaded=loaded, size=size,
            )  # fmt: skip


#: A cached read was answered. sender: the model (None for functions, fragments, views); kind: "get", "bulk", "rows",
#: "count", "exists", "aggregate", "value" (a function), "fragment" or "view"; outcome: "hit", "miss", "bypass",
#: "shared" (another thread has loaded it), "stale" (a write has ended it, and that was agreed to), "absent" (a filter
#: says so), "kept" (by this process, while Redis is away) or "refresh" (in the background); alias: database alias;
#: seconds: duration, float.
#: name: of the function, fragment or view, "" for models (str); key: the entry's, "" where there is none or there are
#: many (str); count: how many entries this tells of (int; of a "bulk" read all that had this outcome and reason);
#: reason: why it was no hit (str), "" for hits, else "empty" (nothing was stored), "ended" (a write has ended it, or
#: Redis has dropped what it depends on), "columns" (the model has changed), "run" (another run of the server),
#: "unreadable", "asked" (``refresh()``), "due" (it is past its ``fresh``, or nearly over); and for what Redis could not
#: answer "off", "breaker" (open), "untrusted" (Redis is back, but who has missed it is not known yet), "transaction"
#: (this one has written), "writing" (a write is under way), "outage" (Redis did not answer), "snapshot" (an old state
#: is read) or "uncacheable"; stamp: the key of the stamp that ended it, or "" (str); pins: the fields that the query
#: pins to values, as ``by`` could name them (tuple of str), of one hit (); loaded: seconds that loading took, now, or
#: when what was found was stored; None: not known; size: bytes of the entry as read or stored, or None. Of a "bulk"
#: read ``seconds`` and ``size`` are for all these entries together; of several signals for one load the first has
#: ``loaded``.
cache_read = _ReadSignal()

#: Stamps were marked by a write or dropped by ``invalidate``. sender: None; stamps: tuple of stamp keys (str), which
#: ``redis_toolkit.cache.stamps.subject_of`` reads; alias: database alias.
cache_invalidated = Signal()

#: The cache could not do its work and the caller was served without it. sender: the model or None;
#: during: "read", "store", "mark", "unmark" or "add"; error: the exception.
cache_failed = Signal()

#: A circuit breaker changed. sender: the Breaker; alias: cache alias; state, before: "closed", "open" or "half-open".
breaker_changed = Signal()

#: Throttles were asked. sender: None; decisions: what they said (tuple of Decision); charged: False for a look (bool).
throttle_checked = Signal()

#: A throttle denied something. sender: None; decision: the Decision (``shadow``: it hindered nobody); identity: the
#: digest of who was counted (str); told: who that is, for people (str); request: None where it was asked by hand.
throttle_denied = Signal()

#: Throttles decided without Redis. sender: None; error: the exception; decisions: what they said (tuple of Decision).
throttle_failed = Signal()

#: A ban began. sender: None; name: the throttle's; identity, told: as above; seconds: how long it is (float).
throttle_banned = Signal()

#: A session was ended by other means than time. sender: None; user: primary key as text, or None; handle: str;
#: reason: "logout", "revoked", "evicted" or "password".
session_ended = Signal()

#: A code was minted. sender: None; purpose: str; subject: keyed digest (str); resend: whether it replaced one (bool).
code_issued = Signal()

#: No code was minted. sender: None; purpose, subject: as above; reason: "cooldown", "quota" or "locked".
code_refused = Signal()

#: A code was tried. sender: None; purpose, subject: as above; ok: bool; reason: "" or why not: "wrong", "expired",
#: "spent", "locked".
code_verified = Signal()

#: Too many wrong codes. sender: None; purpose, subject: as above; seconds: for how long (float).
code_locked = Signal()

#: A token was made or rotated. sender: None; user: primary key as text; handle: str; scopes: tuple of str.
token_made = Signal()

#: A token was refused. sender: None; reason: "malformed", "unknown", "expired", "inactive", "revoked" or "forged".
token_refused = Signal()

#: Tokens were revoked. sender: None; user: primary key as text; handles: tuple of str.
token_revoked = Signal()
