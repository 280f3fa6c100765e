"""What may be gathered: sums, and the latest of several times. Each is a whole number in Redis.

A kind writes a value as such a number, joins numbers, and merges one with what the database holds. Sums of decimals are
counted in units of the field's last place, so nothing is ever rounded.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from decimal import Context, Decimal
from typing import Any, Final, Protocol

from django.db.models import DateTimeField, DecimalField, Field, IntegerField

from redis_toolkit.conf import Settings

__all__ = ["KINDS", "Kind", "Latest", "Sum", "kind_of"]

#: What HINCRBY can add.
_LARGEST: Final = 2**63 - 1
#: Enough for whatever a column holds: the arithmetic of the current context may round.
_EXACT: Final = Context(prec=200)
_EPOCH: Final = datetime.datetime(1970, 1, 1)  # noqa: DTZ001 - the other one is made of it
_MICROSECOND: Final = datetime.timedelta(microseconds=1)


class Kind(Protocol):
    """How values of a field are gathered."""

    @property
    def name(self) -> str:
        """The word for it, which the Lua script knows too."""

    def written(self, value: Any) -> int:
        """``value`` as a whole number. Raises TypeError or ValueError."""

    def joined(self, numbers: Iterable[int]) -> int:
        """Several numbers of one row as one."""

    def merged(self, value: Any, number: int) -> Any:
        """What the field holds once ``number`` is applied to ``value``, which may be None."""


class Sum:
    """Amounts that are added. ``places``: decimal places of the field, 0 for whole numbers."""

    name: Final = "sum"

    def __init__(self, places: int) -> None:
        self._places = places

    def written(self, value: Any) -> int:
        """``value`` in units of the last place."""
        if isinstance(value, bool) or not isinstance(value, int | Decimal if self._places else int):
            raise TypeError(f"{value!r} cannot be added: whole numbers can, and decimals to a DecimalField.")
        exact = Decimal(value)
        if not exact.is_finite() or exact.adjusted() > len(str(_LARGEST)):
            raise ValueError(f"{value!r} cannot be added: it is too large.")
        units = exact.scaleb(self._places, _EXACT)
        number = int(units)
        if number != units or abs(number) > _LARGEST:
            raise ValueError(f"{value!r} cannot be added: it is too large, or has more than {self._places} places.")
        return number

    def joined(self, numbers: Iterable[int]) -> int:
        """Their sum."""
        return sum(numbers)

    def merged(self, value: Any, number: int) -> Any:
        """The sum; what was NULL counts as 0."""
        if not self._places:
            return (value or 0) + number
        return _EXACT.add(value or Decimal(0), Decimal(number).scaleb(-self._places, _EXACT))


class Latest:
    """Times of which the latest stays. ``aware``: whether the field's values have a time zone."""

    name: Final = "latest"

    def __init__(self, *, aware: bool) -> None:
        self._epoch = _EPOCH.replace(tzinfo=datetime.UTC) if aware else _EPOCH
        self._aware = aware

    def written(self, value: Any) -> int:
        """``value`` in microseconds since 1970."""
        if not isinstance(value, datetime.datetime):
            raise TypeError(f"{value!r} is no datetime.")
        if (value.utcoffset() is not None) is not self._aware:
            raise ValueError(f"{value!r} must {'' if self._aware else 'not '}have a time zone (USE_TZ).")
        return (value - self._epoch) // _MICROSECOND

    def joined(self, numbers: Iterable[int]) -> int:
        """The latest."""
        return max(numbers)

    def merged(self, value: Any, number: int) -> Any:
        """The later of the two."""
        given = self._epoch + number * _MICROSECOND
        return given if value is None else max(value, given)


#: The names of the kinds, and which fields each is for.
KINDS: Final[dict[str, tuple[tuple[type[Field[Any, Any]], ...], str]]] = {
    Sum.name: ((IntegerField, DecimalField), "whole numbers or decimals"),
    Latest.name: ((DateTimeField,), "dates with times"),
}


def kind_of(field: Field[Any, Any], name: str) -> Kind:
    """The kind of this ``name`` for ``field``, which must be one of those in ``KINDS``."""
    if name == Latest.name:
        return Latest(aware=Settings.uses_zones())
    return Sum(field.decimal_places if isinstance(field, DecimalField) else 0)
