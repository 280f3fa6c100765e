"""Values that queries ask for: which of them can be told apart by their type and what they are written as."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from decimal import Decimal
from enum import Enum
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.utils.datastructures import OrderedSet
from django.utils.functional import Promise
from django.utils.safestring import SafeString

__all__ = ["Literal", "literal_of"]


class Literal(NamedTuple):
    """What was asked for (``value``: plain, or a list of plain values) and of what type it was (``kind``)."""

    kind: Any
    value: Any


_PLAIN: Final = frozenset({
    int, str, float, bool, bytes, type(None), Decimal, UUID,
    datetime.date, datetime.datetime, datetime.time, datetime.timedelta,
})  # fmt: skip


def literal_of(value: Any) -> Literal | None:
    """``value`` as a literal; None if it is not plain, nor made of plain values only."""
    kind = type(value)
    if kind in _PLAIN:
        return Literal(kind.__name__, value)
    special = _SPECIAL.get(kind)
    if special is None:
        special = next((handle for base, handle in _BASES if isinstance(value, base)), None)
    return None if special is None else special(value)


def _sequence(value: Any) -> Literal | None:
    items = list(value)
    if not all(type(item) in _PLAIN for item in items):
        return None
    return Literal((type(value).__name__, tuple(sorted({type(item).__name__ for item in items}))), items)


def _unordered(value: Any) -> Literal | None:
    literal = _sequence(sorted(value, key=repr))
    return None if literal is None else Literal(("set", literal.kind), literal.value)


def _named(name: str, value: Any) -> Literal | None:
    literal = literal_of(value)
    return None if literal is None else Literal((name, literal.kind), literal.value)


_SPECIAL: Final[dict[type, Callable[[Any], Literal | None]]] = {
    list: _sequence, tuple: _sequence, set: _unordered, frozenset: _unordered, OrderedSet: _sequence,
}  # fmt: skip
_BASES: Final[tuple[tuple[type, Callable[[Any], Literal | None]], ...]] = (
    (Enum, lambda value: _named(type(value).__qualname__, value.value)),
    (Promise, lambda value: literal_of(str(value))),
    (SafeString, lambda value: literal_of(str.__str__(value))),
)
