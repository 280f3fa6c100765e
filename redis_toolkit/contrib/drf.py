"""Throttles for Django REST framework, under DRF's own names: exact, and all of a view's are charged or none.

    REST_FRAMEWORK = {
        "DEFAULT_THROTTLE_CLASSES": ["redis_toolkit.contrib.drf.UserRateThrottle"],
        "DEFAULT_THROTTLE_RATES": {"user": "10/s, 1000/h"},
    }

Rates and scopes are found where DRF's classes find them. Unlike there, several throttles of one view are asked
together, in one round trip, and what one denies is charged by none; the client's address is found by
``REDIS_TOOLKIT_TRUSTED_PROXIES``, or by ``NUM_PROXIES`` where that alone is set (and never is the whole of
``X-Forwarded-For`` taken for it); and a rate that is no rate is an error (DRF reads ``5/month`` as five a minute).
"""

from __future__ import annotations

from functools import lru_cache
from math import inf
from typing import Any, ClassVar

from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from rest_framework import throttling
from rest_framework.settings import api_settings

from redis_toolkit.conf import settings
from redis_toolkit.core.clients import client_address
from redis_toolkit.core.networks import packed
from redis_toolkit.signals import throttle_denied
from redis_toolkit.throttling import Ban, Decision, Throttle
from redis_toolkit.throttling.checking import Asked, check
from redis_toolkit.throttling.identities import identified

__all__ = ["AnonRateThrottle", "BaseThrottle", "ScopedRateThrottle", "SimpleRateThrottle", "UserRateThrottle"]

BaseThrottle = throttling.BaseThrottle
#: DRF's clock, which is not asked: the server's is. What tests put in its place is.
_DRFS_TIMER = throttling.SimpleRateThrottle.timer


class SimpleRateThrottle(throttling.SimpleRateThrottle):
    """As DRF's: override :meth:`get_cache_key`, and set ``rate`` or ``scope``.

    ``algorithm``, ``on_outage``, ``ban`` and ``cost`` as for Throttle. The server's clock counts; where a test replaces
    ``timer`` (seconds), that one does.
    """

    algorithm: ClassVar[str] = "gcra"
    on_outage: ClassVar[str] = "local"
    ban: ClassVar[Ban | None] = None
    cost: ClassVar[int] = 1

    decision: Decision | None = None

    def parse_rate(self, rate: Any) -> tuple[Any, Any]:
        """The limit and the period (seconds) of the first rate. Raises ImproperlyConfigured for what is no rate."""
        if rate is None:
            return None, None
        first = self._throttle(rate).limits.rates[0]
        return first.limit, first.seconds

    def get_ident(self, request: Any) -> str:
        """The client's address; of IPv6 the network."""
        told = super().get_ident(request) if api_settings.NUM_PROXIES and not settings.TRUSTED_PROXIES else None
        if told is None or packed(told) is None:
            return client_address(request)
        # What the outermost proxy has seen, as if we had seen it.
        direct = HttpRequest()
        direct.META["REMOTE_ADDR"] = told
        return client_address(direct)

    def allow_request(self, request: Any, view: Any) -> bool:
        """Whether the request is allowed by this throttle; the view's others are asked in the same round trip."""
        known = getattr(request, _KNOWN, None)
        left = known[1] if known is not None and known[0] is view else None
        if left is None or self.place not in left:
            asked = self.asked(request, view)
            if asked is None:
                self.decision = None
                return True
            # (Who is asked again about the same request counts it again, alone.)
            others = _others(view) if left is None else []
            left = (left or {}) | _decide(self, asked, others, request, view)
            setattr(request, _KNOWN, (view, left))
        self.decision = left.pop(self.place)
        return self.decision.allowed

    def peek(self, request: Any, view: Any = None) -> Decision | None:
        """What :meth:`allow_request` would say of one more request; nothing is counted. None: it is not counted."""
        asked = self.asked(request, view)
        return None if asked is None else check([asked], charges=False, now=self.own_time())[0]

    def wait(self) -> float | None:
        """Seconds after which the request will be allowed; None: never, or that is not known."""
        if self.decision is None or self.decision.retry_after == inf:
            return None
        return self.decision.retry_after

    def asked(self, request: Any, view: Any) -> Asked | None:
        """What is asked of Redis for this request; None: it is not counted."""
        if self.rate is None:
            return None
        key = self.get_cache_key(request, view)
        if key is None:
            return None
        throttle = self._throttle(self.rate)
        # (In two parts where it has two, "ip 203.0.113.5": so it can be typed, and of the rest the beginning is told.)
        parts = tuple(str(key).split(" ", 1))
        return Asked(throttle.limits, *identified(parts), throttle.cost, throttle.on_outage)

    def own_time(self) -> int | None:
        """The time in microseconds by a ``timer`` that was put there; None: that of the server."""
        return None if self.timer is _DRFS_TIMER else round(self.timer() * 1_000_000)

    def _throttle(self, rate: Any) -> Throttle:
        name = f"drf.{self.scope}" if self.scope else f"{type(self).__module__}.{type(self).__qualname__}"
        try:
            return _made(name, rate, self.algorithm, self.cost, self.on_outage, self.ban)
        except (TypeError, ValueError) as error:
            raise ImproperlyConfigured(f"The rate of {name} cannot be: {error}") from error

    @property
    def place(self) -> tuple[type, Any]:
        """What tells this throttle from the view's others."""
        return type(self), self.scope


