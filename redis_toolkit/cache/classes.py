"""Which classes of objects a query may hold are known so well that their attributes tell all about them."""

from __future__ import annotations

from django.utils.functional import cached_property

__all__ = ["Opaque", "is_derived", "name_of", "trusted"]


class Opaque(Exception):
    """The walk over a query met something it does not know; the query is identified by its SQL."""


_derived: dict[tuple[type, str], bool] = {}


def name_of(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def trusted(kind: type) -> str:
    """The name of a class whose whole state is in its attributes; only Django's own are known to be so."""
    if not kind.__module__.startswith("django."):
        raise Opaque(kind)
    return name_of(kind)


def is_derived(kind: type, name: str) -> bool:
    """Whether an attribute follows from the others: remembered properties and the arguments of the constructor."""
    try:
        return _derived[kind, name]
    except KeyError:
        found = name in {"_constructor_args", "is_bool"} or (
            name != "output_field" and isinstance(getattr(kind, name, None), cached_property)
        )
        return _derived.setdefault((kind, name), found)
