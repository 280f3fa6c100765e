"""``cached``: a function's result, remembered under the same stamps as the models it reads."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from django.db import router
from django.db.models import Model

from redis_toolkit.cache.asking import ask
from redis_toolkit.cache.databases import logical_name
from redis_toolkit.cache.freshness import Terms, terms
from redis_toolkit.cache.reading import NO_COLUMNS, Loaded, Question, Source
from redis_toolkit.cache.tables import ANY, Table, tables
from redis_toolkit.core import keys
from redis_toolkit.core.codecs import decode_value, encode_value
from redis_toolkit.exceptions import CodecError, Misconfigured

__all__ = ["cached", "refusals"]

P = ParamSpec("P")
R = TypeVar("R")

#: The name of each function that is cached, and what it depends on: for the check at the start. Those that go, go here.
_functions: Final[WeakKeyDictionary[Any, tuple[str, Sequence[type[Model]]]]] = WeakKeyDictionary()


def cached(
    *,
    depends_on: Sequence[type[Model]],
    ttl: float | timedelta | None = None,
    fresh: float | timedelta | None = None,
    stale: float | timedelta | None = None,
    key: str | None = None,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Remember what a function returns for each set of arguments, until a row of a model in ``depends_on`` is written.

    ``ttl``, ``fresh`` and ``stale``: seconds or a timedelta, as for CacheManager. ``key``: the name under which results
    are kept, default the function's module and qualified name (a lambda, and a function that uses variables of another
    around it, must be given one). Arguments and results are plain values (numbers, text,
    dates, decimals, UUIDs, lists, tuples, dictionaries); with others the function is called each time. Raises
    Misconfigured, at the first call, for a model that is not watched, and for models that live on several databases.
    """
    declared = terms(ttl, fresh, stale)
    if isinstance(depends_on, type):
        raise Misconfigured(f"depends_on is a list of models: depends_on=[{depends_on.__name__}].")
    if not depends_on:
        raise Misconfigured(
            "@cached needs at least one model in depends_on: without one nothing would ever end an answer."
        )

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        name = key or f"{function.__module__}.{function.__qualname__}"
        if key is None and (getattr(function, "__closure__", None) or "<lambda>" in name):
            raise Misconfigured(
                f"@cached {name} needs a key: it is a lambda or uses variables around it, so its name does not tell it"
                " from others. Give it one, as in @cached(key=..., ...)."
            )
        signature = inspect.signature(function)

        @wraps(function)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            try:
                asked = encode_value([name, list(bound.arguments.items())])
            except CodecError:
                return function(*args, **kwargs)

            def load() -> Loaded:
                result = function(*args, **kwargs)
                try:
                    return Loaded(result, encode_value(result))
                except CodecError as error:
                    return Loaded(result, None, error=error)

            question, source = _question(name, asked, depends_on, declared, load)
            answer: R = ask(question, source)
            return answer

        _functions[wrapper] = name, depends_on
        return wrapper

    return decorate


def refusals() -> list[str]:
    """What the first call of each function that is cached, and was imported by now, will raise."""
    found = []
    for name, depends_on in sorted(_functions.values(), key=lambda each: each[0]):
        try:
            _tables_of(name, depends_on, router.db_for_write(depends_on[0]))
        except Misconfigured as refusal:
            found.append(str(refusal))
    return found


def _question(
    name: str, asked: bytes, depends_on: Sequence[type[Model]], declared: Terms, load: Callable[[], Loaded]
) -> tuple[Question, Source]:
    alias = router.db_for_write(depends_on[0])
    read = _tables_of(name, depends_on, alias)
    stamps = [stamp for table in read for stamp in table.stamps(alias, ("", ANY))]
    where = keys.make("f", logical_name(alias), keys.digest(asked))
    question = Question(
        "value", None, where, stamps, [table.name for table in read], declared, NO_COLUMNS,
        lambda data: decode_value(data or b""), load,
    )  # fmt: skip
    return question, Source(alias, alias)


def _tables_of(name: str, depends_on: Sequence[type[Model]], alias: str) -> list[Table]:
    """The tables of the models and their parents. Raises Misconfigured."""
    watched = tables(alias).by_name
    found: list[Table] = []
    for model in depends_on:
        # Writes on another database mark stamps of its own, and would never end what is kept under those of this one.
        if logical_name(router.db_for_write(model)) != logical_name(alias):
            raise Misconfigured(
                f"@cached {name} depends on {depends_on[0]._meta.label} and {model._meta.label}, which live on two"
                " databases. Make it one function for each."
            )
        for each in (model, *model._meta.all_parents):
            table = watched.get(each._meta.db_table)
            if table is None:
                raise Misconfigured(
                    f"@cached {name} depends on {each._meta.label}, which is not watched. Give it a CacheManager or"
                    " name it in REDIS_TOOLKIT_WATCH."
                )
            found.append(table)
    return found