class AnonRateThrottle(SimpleRateThrottle):
    """Requests of visitors who are not logged in, by address."""

    scope = "anon"

    def get_cache_key(self, request: Any, view: Any) -> str | None:  # noqa: ARG002 - DRF's signature
        """Who is counted; None for a user."""
        if request.user and request.user.is_authenticated:
            return None
        return _client(self, request)


class UserRateThrottle(SimpleRateThrottle):
    """Requests of a user, wherever they come from; of others by address."""

    scope = "user"

    def get_cache_key(self, request: Any, view: Any) -> str | None:  # noqa: ARG002
        """Who is counted."""
        return _client(self, request)


class ScopedRateThrottle(SimpleRateThrottle):
    """Requests to views with a ``throttle_scope``, by user or address, at the rate of that scope."""

    scope_attr = "throttle_scope"

    def __init__(self) -> None:
        # The scope, and so the rate, is known when the view is.
        self.rate = None

    def allow_request(self, request: Any, view: Any) -> bool:
        """As SimpleRateThrottle; a view without a scope is not throttled."""
        self._find(view)
        return True if self.scope is None else super().allow_request(request, view)

    def asked(self, request: Any, view: Any) -> Asked | None:
        """As SimpleRateThrottle."""
        self._find(view)
        return None if self.scope is None else super().asked(request, view)

    def get_cache_key(self, request: Any, view: Any) -> str | None:  # noqa: ARG002
        """Who is counted."""
        return _client(self, request)

    def _find(self, view: Any) -> None:
        self.scope = getattr(view, self.scope_attr, None) or None
        if self.scope is not None:
            self.rate = self.get_rate()


#: The request's attribute for its view, and what that one's throttles have said and not yet been asked for.
_KNOWN = "_redis_toolkit_throttles"
_made = lru_cache(1024)(
    lambda name, rate, algorithm, cost, on_outage, ban: Throttle(
        name, rate, algorithm=algorithm, cost=cost, on_outage=on_outage, ban=ban
    )
)


def _client(throttle: SimpleRateThrottle, request: Any) -> str:
    if request.user and request.user.is_authenticated:
        return f"user {request.user.pk}"
    return f"ip {throttle.get_ident(request)}"


def _others(view: Any) -> list[SimpleRateThrottle]:
    """The throttles of ours that a view has."""
    every = view.get_throttles() if hasattr(view, "get_throttles") else ()
    return [each for each in every if isinstance(each, SimpleRateThrottle)]


def _decide(
    first: SimpleRateThrottle, asked: Asked, others: list[SimpleRateThrottle], request: Any, view: Any
) -> dict[tuple[type, Any], Decision]:
    """What ``first``, of which ``asked`` is asked, and ``others`` say, by their places."""
    cases = {first.place: asked}
    now = first.own_time()
    for each in others:
        # (DRF makes anew what it asks for a view's throttles, so one of them is the first.)
        further = None if each.place in cases else each.asked(request, view)
        if further is not None:
            cases.setdefault(each.place, further)
            now = each.own_time() if now is None else now
    decisions = check(list(cases.values()), now=now)
    whole = getattr(request, "_request", request)
    whole.throttle_decisions = (*getattr(whole, "throttle_decisions", ()), *decisions)
    for case, decision in zip(cases.values(), decisions, strict=True):
        if not decision:
            throttle_denied.send_robust(
                sender=None, decision=decision, identity=case.identity, told=case.told, request=whole
            )
    return dict(zip(cases, decisions, strict=True))
