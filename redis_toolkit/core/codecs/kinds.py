"""The kinds of column: what msgspec is told to expect, and when a column's values come back as just what they were."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import chain
from types import NoneType
from typing import Any
from uuid import UUID

from redis_toolkit.core.codecs.values import NATIVE

__all__ = ["ANY", "DATETIME", "HSTORE", "KINDS", "Kind", "array", "composite"]


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """How the values of one column travel; ``name`` stands in the fingerprint.

    ``type`` is what msgspec's decoder expects. ``exact`` says whether all these values come back equal and of the same
    type. It may well be False: what a field declares is a guess at what a database returns, SQLite's most of all.
    """

    name: str
    type: Any
    exact: Callable[[Collection[Any]], bool]


def _only(*types: type) -> Callable[[Collection[Any]], bool]:
    allowed = frozenset({NoneType, *types})
    return lambda values: allowed.issuperset(map(type, values))


def _plain(name: str, kind: type) -> Kind:
    return Kind(name, kind | None, _only(kind))


_is_datetime = _only(datetime)
_is_time = _only(time)
_is_list = _only(list)
_is_tuple = _only(tuple)
_is_dict = _only(dict)
_is_text = _only(str)


def _exact_datetimes(values: Collection[Any]) -> bool:
    # MessagePack knows UTC and no zone at all, and neither has a second pass of the same hour (fold).
    return _is_datetime(values) and not any(
        value is not None and (value.fold or not (value.tzinfo is None or value.tzinfo is UTC)) for value in values
    )


def _exact_times(values: Collection[Any]) -> bool:
    return _is_time(values) and not any(
        value is not None and (value.fold or value.tzinfo is not None) for value in values
    )


def _exact_hstores(values: Collection[Any]) -> bool:
    found = [value for value in values if value is not None]
    return _is_dict(values) and all(
        None not in value and _is_text(value) and _is_text(value.values()) for value in found
    )


#: Values that say themselves what they are.
ANY = Kind("any", Any, lambda values: NATIVE.issuperset(map(type, values)))
DATETIME = Kind("datetime", datetime | None, _exact_datetimes)
HSTORE = Kind("hstore", dict[str, str | None] | None, _exact_hstores)

_INT = _plain("int", int)
_STR = _plain("str", str)

#: Kind by the name of Django's field class; subclasses are theirs unless they have an entry of their own.
KINDS = {
    "BinaryField": _plain("bytes", bytes),
    "BooleanField": _plain("bool", bool),
    "CharField": _STR,
    "DateField": _plain("date", date),
    "DateTimeField": DATETIME,
    "DecimalField": _plain("decimal", Decimal),
    "DurationField": _plain("timedelta", timedelta),
    "FileField": _STR,
    "FilePathField": _STR,
    "FloatField": _plain("float", float),
    "GenericIPAddressField": _STR,
    "HStoreField": HSTORE,
    "IntegerField": _INT,
    "JSONField": ANY,
    "TextField": _STR,
    "TimeField": Kind("time", time | None, _exact_times),
    "UUIDField": _plain("uuid", UUID),
}


def array(inner: Kind) -> Kind:
    """Return the kind of lists whose items are of kind ``inner``."""
    if inner is ANY:
        return ANY

    def exact(values: Collection[Any]) -> bool:
        return _is_list(values) and inner.exact(list(chain.from_iterable(filter(None, values))))

    return Kind(f"array({inner.name})", list[inner.type] | None, exact)  # type: ignore[name-defined]


def composite(parts: Collection[Kind]) -> Kind:
    """Return the kind of tuples, one item of each kind in ``parts``: a composite primary key."""
    if ANY in parts:
        return ANY

    def exact(values: Collection[Any]) -> bool:
        if not _is_tuple(values) or None in values or any(len(value) != len(parts) for value in values):
            return False
        return all(part.exact(items) for part, items in zip(parts, zip(*values, strict=True), strict=False))

    name = f"composite({','.join(part.name for part in parts)})"
    return Kind(name, tuple[tuple(part.type for part in parts)], exact)  # type: ignore[misc]
