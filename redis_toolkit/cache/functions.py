"""``cached``: a function's result, remembered under the same stamps as the models it reads."""

from __future__ import annotations

import inspect
import sys
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from copy import deepcopy
from datetime import timedelta
from functools import partial, wraps
from importlib import import_module
from typing import Any, Final, ParamSpec, Protocol, TypeVar, cast
from weakref import WeakValueDictionary

from asgiref.sync import async_to_sync, iscoroutinefunction
from django.apps import apps
from django.db.models import Model

from redis_toolkit.cache.asking import ask
from redis_toolkit.cache.awaiting import ask_awaiting
from redis_toolkit.cache.freshness import terms
from redis_toolkit.cache.memos import Memo
from redis_toolkit.cache.reading import Loaded, Question, Source
from redis_toolkit.cache.telling import alone
from redis_toolkit.core.codecs import decode_value, encode_value
from redis_toolkit.exceptions import CodecError, Misconfigured

__all__ = ["CachedFunction", "cached", "call_of"]

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
        calls = _known[name] = _Calls(function, name, Memo(f"@cached {name}", depends_on, declared, name))
        made: Any = (_awaited if calls.is_awaited else _called)(function, calls)
        made.nocache = function
        # They live as long as what they are of.
        made.calls = calls
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


class _Calls:
    """The calls of a function, each told from the others by its arguments."""

    def __init__(self, function: Callable[..., Any], name: str, memo: Memo) -> None:
        self._function = function
        self._name = name
        self._memo = memo
        self._signature = inspect.signature(function)
        self.is_awaited = iscoroutinefunction(function)

    def asked(self, args: Any, kwargs: Any) -> bytes | None:
        """What tells what is asked by a call; None where the arguments are no plain values."""
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        try:
            return encode_value([self._name, list(bound.arguments.items())])
        except CodecError:
            return None

    def alone(self) -> AbstractContextManager[None]:
        """Around a call that is not remembered."""
        return alone("value", None, self._memo.alias, self._name)

    def loads(self, args: Any, kwargs: Any) -> Callable[[], Any]:
        """What calls the function and gives what it gave, awaited if that is.

        The arguments are kept as they are now, if the function may be called when the caller has gone on. 1. a result
        past its ``fresh`` is given  2. the caller changes a list it asked with  3. a thread calls the function.
        """
        terms, function = self._memo.terms, self._function
        args, kwargs = deepcopy((args, kwargs)) if terms.fresh or terms.stale else (args, kwargs)

        if not self.is_awaited:
            return lambda: _loaded(function(*args, **kwargs))

        async def awaited() -> Loaded:
            return _loaded(await function(*args, **kwargs))

        return awaited

    def question(self, asked: bytes, load: Callable[[], Any]) -> tuple[Question, Source]:
        """The question for the result of the call that ``asked`` tells, which ``load`` makes."""
        # Whoever has no loop of his own may load it too: the thread that makes it anew.
        calls = async_to_sync(load) if self.is_awaited else load
        return self._memo.question("value", asked, calls, told=lambda: self._told(asked))

    def _told(self, asked: bytes) -> list[Any] | None:
        """The call as another process can find it; None if it would not find this function."""
        function = self._function
        declared = getattr(sys.modules.get(function.__module__), getattr(function, "__qualname__", ""), None)
        # It imports the module, if that is an app's, and must find there what was decorated.
        if getattr(declared, "calls", None) is not self or apps.get_containing_app_config(function.__module__) is None:
            return None
        return ["value", function.__module__, asked] if _known.get(self._name) is self else None

    def question_of(self, asked: bytes, arguments: list[tuple[str, Any]]) -> tuple[Question, Source]:
        """The question for a call that another process tells of. Raises ValueError for one that could not be made."""
        bound = inspect.BoundArguments(self._signature, OrderedDict(arguments))
        args, kwargs = bound.args, bound.kwargs
        if self.asked(args, kwargs) != asked:
            raise ValueError(f"{self._name} has other parameters here than where this message comes from.")
        return self.question(asked, self.loads(args, kwargs))


#: The functions that were imported by now, by name.
_known: Final[WeakValueDictionary[str, _Calls]] = WeakValueDictionary()


def call_of(module: str, asked: bytes) -> Callable[[], tuple[Question, Source]]:
    """What gives the question for a call of a function in ``module``, as another process has told it.

    Raises LookupError for a function that is not declared here, ValueError for a call that could not be made.
    """
    name, arguments = decode_value(asked)
    if name not in _known and apps.get_containing_app_config(module) is not None:
        try:
            import_module(module)
        except ImportError as error:
            raise LookupError(f"{module}, in which {name} is declared, cannot be imported here: {error}") from error
    if name not in _known:
        raise LookupError(f"No function {name} is declared with @cached in {module}, or that is in no installed app.")
    return partial(_known[name].question_of, asked, arguments)


def _loaded(result: Any) -> Loaded:
    try:
        return Loaded(result, encode_value(result))
    except CodecError as error:
        return Loaded(result, None, error=error)


def _called(function: Callable[..., Any], calls: _Calls) -> Any:
    def answer(args: Any, kwargs: Any, *, refresh: bool) -> Any:
        asked = calls.asked(args, kwargs)
        if asked is None:
            with calls.alone():
                return function(*args, **kwargs)
        return ask(*calls.question(asked, calls.loads(args, kwargs)), refresh=refresh)

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return answer(args, kwargs, refresh=False)

    @wraps(function)
    def refresh(*args: Any, **kwargs: Any) -> Any:
        return answer(args, kwargs, refresh=True)

    made: Any = call
    made.refresh = refresh
    return made


def _awaited(function: Callable[..., Any], calls: _Calls) -> Any:
    async def answer(args: Any, kwargs: Any, *, refresh: bool) -> Any:
        asked = calls.asked(args, kwargs)
        if asked is None:
            with calls.alone():
                return await function(*args, **kwargs)
        load = calls.loads(args, kwargs)
        return await ask_awaiting(partial(calls.question, asked, load), load, refresh=refresh)

    @wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        return await answer(args, kwargs, refresh=False)

    @wraps(function)
    async def refresh(*args: Any, **kwargs: Any) -> Any:
        return await answer(args, kwargs, refresh=True)

    made: Any = call
    made.refresh = refresh
    return made
