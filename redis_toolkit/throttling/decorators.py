"""``@throttle`` for views, sync or async; ``ThrottleMixin`` for classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeVar

from asgiref.sync import sync_to_async
from django.http import HttpRequest

from redis_toolkit.exceptions import Misconfigured
from redis_toolkit.throttling.doors import aenter, auser_of, cases_of, enter, is_async, leave, name_of, refuse, user_of
from redis_toolkit.throttling.rules import Rates, Rule, checked_words

__all__ = ["ThrottleMixin", "guarded", "throttle"]

View = TypeVar("View", bound=Callable[..., Any])

#: The attribute of a view that says by which names it is counted already.
_NAMES = "throttle_names"


def throttle(rate: Rates | Rule, *further: Rule, name: str | None = None, **words: Any) -> Callable[[View], View]:
    """Let a view, sync or async, be called so often by each client: beyond that 429, and the view is not called.

    ``rate``: ``"100/m"``, ``"10/s, 1000/h"``, a rate by tier, or a callable that takes the request. ``name``: by which
    it is counted, default the view's module and name; views with one name count together. Further words as for Rule:
    ``key``, ``algorithm``, ``cost``, ``method``, ``on_outage``, …. Or several Rules, of which all are charged or none.
    Raises Misconfigured where it is written.
    """
    if isinstance(rate, Rule):
        if name is not None or words:
            raise Misconfigured("@throttle takes Rules, or a rate and words, not both.")
        rules = _distinct((rate, *further))
        return lambda view: guarded(view, rules)
    checked_words("@throttle", words)
    # What is wrong is wrong here, whatever is decorated.
    Rule(name or "view", rate, **words)

    def decorate(view: View) -> View:
        if isinstance(view, HttpRequest):
            raise Misconfigured('@throttle is written with a rate: @throttle("100/m").')
        return guarded(view, [Rule(name or _free(name_of(view), view), rate, **words)])

    return decorate


def guarded(view: View, rules: Sequence[Rule]) -> View:
    """``view``, behind ``rules``: all of them are charged or none. Raises Misconfigured for a class: it is no view."""
    if isinstance(view, type):
        raise Misconfigured(f"A class is no view: throttle(...)({view.__name__}.as_view()), or ThrottleMixin.")
    needs_user = any(rule.needs_user for rule in rules)
    refunds = any(rule.refund_on for rule in rules)

    @wraps(view)
    def call(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        _check_request(request)
        visit = enter(request, cases_of(request, rules, user_of(request) if needs_user else None))
        if visit.denial is not None:
            return refuse(request, visit.denial)
        return leave(request, view(request, *args, **kwargs), visit)

    @wraps(view)
    async def await_(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        _check_request(request)
        visit = await aenter(request, rules, await auser_of(request) if needs_user else None)
        if visit.denial is not None:
            return refuse(request, visit.denial)
        response = await view(request, *args, **kwargs)
        return await sync_to_async(leave)(request, response, visit) if refunds else leave(request, response, visit)

    made: Any = await_ if is_async(view) else call
    setattr(made, _NAMES, (*getattr(view, _NAMES, ()), *(rule.name for rule in rules)))
    return made  # type: ignore[no-any-return]


def _free(name: str, view: Any) -> str:
    """``name``, or with a number, where a view has a door of that name already: each counts by itself."""
    taken = getattr(view, _NAMES, ())
    return next(each for each in (name, *(f"{name} {at}" for at in range(2, 100))) if each not in taken)


def _distinct(rules: Sequence[Rule]) -> Sequence[Rule]:
    names = [rule.name for rule in rules]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise Misconfigured(f"Two rules of one view are called {min(twice)!r}: they would be counted as one.")
    return rules


def _check_request(request: Any) -> None:
    if not hasattr(request, "META"):
        raise Misconfigured(
            "@throttle was called without a request. Above a method: method_decorator(throttle(..., name=...))."
        )


class ThrottleMixin:
    """A class-based view that is throttled, named first: ``throttle = "30/m"``, a Rule, or a list of these.

    ``throttle_key`` and ``throttle_name`` as for the decorator; for anything else make it a Rule. All are charged or
    none.
    """

    throttle: Any
    throttle_key: Any = "user_or_ip"
    throttle_name: str | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for each in cls.__mro__[: cls.__mro__.index(ThrottleMixin)]:
            if "as_view" in vars(each) and not issubclass(each, ThrottleMixin):
                raise Misconfigured(f"{cls.__qualname__} is not throttled: name ThrottleMixin before {each.__name__}.")

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        """The view, behind its rules. Raises Misconfigured without any."""
        view = super().as_view(**initkwargs)  # type: ignore[misc]
        if not hasattr(cls, "throttle"):
            raise Misconfigured(f'{cls.__qualname__} is not throttled: it needs throttle = "30/m", say, or None.')
        given: Any = cls.throttle
        every = list(given) if isinstance(given, list | tuple) else [given]
        rules = [each for each in every if isinstance(each, Rule)]
        rates = [each for each in every if not isinstance(each, Rule)]
        if rates:
            name = cls.throttle_name or name_of(cls)
            rules.append(Rule(name, rates if len(rates) > 1 else rates[0], key=cls.throttle_key))
        return guarded(view, _distinct(rules))
