"""The session in use: that of the request that is served in this context, if there is one."""

from __future__ import annotations

from contextvars import ContextVar
from weakref import ref

from django.contrib.sessions.backends.base import SessionBase

__all__ = ["forget", "in_use", "note", "use"]

# Weakly: a thread's context lives on when its request has ended.
_store: ContextVar[ref[SessionBase] | None] = ContextVar("redis_toolkit.session", default=None)


def in_use() -> SessionBase | None:
    """The session in use, None outside of requests."""
    held = _store.get()
    return None if held is None else held()


def use(store: SessionBase) -> None:
    """Take ``store`` for the session in use (the middleware knows)."""
    _store.set(ref(store))


def note(store: SessionBase) -> None:
    """The same, where nothing else is known: the first session that a request loads is its own."""
    if in_use() is None:
        _store.set(ref(store))


def forget(**_: object) -> None:
    """Another request begins."""
    _store.set(None)
