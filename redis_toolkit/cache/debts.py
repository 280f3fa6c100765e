"""Stamps that could not be dropped because Redis was away. They are dropped before this process trusts it again."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from contextlib import suppress

from redis_toolkit.cache.stamps import unmark
from redis_toolkit.conf import settings
from redis_toolkit.core.connections import Link, link
from redis_toolkit.exceptions import StoreUnavailable

__all__ = ["any_owed", "owe", "pay"]

_lock = threading.Lock()
_owed: dict[str, set[str]] = {}
_payer: threading.Thread | None = None


def any_owed() -> bool:
    """Whether this process still owes Redis an invalidation. While it does it trusts no cached answer."""
    return bool(_owed)


def owe(stamps: Iterable[str], transaction: bytes) -> None:
    """Remember to take a transaction's marks off ``stamps``."""
    global _payer  # noqa: PLW0603 - one thread per process, while there is something to pay
    target = link()
    with _lock:
        _owed.setdefault(transaction.hex(), set()).update(stamps)
        if _settle not in target.before_trust:
            target.before_trust.append(_settle)
        if _payer is None or not _payer.is_alive():
            # One failure does not open the breaker, so its probe may never come, and this process may never read.
            _payer = threading.Thread(target=_keep_paying, name="redis-toolkit-debts", daemon=True)
            _payer.start()


def _keep_paying() -> None:
    global _payer  # noqa: PLW0603 - see above
    pause = threading.Event()
    while True:
        pause.wait(settings.BREAKER_RETRY)
        target = link()
        # While the breaker is open its own probe finds out when Redis is back, and pays.
        if not target.breaker.is_open:
            with suppress(StoreUnavailable):
                pay(target)
        with _lock:
            if not _owed:
                _payer = None
                break
    target.close()


def _settle() -> None:
    pay(link())


def pay(target: Link) -> None:
    """Drop what is owed. Raises StoreUnavailable if Redis is still away; nothing is forgotten then."""
    with _lock:
        for transaction, stamps in list(_owed.items()):
            unmark(target, stamps, bytes.fromhex(transaction))
            del _owed[transaction]


def _after_fork() -> None:
    # A lock held by another thread of the parent would never be released here, and its threads are not here at all.
    global _lock, _payer  # noqa: PLW0603
    _lock = threading.Lock()
    _payer = None


os.register_at_fork(after_in_child=_after_fork)
