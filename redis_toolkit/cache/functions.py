"""``cached``: a function's result, remembered under the same stamps as the models it reads."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from copy import deepcopy
from datetime import timedelta
from functools import wraps
from typing import Any, ParamSpec, Protocol, TypeVar, cast

from asgiref.sync import async_to_sync, iscoroutinefunction
from django.db.models import Model

from redis_toolkit.cache.asking import ask
from redis_toolkit.cache.awaiting import ask_awaiting
from redis_toolkit.cache.freshness import terms
from redis_toolkit.cache.memos import Memo
from redis_toolkit.cache.reading import Loaded, Question, Source
from redis_toolkit.core.codecs import encode_value
from redis_toolkit.exceptions import CodecError, Misconfigured

__all__ = ["CachedFunction", "cached"]

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class CachedFunction(Protocol[P, R_co]):
    """What ``cached`` makes of a function: called as it is, and in two ways more. All await what has to be awaited."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """The result, from the cache where it can be."""
        ...

    def nocache(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Call the function, and store nothing."""
        ...

    def refresh(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Call the function, and store its result anew."""
        ...


def cached(
    *,
    depends_on: Sequence[type[Model] | str],
    ttl: float | timedelta | None = None,
    fresh: float | timedelta | None = None,
    stale: float | timedelta | None = None,
    key: str | None = None,
) -> Callable[[Callable[P, R]], CachedFunction[P, R]]:
    """Remember what a function returns for each set of arguments, until a row of a model in ``depends_on`` is written.

    The function may be a coroutine function. ``depends_on``: models, or their names (``"app.Model"``), which are looked
    up at the first call. ``ttl``, ``fresh`` and ``stale``: seconds or a timedelta, as for CacheManager. ``key``: the
    name under which results are kept, default the function's module and qualified name (a lambda, and a function that
    uses variables of another around it, must be given one). Arguments and results are plain values (numbers, text,
    dates, decimals, UUIDs, lists, tuples, dictionaries); with others the function is called each time. Raises
    Misconfigured for generators and methods; and, at the first call, for a model that is not watched, and for models
    that live on several databases.
    """
    declared = terms(ttl, fresh, stale)

    def decorate(function: Callable[P, R]) -> CachedFunction[P, R]:
        name = _name_of(function, key)
        memo = Memo(f"@cached {name}", depends_on, declared)
        made: Any = (_awaited if iscoroutinefunction(function) else _called)(function, name, memo)
        made.nocache = function
        # The memo lives as long as what it is for.
        made.memo = memo
        return cast("CachedFunction[P, R]", made)

    # What is wrong with these is wrong where they are written, whatever is decorated.
    Memo("@cached", depends_on, declared, is_checked=False)
    return decorate


def _name_of(function: Callable[..., Any], key: str | None) -> str:
    """The name under which results are kept. Raises Misconfigured for what cannot be remembered."""
    qualified = getattr(function, "__qualname__", "")
    name = key or f"{function.__module__}.{qualified}"
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise Misconfigured(
            f"@cached {name} is a generator: what it yields is gone once it is read. Return a list of it."
        )
    owner = qualified.rpartition(".")[0]
    first = next(iter(inspect.signature(function).parameters), "")
    if owner and not owner.endswith("<locals>") and first in {"self", "cls"}:
        raise Misconfigured(
            f"@cached {name} is a method: {first} is no plain value to remember a result by. Cache a function of what"
            " the result depends on, self.pk for one, and call it in the method."
        )
    if key is None and (getattr(function, "__closure__", None) or "<lambda>" in name):
        raise Misconfigured(
            f"@cached {name} needs a key: it is a lambda or uses variables around it, so its name does not tell it"
            " from others. Give it one, as in @cached(key=..., ...)."
        )
    return name


def _asking(function: Callable[..., Any], name: str) -> Callable[..., bytes | None]:
    """What tells what is asked by a call; None where that are no plain values."""
    signature = inspect.signature(function)

    def asked(*args: Any, **kwargs: Any) -> bytes | None:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        try:
            return encode_value([name, list(bound.arguments.items())])
        except CodecError:
            return None

    return asked


def _loaded(result: Any) -> Loaded:
    try:
        return Loaded(result, encode_value(result))
    except CodecError as error:
        return Loaded(result, None, error=error)


def _kept(memo: Memo, args: Any, kwargs: Any) -> Any:
    """The arguments as they are now, if the function may be called when the caller has gone on.

    1. a result past its ``fresh`` is given  2. the caller changes a list it asked with  3. a thread calls the function.
    """
    return deepcopy((args, kwargs)) if memo.terms.fresh or memo.terms.stale else (args, kwargs)


def _called(function: Callable[..., Any], name: str, memo: Memo) -> Any:
    asking = _asking(function, name)

    def answer(args: Any, kwargs: Any, *, refresh: bool) -> Any:
        asked = asking(*args, **kwargs)
        if asked is None:
            return function(*args, **kwargs)
        given = _kept(memo, args, kwargs)
        return ask(*memo.question("value", asked, lambda: _loaded(function(*given[0], **given[1]))), refresh=refresh)

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return answer(args, kwargs, refresh=False)

    @wraps(function)
    def refresh(*args: Any, **kwargs: Any) -> Any:
        return answer(args, kwargs, refresh=True)

    made: Any = call
    made.refresh = refresh
    return made


def _awaited(function: Callable[..., Any], name: str, memo: Memo) -> Any:
    asking = _asking(function, name)

    async def answer(args: Any, kwargs: Any, *, refresh: bool) -> Any:
        asked = asking(*args, **kwargs)
        if asked is None:
            return await function(*args, **kwargs)

        given = _kept(memo, args, kwargs)

        async def load() -> Loaded:
            return _loaded(await function(*given[0], **given[1]))

        def begin() -> tuple[Question, Source]:
            # Whoever has no loop of his own may load it too: the thread that makes it anew.
            return memo.question("value", asked, async_to_sync(load))

        return await ask_awaiting(begin, load, refresh=refresh)

    @wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        return await answer(args, kwargs, refresh=False)

    @wraps(function)
    async def refresh(*args: Any, **kwargs: Any) -> Any:
        return await answer(args, kwargs, refresh=True)

    made: Any = call
    made.refresh = refresh
    return made
