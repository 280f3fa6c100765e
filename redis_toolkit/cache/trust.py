"""When cached answers are trusted again after Redis was away.

1. Redis is back, and the breaker of a reading process closes  2. the breaker of a writing process is still open, so it
marks nothing  3. the reader stores an answer  4. the writer commits. So a process that lost Redis, or found another run
of the server, answers from the database until every other has had the time to find Redis too; then it looks at the
outbox, and trusts what it finds.
"""

from __future__ import annotations

import os
import threading
from math import inf

from redis_toolkit.cache import looks
from redis_toolkit.conf import settings
from redis_toolkit.core.clock import monotonic

__all__ = ["forget", "is_given", "lost", "on_run", "regained"]

_given_at = 0.0
_run = b""
_born = 0.0
_lock = threading.Lock()


def is_given() -> bool:
    """Whether cached answers may be trusted. Asked by every read that finds the breaker closed."""
    if not _given_at:
        return True
    if _given_at == inf:
        # It closed unheard: in a process forked meanwhile, or before we were told that it had opened.
        regained()
    return monotonic() >= _given_at


def lost() -> None:
    """The breaker opened."""
    global _given_at  # noqa: PLW0603 - one process, one view of Redis
    _given_at = inf
    looks.expect()


def regained() -> None:
    """The breaker closed, or the server is another: others notice within the time between two of their probes."""
    global _given_at  # noqa: PLW0603
    _given_at = monotonic() + settings.BREAKER_RETRY + settings.CONNECT_TIMEOUT + settings.READ_TIMEOUT
    looks.expect()


def on_run(run: bytes, born: float) -> bool:
    """Whether what was read from this ``run`` of the server may be trusted: it is the one that was read from before.

    ``born``: when the connection learnt it. One that is older than another thread's knows nothing newer, so two threads
    never take turns in finding a new server.
    """
    global _born, _run
    if run != _run:
        with _lock:
            # Of a crowd of threads that read for the first time all but one find that it has just become known.
            if run != _run:
                if born < _born:
                    return False
                if _run:
                    # First, so that nobody takes it for known before it is known that it is not to be trusted.
                    regained()
                _run, _born = run, born
    # Not ``is_given()``: trust may have been lost since this read began, and that it is back is not told here.
    return not _given_at or monotonic() >= _given_at


def forget() -> None:
    """Trust what is there, as a new process does."""
    global _born, _given_at, _run
    _born, _given_at, _run = 0.0, 0.0, b""


def _after_fork() -> None:
    global _lock  # noqa: PLW0603 - a lock held by another thread of the parent would never be released here
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_after_fork)
