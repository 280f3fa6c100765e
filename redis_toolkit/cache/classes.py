"""Which classes of objects a query may hold are known so well that their attributes tell all about them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from django.utils.functional import cached_property

__all__ = ["Opaque", "Undeclared", "is_derived", "joins_as_declared", "name_of", "trusted"]


class Opaque(Exception):
    """The walk over a query met something it does not know; the query is identified by its SQL."""


class Undeclared(Opaque):
    """A relation joins by code of the project's own, which may look at more than was asked: at the language, say."""


#: Methods of a relation that say what its JOIN compares.
_JOINING: Final = ("get_extra_restriction", "get_joining_columns", "get_joining_fields")
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


@lru_cache(maxsize=1024)
def joins_as_declared(relation: type[Any]) -> bool:
    """Whether what a relation joins follows from its declaration."""
    methods = [getattr(relation, name, None) for name in _JOINING]
    return all(method is None or method.__module__.startswith("django.") for method in methods)
