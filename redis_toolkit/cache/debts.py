"""Stamps that could not be dropped because Redis was away. They are dropped before this process trusts it again."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable

from redis_toolkit.cache.stamps import unmark_all
from redis_toolkit.core.connections import Link, link

__all__ = ["any_owed", "owe", "pay"]

_lock = threading.Lock()
_owed: dict[str, set[str]] = {}


def any_owed() -> bool:
    """Whether this process still owes Redis an invalidation. While it does it trusts no cached answer."""
    return bool(_owed)


def owe(stamps: Iterable[str], transaction: bytes) -> None:
    """Remember to take a transaction's marks off ``stamps``."""
    target = link()
    with _lock:
        _owed.setdefault(transaction.hex(), set()).update(stamps)
        if _settle not in target.before_trust:
            target.before_trust.append(_settle)


def _settle() -> None:
    pay(link())


def pay(target: Link) -> None:
    """Drop what is owed. Raises StoreUnavailable if Redis is still away; nothing is forgotten then."""
    # Not under the lock: what waits for Redis may be heard of by a receiver that writes, and so owes, itself.
    with _lock:
        due = {transaction: set(stamps) for transaction, stamps in _owed.items()}
    for transaction, stamps in due.items():
        unmark_all(target, [(stamp, bytes.fromhex(transaction)) for stamp in stamps])
        with _lock:
            left = _owed.get(transaction, set()) - stamps
            if left:
                _owed[transaction] = left
            else:
                _owed.pop(transaction, None)


def _after_fork() -> None:
    global _lock  # noqa: PLW0603 - a lock held by another thread of the parent would never be released here
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_after_fork)
