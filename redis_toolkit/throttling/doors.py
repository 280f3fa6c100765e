"""What the decorator, the mixin and the middleware have in common: a request comes, and is let in or not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from math import inf
from typing import Any, NamedTuple

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.http import HttpRequest, HttpResponse
from django.utils.functional import LazyObject, empty

from redis_toolkit.core.clients import client_address
from redis_toolkit.exceptions import Misconfigured, StoreUnavailable
from redis_toolkit.signals import throttle_denied
from redis_toolkit.throttling.answers import inform, refusal
from redis_toolkit.throttling.checking import Asked, check, refund
from redis_toolkit.throttling.decisions import Decision
from redis_toolkit.throttling.identities import identified
from redis_toolkit.throttling.rules import Case, Rule

__all__ = [
    "Visit",
    "aenter",
    "auser_of",
    "cases_of",
    "enter",
    "is_async",
    "leave",
    "name_of",
    "note",
    "refuse",
    "user_of",
]


class Visit(NamedTuple):
    """A request at a door: what is to be given back (``charged``), and what keeps it out (None: it may come in)."""

    charged: Sequence[Case]
    denial: Decision | None


class Cases(NamedTuple):
    """What is to be asked for a request; or by which rule's deny list it is kept out."""

    cases: Sequence[Case]
    denied_by: Rule | None = None


def cases_of(request: HttpRequest, rules: Sequence[Rule], user: Any = None, keep_out: Sequence[Rule] = ()) -> Cases:
    """What ``rules`` ask for ``request``. Calls the project's code, where rules have any.

    ``keep_out``: further rules whose deny lists hold.
    """
    for rule in (*rules, *keep_out):
        if rule.denies(request):
            _tell(request, _never(rule), *identified(("ip", client_address(request))))
            if not rule.shadow:
                return Cases((), rule)
    return Cases([case for rule in rules if (case := rule.case(request, user)) is not None])


async def aenter(request: HttpRequest, rules: Sequence[Rule], user: Any = None, keep_out: Sequence[Rule] = ()) -> Visit:
    """:func:`cases_of` and :func:`enter`, in threads."""

    def both() -> Visit:
        return enter(request, cases_of(request, rules, user, keep_out))

    if not any(rule.calls for rule in rules):
        # Not in the one thread in which the ORM works: there a check would wait for whatever query is under way.
        return await sync_to_async(both, thread_sensitive=False)()
    # But there the project's code is called, whose connections are those of that thread.
    found = await sync_to_async(cases_of)(request, rules, user, keep_out)
    return await sync_to_async(enter, thread_sensitive=False)(request, found)


def enter(request: HttpRequest, found: Cases) -> Visit:
    """Count ``request``; one round trip. What was decided is in ``request.throttle_decisions`` as well."""
    if found.denied_by is not None:
        never = _never(found.denied_by)
        note(request, [never])
        return Visit((), never)
    decisions = check([case.asked for case in found.cases])
    note(request, decisions)
    denial = None
    charged = []
    for case, decision in zip(found.cases, decisions, strict=True):
        if decision.allowed:
            if decision.source == "redis":
                charged.append(case)
            continue
        _tell(request, decision, case.asked.identity, case.asked.told)
        if not decision and (denial is None or decision.retry_after > denial.retry_after):
            denial = decision
    return Visit(charged, denial)


def leave(request: HttpRequest, response: Any, visit: Visit) -> Any:
    """``response`` with the fields; what its rules say so of is given back."""
    back: list[Asked] = [
        case.asked for case in visit.charged if case.rule.refund_on is not None and case.rule.refund_on(response)
    ]
    if back:
        # Otherwise it stays counted: the client has less, and nobody more.
        with suppress(StoreUnavailable):
            refund(back)
    inform(response, request.throttle_decisions)  # type: ignore[attr-defined]
    return response


def refuse(request: HttpRequest, denial: Decision) -> HttpResponse:
    """The answer to who is not let in."""
    response = refusal(request, denial)
    inform(response, request.throttle_decisions)  # type: ignore[attr-defined]
    return response


def user_of(request: HttpRequest) -> Any:
    """Who is logged in, as the request has it; None without Django's authentication."""
    return getattr(request, "user", None)


async def auser_of(request: HttpRequest) -> Any:
    """The same where nothing may block: ``request.user`` if somebody has set or looked it up, ``auser()`` if not."""
    known = vars(request).get("user")
    if known is not None and not (isinstance(known, LazyObject) and vars(known).get("_wrapped") is empty):
        return known
    return await request.auser() if hasattr(request, "auser") else known


def note(request: Any, decisions: list[Decision]) -> None:
    """Add to ``request.throttle_decisions``."""
    request.throttle_decisions = (*getattr(request, "throttle_decisions", ()), *decisions)


def is_async(view: Any) -> bool:
    """Whether a view is to be awaited: a coroutine function, or a method, by method_decorator, of a class of such."""
    owner = getattr(getattr(view, "func", view), "__self__", None)
    return iscoroutinefunction(view) or bool(getattr(owner, "view_is_async", False))


def name_of(view: Callable[..., Any]) -> str:
    """By which a view is counted: its module and name. Raises Misconfigured where that is not its own."""
    # (What as_view() makes, Django's and DRF's, knows its class; a function of its own it is not.)
    named = getattr(view, "view_class", None) or getattr(view, "cls", None) or view
    home, name = getattr(named, "__module__", ""), getattr(named, "__qualname__", f"<{type(named).__name__}>")
    if "<" in name or home.startswith("django."):
        raise Misconfigured(f"What is throttled here is called {home}.{name}, as others may be: give it a name=.")
    return f"{home}.{name}"


def _never(rule: Rule) -> Decision:
    return Decision(allowed=False, retry_after=inf, name=rule.name, source="deny list", shadow=rule.shadow)


def _tell(request: HttpRequest, decision: Decision, identity: str, told: str) -> None:
    if throttle_denied.receivers:
        throttle_denied.send_robust(sender=None, decision=decision, identity=identity, told=told, request=request)
