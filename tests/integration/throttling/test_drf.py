"""DRF's classes by ours: names, scopes, settings; several of a view all or none."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ImproperlyConfigured
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.test import APIRequestFactory, force_authenticate
from rest_framework.views import APIView

from redis_toolkit.contrib import drf
from redis_toolkit.core.connections import link

make = APIRequestFactory()


class Somebody:
    is_authenticated = True

    def __init__(self, pk: int) -> None:
        self.pk = pk


class Burst(drf.UserRateThrottle):
    scope = "burst"
    rate = "2/s"
    algorithm = "sliding_log"


class Sustained(drf.UserRateThrottle):
    scope = "sustained"
    rate = "5/d"
    algorithm = "sliding_log"


def view_of(*classes: type, scope: str | None = None) -> Any:
    class Api(APIView):
        throttle_classes = classes
        throttle_scope = scope
        authentication_classes = ()
        permission_classes = ()

        def get(self, request: Any) -> Response:
            return Response("done")

    return Api.as_view()


def ask(view: Any, user: Any = None, address: str = "1.2.3.4") -> Any:
    request = make.get("/", REMOTE_ADDR=address)
    force_authenticate(request, user=user or AnonymousUser())
    return view(request)


@pytest.fixture(autouse=True)
def rates(monkeypatch: pytest.MonkeyPatch) -> None:
    """As DEFAULT_THROTTLE_RATES would have them."""
    found = {"anon": "1/h", "user": "2/h", "uploads": "1/day", "free": None}
    for each in (drf.SimpleRateThrottle, drf.AnonRateThrottle, drf.UserRateThrottle, drf.ScopedRateThrottle):
        monkeypatch.setattr(each, "THROTTLE_RATES", found)


def test_visitors_and_users() -> None:
    """Visitors by address, users by themselves."""
    anon, user = view_of(drf.AnonRateThrottle), view_of(drf.UserRateThrottle)
    assert [ask(anon, None, each).status_code for each in ("1.1.1.1", "1.1.1.1", "2.2.2.2")] == [200, 429, 200]
    assert [ask(anon, Somebody(1)).status_code for _ in range(3)] == [200] * 3
    assert [ask(user, Somebody(1), f"1.1.1.{at}").status_code for at in range(3)] == [200, 200, 429]
    assert ask(user, Somebody(2)).status_code == 200


def test_how_long_to_wait() -> None:
    """As DRF says it: in the header and in the text."""
    view = view_of(drf.AnonRateThrottle)
    ask(view)
    response = ask(view)
    assert 3500 < int(response.headers["Retry-After"]) <= 3600
    assert "Expected available in" in str(response.data["detail"])


def test_scopes() -> None:
    """A view's own scope; a view without one is free."""
    assert [ask(view_of(drf.ScopedRateThrottle, scope="uploads")).status_code for _ in range(2)] == [200, 429]
    assert [ask(view_of(drf.ScopedRateThrottle)).status_code for _ in range(3)] == [200] * 3
    assert [ask(view_of(drf.ScopedRateThrottle, scope="free")).status_code for _ in range(3)] == [200] * 3


def test_all_or_none_in_one_round_trip() -> None:
    """Two throttles of one user: what the burst denies costs the day nothing."""
    view = view_of(Burst, Sustained)
    before = link().round_trips
    assert ask(view, Somebody(1)).status_code == 200
    ask(view, Somebody(1))
    trips = link().round_trips - before
    assert [ask(view, Somebody(1)).status_code for _ in range(4)] == [429] * 4
    assert Sustained()._throttle("5/d").peek("user", "1", cost=0).remaining == 3
    # (The scripts may have been loaded.)
    assert trips <= 4


def test_the_decisions_are_on_djangos_request() -> None:
    """So the middleware tells how much is left."""
    request = make.get("/")
    force_authenticate(request, user=Somebody(3))
    view_of(Burst, Sustained)(request)
    assert [(each.name, each.remaining) for each in request.throttle_decisions] == [  # type: ignore[attr-defined]
        ("drf.burst", 1), ("drf.sustained", 4),
    ]  # fmt: skip


