"""The peers, each set up as its documentation shows. Each is imported in its own process only."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from bench.throttle.plan import DAYS, DENIED, GENEROUS, TIGHT
from bench.throttle.ways import Way, address, word

__all__ = ["WAYS"]

_OFTEN, _SELDOM = f"{GENEROUS}/{DAYS}d", f"{TIGHT}/{DAYS}d"

_factory = RequestFactory()


class Ratelimit(Way):
    """django-ratelimit, ``get_usage``: it counts in Django's cache."""

    def __init__(self) -> None:
        from django_ratelimit.core import get_usage

        self.generous = partial(get_usage, group="often", key="ip", rate=_OFTEN, increment=True)
        self.tight = partial(get_usage, group="seldom", key="ip", rate=_SELDOM, increment=True)

    def argument(self, client: int) -> HttpRequest:
        return _factory.get("/", REMOTE_ADDR=address(client))

    def told(self, _: Any, answer: Any, /) -> str:
        return "nothing" if answer is None or not answer["limit"] else word(not answer["should_limit"])


class RatelimitView(Ratelimit):
    """Its decorator. A refusal is an exception that Django makes 403 of, later."""

    def __init__(self) -> None:
        from django_ratelimit.decorators import ratelimit
        from django_ratelimit.exceptions import Ratelimited

        def caught(view: Callable[[HttpRequest], HttpResponse], request: HttpRequest) -> HttpResponse | None:
            try:
                return view(request)
            except Ratelimited:
                return None

        self.generous = partial(caught, ratelimit(group="often view", key="ip", rate=_OFTEN)(_trivial))
        self.tight = partial(caught, ratelimit(group="seldom view", key="ip", rate=_SELDOM)(_trivial))

    def told(self, _: Any, answer: Any, /) -> str:
        return DENIED if answer is None else word(answer.status_code == 200)


class Limits(Way):
    """limits, on Redis, by one of its strategies."""

    def __init__(self, strategy: str) -> None:
        from limits import RateLimitItemPerDay
        from limits.storage import RedisStorage
        from limits.strategies import STRATEGIES

        # Of a socket it wants to be told that Redis is behind it.
        address = settings.REDIS_URL
        storage = RedisStorage(f"redis+{address}" if address.startswith("unix") else address)
        hit = STRATEGIES[strategy](storage).hit
        self.generous = partial(hit, RateLimitItemPerDay(GENEROUS, DAYS, namespace=strategy))
        self.tight = partial(hit, RateLimitItemPerDay(TIGHT, DAYS, namespace=strategy))

    def told(self, _: Any, answer: Any, /) -> str:
        return word(answer) if isinstance(answer, bool) else repr(answer)


class ThrottledPy(Way):
    """throttled-py, GCRA, on Redis."""

    def __init__(self) -> None:
        from throttled import RedisStore, Throttled, per_duration

        store = RedisStore(server=settings.REDIS_URL)
        often, seldom = (per_duration(timedelta(days=DAYS), limit) for limit in (GENEROUS, TIGHT))
        self.generous = Throttled(using="gcra", quota=often, store=store, key_prefix="often").limit
        self.tight = Throttled(using="gcra", quota=seldom, store=store, key_prefix="seldom").limit

    def told(self, _: Any, answer: Any, /) -> str:
        return word(not answer.limited)


def _trivial(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 - a view
    return HttpResponse("ok")


WAYS: dict[str, Callable[[], Way]] = {
    "ratelimit": Ratelimit,
    "ratelimit-view": RatelimitView,
    "limits-fixed": partial(Limits, "fixed-window"),
    "limits-moving": partial(Limits, "moving-window"),
    "limits-sliding": partial(Limits, "sliding-window-counter"),
    "throttled": ThrottledPy,
}
