"""Which columns' values can name a stamp, and how a value is written in its name.

A stamp speaks for rows that *the database* holds equal, so only types whose equality Python decides alike take part:
whole numbers, booleans, dates, UUIDs, and text under the database's own binary comparison. Floats, decimals, times,
text with a collation of its own, and fields of other classes make no stamps: queries on them depend on coarser ones.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from django.db import models
from django.db.models import Field

from redis_toolkit.core.keys import digest

__all__ = ["Namer", "namer_of", "plain_type", "stored_field", "value_named"]

#: A value as a part of a stamp's name. Raises ValueError or TypeError for what the column cannot hold.
Namer = Callable[[Any], str]


def _whole(value: Any) -> str:
    if not isinstance(value, int | str):
        raise TypeError(value)
    return str(int(value))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    # Text may be a token or an address: keys are seen by more people than values are.
    return "~" + digest(str.__str__(value).encode("utf-8", "surrogatepass"))


@lru_cache
def _text_within(length: int) -> Namer:
    def name(value: Any) -> str:
        if isinstance(value, str) and len(value) > length:
            # PostgreSQL drops blanks beyond a column's length: what it stores is not what it was given.
            raise ValueError(value)
        return _text(value)

    return name


def _uuid(value: Any) -> str:
    if isinstance(value, UUID):
        return value.hex
    if not isinstance(value, str):
        raise TypeError(value)
    return UUID(value).hex


def _date(value: Any) -> str:
    if isinstance(value, datetime.date):
        if isinstance(value, datetime.datetime):
            raise TypeError(value)
        return value.isoformat()
    return datetime.date.fromisoformat(value).isoformat()


_NAMERS: Final[tuple[tuple[type[Field[Any, Any]], Namer], ...]] = (
    (models.IntegerField, _whole),
    (models.BooleanField, _whole),
    (models.CharField, _text),
    (models.TextField, _text),
    (models.UUIDField, _uuid),
    (models.DateField, _date),
)
_PLAIN_TYPES: Final[tuple[tuple[type[Field[Any, Any]], type], ...]] = (
    (models.IntegerField, int),
    (models.BooleanField, bool),
    (models.CharField, str),
    (models.TextField, str),
    (models.UUIDField, UUID),
    (models.DateField, datetime.date),
)
#: Databases that compare text byte by byte unless told otherwise.
_BINARY_TEXT: Final = frozenset({"postgresql", "sqlite"})


def stored_field(field: Field[Any, Any]) -> Field[Any, Any]:
    """The field whose type a column has: for a foreign key that of the column it refers to."""
    while field.remote_field is not None and isinstance(field, models.ForeignKey):
        field = field.target_field
    return field


def plain_type(field: Field[Any, Any]) -> type | None:
    """The one Python type whose values a column takes and gives as they stand; None if there is no such type."""
    stored = stored_field(field)
    if not type(stored).__module__.startswith("django.db.models.") or isinstance(stored, models.DateTimeField):
        return None
    return next((plain for kind, plain in _PLAIN_TYPES if isinstance(stored, kind)), None)


def namer_of(field: Field[Any, Any], vendor: str) -> Namer | None:
    """How values of ``field`` are written in stamps on a database of ``vendor``; None if they make none."""
    stored = stored_field(field)
    if not type(stored).__module__.startswith("django.db.models.") or isinstance(stored, models.DateTimeField):
        return None
    namer = next((namer for kind, namer in _NAMERS if isinstance(stored, kind)), None)
    if namer is _text and (vendor not in _BINARY_TEXT or getattr(stored, "db_collation", None)):
        return None
    length = getattr(stored, "max_length", None)
    return _text_within(length) if namer is _text and isinstance(stored, models.CharField) and length else namer


def value_named(field: Field[Any, Any], written: str) -> Any:
    """The value that is written so in the name of a stamp. Raises ValueError for text, of which only a digest is."""
    read = _FROM_NAMES.get(plain_type(field) or type(None))
    if read is None:
        raise ValueError(written)
    return read(written)


_FROM_NAMES: Final[dict[type, Callable[[str], Any]]] = {
    int: int,
    bool: lambda written: bool(int(written)),
    UUID: UUID,
    datetime.date: datetime.date.fromisoformat,
}
