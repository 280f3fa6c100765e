"""What this process has written itself, by table, as long as it lives: for what is kept in it and in no Redis."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["seen", "wrote"]

#: By table: an object that is another after each write. (A number would be lost where two threads count at once.)
_writes: dict[str, object] = {}


def wrote(tables: Iterable[str]) -> None:
    """A write to these tables is over: committed, or it may be."""
    for name in tables:
        _writes[name] = object()


def seen(tables: Sequence[str]) -> tuple[object, ...]:
    """What stands for the state of these tables now. To be compared by identity, one by one."""
    return tuple(map(_writes.get, tables))
