"""Ours: ``hit`` under each algorithm, the decorator, and the throttles for Django REST framework."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from bench.throttle.plan import ALLOWED, DAYS, DENIED, GENEROUS, TIGHT
from bench.throttle.rest import Allow, RestView
from bench.throttle.ways import Way, address, word
from redis_toolkit.contrib.drf import AnonRateThrottle
from redis_toolkit.core.connections import link
from redis_toolkit.throttling import Decision, Throttle, throttle
from redis_toolkit.throttling.checking import forget

__all__ = ["WAYS"]

_OFTEN, _SELDOM = f"{GENEROUS}/{DAYS}d", f"{TIGHT}/{DAYS}d"
_THREE, _THREE_SELDOM = (", ".join(f"{limit}/{DAYS - less}d" for less in range(3)) for limit in (GENEROUS, TIGHT))

_factory = RequestFactory()


class _Ours(Way):
    """What is the same for all: an answer counts only if it is from where it should be from."""

    #: Where a denial must be from.
    source = "redis"

    def begin(self) -> None:
        # What is remembered from before might be over in the middle of a batch.
        forget()

    def end_thread(self) -> None:
        link().close()

    def _said(self, decision: Decision) -> str:
        said = word(decision)
        source = "redis" if decision else self.source
        return said if decision.source == source else f"{said}, by {decision.source!r} instead of {source!r}"


class Hit(_Ours):
    """``Throttle.hit``, of several ``rates`` if they are given."""

    def __init__(self, name: str, algorithm: str = "gcra", often: str = _OFTEN, seldom: str = _SELDOM) -> None:
        self.generous = Throttle(f"{name} often", often, algorithm=algorithm).hit
        self.tight = Throttle(f"{name} seldom", seldom, algorithm=algorithm).hit

    def told(self, _: Any, answer: Any, /) -> str:
        return self._said(answer)


class View(_Ours):
    """A view below ``@throttle``; its refusal is a response with fields and a body."""

    def __init__(self) -> None:
        self.generous = throttle(_OFTEN, key="ip", name="often")(_trivial)
        self.tight = throttle(_SELDOM, key="ip", name="seldom")(_trivial)

    def argument(self, client: int) -> HttpRequest:
        return _factory.get("/", REMOTE_ADDR=address(client))

    def told(self, argument: Any, answer: Any, /) -> str:
        said = self._said(argument.throttle_decisions[-1])
        expected = {ALLOWED: 200, DENIED: 429}.get(said, answer.status_code)
        return said if answer.status_code == expected else f"status {answer.status_code}"


class RememberedHit(Hit):
    """The same of a client whose denial this process knows."""

    source = "denied before"


class RememberedView(View):
    """Likewise."""

    source = "denied before"


class OurAllow(_Ours, Allow):
    """Ours in the framework."""

    def __init__(self) -> None:
        Allow.__init__(self, AnonRateThrottle, f"{DAYS}d")

    def told(self, argument: Any, answer: Any, /) -> str:
        said = self._said(argument._request.throttle_decisions[-1])  # noqa: SLF001 - where the framework keeps it
        return said if said == word(answer) else f"{said}, and answered {answer}"


class OurRestView(_Ours, RestView):
    """Ours in a view of the framework."""

    def __init__(self) -> None:
        RestView.__init__(self, AnonRateThrottle, f"{DAYS}d")

    def told(self, argument: Any, answer: Any, /) -> str:
        said, shown = self._said(argument.throttle_decisions[-1]), RestView.told(self, argument, answer)
        return said if said == shown else f"{said}, and showed {shown}"


def _trivial(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 - a view
    return HttpResponse("ok")


WAYS: dict[str, Callable[[], Way]] = {
    "ours-gcra": partial(Hit, "gcra"),
    "ours-fixed-window": partial(Hit, "fixed", "fixed_window"),
    "ours-sliding-counter": partial(Hit, "counter", "sliding_counter"),
    "ours-sliding-log": partial(Hit, "log", "sliding_log"),
    "ours-three-rates": partial(Hit, "three", "gcra", _THREE, _THREE_SELDOM),
    "ours-remembered": partial(RememberedHit, "remembered"),
    "ours-view": View,
    "ours-view-remembered": RememberedView,
    "ours-drf": OurAllow,
    "ours-drf-view": OurRestView,
}
