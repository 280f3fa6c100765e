"""Throttles of Django REST framework, its own and ours: as the framework calls them, and in a view of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from rest_framework import throttling
from rest_framework.views import APIView

from bench.throttle.plan import ALLOWED, DENIED, GENEROUS, TIGHT
from bench.throttle.ways import Way, address, word

__all__ = ["WAYS", "Allow", "BareView", "RestView"]

#: The longest period its own throttles can have is a day. They keep each hit for so long, and so have no window to end.
LONGEST = "day"

_factory = RequestFactory()


class Allow(Way):
    """``allow_request`` of a throttle that is made for the request, as the framework does it."""

    def __init__(self, base: type = throttling.AnonRateThrottle, longest: str = LONGEST) -> None:
        often, seldom = _views(base, longest, "allow")
        self._view = often()
        self.generous = partial(_allow, self._view)
        self.tight = partial(_allow, seldom())

    def argument(self, client: int) -> Any:
        request = self._view.initialize_request(_factory.get("/", REMOTE_ADDR=address(client)))
        # Looked for before the throttles are asked: the framework does so when it authenticates.
        assert request.user is None  # noqa: S101
        return request

    def told(self, _: Any, answer: Any, /) -> str:
        return word(answer)


class RestView(Way):
    """A whole view of the framework; its refusal is a response."""

    def __init__(self, base: type = throttling.AnonRateThrottle, longest: str = LONGEST) -> None:
        self.generous, self.tight = (view.as_view() for view in _views(base, longest, "view"))

    def argument(self, client: int) -> HttpRequest:
        return _factory.get("/", REMOTE_ADDR=address(client))

    def told(self, _: Any, answer: Any, /) -> str:
        return {200: ALLOWED, 429: DENIED}.get(answer.status_code, f"status {answer.status_code}")


class BareView(RestView):
    """The same without a throttle: what of the others' times is the framework's."""

    def __init__(self) -> None:
        self.generous = self.tight = _Trivial.as_view()


class _Trivial(APIView):
    def get(self, request: Any) -> HttpResponse:  # noqa: ARG002 - the framework's signature
        return HttpResponse("ok")


def _allow(view: Any, request: Any) -> bool:
    allowed: bool = view.get_throttles()[0].allow_request(request, view)
    return allowed


def _views(base: type, longest: str, scope: str) -> list[type[_Trivial]]:
    made = []
    for name, rate in (("often", f"{GENEROUS}/{longest}"), ("seldom", f"{TIGHT}/{longest}")):
        throttle = type(f"Throttle{name}", (base,), {"rate": rate, "scope": f"{scope}-{name}"})
        made.append(type(f"View{name}", (_Trivial,), {"throttle_classes": [throttle]}))
    return made


WAYS: dict[str, Callable[[], Way]] = {"drf": Allow, "drf-view": RestView, "drf-bare-view": BareView}
