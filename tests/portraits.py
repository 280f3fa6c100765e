"""What two answers of a queryset must have in common to be the same answer, as plain values to compare."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.exceptions import (
    FieldDoesNotExist,
    FieldError,
    MultipleObjectsReturned,
    ObjectDoesNotExist,
    ValidationError,
)
from django.db import DatabaseError, NotSupportedError
from django.db.models import Model, QuerySet
from django.db.models.base import ModelState

from redis_toolkit.cache.origins import MARK
from tests.exactness import identical

__all__ = ["outcome", "portrait", "same"]

#: What asking a question may raise, by Django's word.
ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    DatabaseError,
    FieldDoesNotExist,
    FieldError,
    LookupError,
    MultipleObjectsReturned,
    NotSupportedError,
    ObjectDoesNotExist,
    TypeError,
    ValidationError,
    ValueError,
)


def outcome(ask: Callable[[Any], Any], side: Any) -> Any:
    """A portrait of what ``ask(side)`` returns, or the type and the message of what it raises."""
    try:
        return portrait(ask(side))
    except ERRORS as error:
        return "raised", type(error).__module__, type(error).__qualname__, str(error)


def portrait(thing: Any, known: dict[int, int] | None = None) -> Any:
    """``thing`` with each model instance, at any depth, as its class, its attributes and its state."""
    known = {} if known is None else known
    if isinstance(thing, Model):
        return _of_instance(thing, known)
    if isinstance(thing, QuerySet):
        return [portrait(item, known) for item in thing]
    if isinstance(thing, dict):
        names = list(thing)
        if names and all(isinstance(item, Model) for item in thing.values()):
            # in_bulk() promises no order, and PostgreSQL's changes with every update.
            names.sort(key=repr)
        return {name: portrait(thing[name], known) for name in names}
    if isinstance(thing, tuple) and hasattr(thing, "_fields"):
        return type(thing).__name__, thing._fields, [portrait(item, known) for item in thing]
    if isinstance(thing, list | tuple):
        return type(thing)(portrait(item, known) for item in thing)
    return thing


def _of_instance(instance: Model, known: dict[int, int]) -> Any:
    if id(instance) in known:
        # The same object again, such as the owner of a badge of an owner: by its number, for pictures have an end.
        return "seen before", known[id(instance)]
    known[id(instance)] = len(known)
    attributes = {name: value for name, value in vars(instance).items() if name != "_state"}
    return (
        f"{type(instance).__module__}.{type(instance).__qualname__}",
        {name: portrait(attributes[name], known) for name in sorted(attributes)},
        _of_state(instance._state, known),
    )


def _of_state(state: ModelState, known: dict[int, int]) -> Any:
    related = vars(state).get("fields_cache", {})
    return {
        "db": state.db,
        "adding": state.adding,
        "fields_cache": {name: portrait(related[name], known) for name in sorted(related)},
        "fetch_mode": repr(getattr(state, "fetch_mode", None)),
        "peers": sum(peer() is not None for peer in getattr(state, "peers", ())),
        # (That an instance came from the cache is what two pictures of it may differ in.)
        "further": sorted(set(vars(state)) - {"db", "adding", "fields_cache", "fetch_mode", "peers", MARK}),
    }


def same(left: Any, right: Any) -> bool:
    """Whether two portraits show no difference of value or type."""
    return left == right and identical(left, right)