def test_what_is_no_rate() -> None:
    """It is said when the throttle is made, not guessed."""

    class Monthly(drf.UserRateThrottle):
        rate = "5/month"

    class Nameless(drf.SimpleRateThrottle):
        pass

    with pytest.raises(ImproperlyConfigured, match="A month has no fixed length"):
        Monthly()
    with pytest.raises(ImproperlyConfigured, match="You must set either"):
        Nameless()
    assert Burst().parse_rate("3/2h") == (3, 7200.0)


def test_a_key_of_ones_own() -> None:
    """None counts nobody; any text is one identity."""

    class Mine(drf.SimpleRateThrottle):
        rate = "1/h"

        def get_cache_key(self, request: Any, view: Any) -> str | None:
            key: str | None = request.query_params.get("k")
            return key

    view = view_of(Mine)
    statuses = [view(make.get(f"/{query}")).status_code for query in ("?k=a", "?k=a", "?k=b", "", "")]
    assert statuses == [200, 429, 200, 200, 200]


class Free(drf.AnonRateThrottle):
    scope = "free"
    rate = "1/h"

    def get_cache_key(self, request: Any, view: Any) -> None:
        return None


def plain(address: str = "3.3.3.3", forwarded: str | None = None) -> Request:
    further = {} if forwarded is None else {"HTTP_X_FORWARDED_FOR": forwarded}
    request = Request(make.get("/", REMOTE_ADDR=address, **further))
    request.user = AnonymousUser()
    return request


def test_who_asks_again_is_counted_again() -> None:
    """A view that asks its throttles twice about one request counts twice, as DRF's do; who is not counted never."""

    class View(APIView):
        throttle_classes = (Burst, Sustained, Free)

    view, request = View(), plain()
    burst, sustained, free = view.get_throttles()
    asked = [tuple(each.allow_request(request, view) for each in (burst, sustained, free)) for _ in range(3)]
    assert asked == [(True, True, True), (True, True, True), (False, True, True)]


def test_a_view_that_is_none_of_drfs() -> None:
    """Any object will do for the view: the throttle is asked alone."""
    view, request = object(), plain()
    assert [Burst().allow_request(request, view) for _ in range(3)] == [True, True, False]
    assert Free().allow_request({}, None)


@pytest.mark.parametrize(
    ("forwarded", "proxies", "told"),
    [
        ("9.9.9.9, 2.2.2.2", 1, "2.2.2.2"),
        ("9.9.9.9, 2.2.2.2:80", 1, "2.2.2.2"),
        ("2001:db8::1", 1, "2001:db8::/64"),
        ("a, b", 1, "3.3.3.3"),
        (None, 1, "3.3.3.3"),
        ("9.9.9.9, 2.2.2.2", 0, "3.3.3.3"),
        ("9.9.9.9, 2.2.2.2", None, "3.3.3.3"),
    ],
)
def test_num_proxies(
    monkeypatch: pytest.MonkeyPatch, settings: Any, forwarded: str | None, proxies: int | None, told: str
) -> None:
    """DRF's own setting is followed where it is set; where proxies are named, those are believed and nobody else."""
    monkeypatch.setattr(api_settings, "NUM_PROXIES", proxies)
    assert Burst().get_ident(plain(forwarded=forwarded)) == told
    settings.REDIS_TOOLKIT_TRUSTED_PROXIES = ["8.8.8.8"]
    assert Burst().get_ident(plain(forwarded=forwarded)) == "3.3.3.3"


def test_a_timer_that_a_test_has_put_there() -> None:
    """DRF's way to move the time of a throttle moves ours."""

    class Moved(Burst):
        scope = "moved"
        moment = 100.0

        def timer(self) -> float:
            return self.moment

    view, request = object(), plain()
    assert [Moved().allow_request(request, view) for _ in range(3)] == [True, True, False]
    Moved.moment = 101.0
    assert [Moved().allow_request(request, view) for _ in range(3)] == [True, True, False]


def test_what_is_left_is_told() -> None:
    """``peek`` counts nothing, and says nothing of who is not counted."""
    request = plain()
    assert [Burst().peek(request).remaining for _ in range(3)] == [2, 2, 2]  # type: ignore[union-attr]
    assert Burst().allow_request(request, object())
    assert Burst().peek(request).remaining == 1  # type: ignore[union-attr]
    assert Free().peek(request) is None
