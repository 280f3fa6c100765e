"""By which name a view is counted, and what is refused because it has none of its own; what is wrong is told early."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.test import AsyncRequestFactory, RequestFactory
from django.utils.decorators import method_decorator
from django.utils.functional import SimpleLazyObject
from django.views import View

from redis_toolkit.exceptions import Misconfigured, Throttled
from redis_toolkit.throttling import Ban, Rule, Throttle, ThrottleMixin, concurrency, exempt, throttle

make = RequestFactory()
amake = AsyncRequestFactory()


class One(View):
    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse()


class Two(One):
    pass


class Awaited(View):
    async def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse()


def page(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


def statuses(view: Any, *requests: HttpRequest) -> list[int]:
    return [view(request).status_code for request in requests]


def test_d14_classes_of_one_module_count_apart() -> None:
    """What as_view() makes is named after its class."""
    one, two = (throttle("1/h", key="ip")(each.as_view()) for each in (One, Two))
    assert statuses(one, make.get("/"), make.get("/")) == [200, 429]
    assert statuses(two, make.get("/"), make.get("/")) == [200, 429]
    assert one(make.get("/")).headers["RateLimit-Policy"].startswith(f'"{__name__}.One";')


def test_d14_two_doors_of_one_view_count_apart() -> None:
    """The second has a number, so that what one counts is not what the other allows."""
    view = throttle("1/h", key="ip", method="POST")(throttle("5/h", key="ip", method="GET")(page))
    assert statuses(view, *[make.get("/")] * 6) == [200] * 5 + [429]
    assert statuses(view, make.post("/"), make.post("/")) == [200, 429]


def test_d14_names_that_are_not_ones_own_are_refused() -> None:
    """Functions in functions, and Django's dispatch, are called as others are: they want a name."""
    with pytest.raises(Misconfigured, match="give it a name="):
        throttle("1/h")(lambda request: HttpResponse())
    with pytest.raises(Misconfigured, match="<partial>, as others may be: give it a name="):
        throttle("1/h")(partial(page))
    with pytest.raises(Misconfigured, match="give it a name="):
        concurrency(1)(lambda request: HttpResponse())

    with pytest.raises(Misconfigured, match="give it a name="):
        method_decorator(throttle("1/h", key="ip"), name="dispatch")(One)


def test_method_decorator_on_an_asynchronous_class() -> None:
    """The response is awaited, and has its fields; a place is left when it is closed."""

    @method_decorator(concurrency(1, key="ip", name="places of the awaited"), name="dispatch")
    @method_decorator(throttle("1/h", key="ip", name="the awaited"), name="dispatch")
    class View(Awaited):
        pass

    async def two() -> list[Any]:
        return [await View.as_view()(amake.get("/")) for _ in range(2)]

    first, second = asyncio.run(two())
    assert (first.status_code, "RateLimit" in first.headers, second.status_code) == (200, True, 429)


def test_several_rules_of_one_decorator_are_charged_or_none() -> None:
    """What the second denies the first has not counted, in one round trip; one name twice is refused."""
    narrow, wide = Rule("narrow", "1/h", key="ip"), Rule("wide", "9/h", key="ip")
    view = throttle(wide, narrow)(page)
    assert statuses(view, *[make.get("/")] * 4) == [200, 429, 429, 429]
    assert Throttle("wide", "9/h").peek("ip", "127.0.0.1").remaining == 8
    with pytest.raises(Misconfigured, match="called 'wide'"):
        throttle(wide, wide)
    with pytest.raises(Misconfigured, match="not both"):
        throttle(wide, name="other")


WRONG: dict[str, Any] = {
    "written with a rate": lambda: throttle(page)(make.get("/")),  # type: ignore[arg-type,type-var]
    "without a request": lambda: throttle("1/h", name="a")(page)(One()),  # type: ignore[arg-type]
    "A class is no view: throttle": lambda: throttle("1/h", name="a")(One),
    "A class is no view: exempt": lambda: exempt(One),
    "'methods', which means nothing. Did you mean 'method'": lambda: throttle("1/h", methods="POST"),
    "not 'GTE'. Did you mean 'GET'": lambda: Rule("a", "1/h", method="GTE"),
    "shadow= is True or False": lambda: Rule("a", "1/h", shadow="yes"),  # type: ignore[arg-type]
    "ban= is a Ban": lambda: Rule("a", "1/h", ban=True),  # type: ignore[arg-type]
    "refund_on= is a callable": lambda: Rule("a", "1/h", refund_on=302),  # type: ignore[arg-type]
    "has a name": lambda: Rule("", "1/h"),
    "'a' cannot be: key= takes names": lambda: Rule("a", "1/h", key=None),  # type: ignore[arg-type]
    "'a' cannot be: There is no key 'client'": lambda: Rule("a", "1/h", key="client"),
    "'nowhere' is no network": lambda: Rule("a", "1/h", exempt="nowhere"),
}


@pytest.mark.parametrize("told", WRONG)
def test_what_is_wrong_is_told(told: str) -> None:
    """With the throttle's name, what stood in the way, and what may be meant."""
    with pytest.raises(Misconfigured, match=told):
        WRONG[told]()


#: A class of these bases.
made: Any = type


def test_a_mixin_that_would_throttle_nothing() -> None:
    """Named after View it would be passed over, and without a rate it has nothing to say."""
    with pytest.raises(Misconfigured, match="name ThrottleMixin before View"):
        made("Late", (View, ThrottleMixin), {"throttle": "1/h"})
    with pytest.raises(Misconfigured, match="it needs throttle"):
        made("Typo", (ThrottleMixin, View), {"throttle_rate": "1/h"}).as_view()
    several = made(
        "Several", (ThrottleMixin, One), {"throttle": ("1/h", "5/d"), "throttle_key": "ip", "throttle_name": "several"}
    )
    first = several.as_view()(make.get("/"))
    assert first.headers["RateLimit-Policy"] == '"several-3600s";q=1;w=3600, "several-86400s";q=5;w=86400'


def test_a_denial_in_words() -> None:
    """What ``Throttled`` says: by which throttle, and how long it takes."""
    mails = Throttle("mails", "1/h")
    mails.hit("ada")
    with pytest.raises(Throttled, match=r"the throttle 'mails' denied this one\. It is allowed again in 3[56]\d\d s\."):
        mails.guard("ada").__enter__()


def test_methods() -> None:
    """HEAD does what GET does, and counts with it; "unsafe" is whatever is not known to be safe."""
    view = throttle("1/h", key="ip", method="GET", name="reads")(page)
    assert statuses(view, make.get("/"), make.head("/"), make.post("/")) == [200, 429, 200]
    unsafe = throttle("1/h", key="ip", method="unsafe", name="writes")(page)
    assert statuses(unsafe, make.get("/"), make.generic("MOVE", "/"), make.generic("MOVE", "/")) == [200, 200, 429]


class Somebody:
    is_authenticated = True
    pk = 5


@pytest.mark.parametrize("is_set", [True, False])
def test_who_is_logged_in_for_an_asynchronous_view(is_set: bool) -> None:
    """Who has been put there by a middleware of the project's is believed; of Django's own nothing is looked up here."""
    view = throttle("1/h", key="user", name="users")(awaited_page)

    def request() -> Any:
        found: Any = amake.get("/")
        found.user = Somebody() if is_set else SimpleLazyObject(lambda: pytest.fail("it was looked up"))
        found.auser = anonymous if is_set else somebody
        return found

    async def twice() -> list[int]:
        return [(await view(request())).status_code for _ in range(2)]

    assert asyncio.run(twice()) == [200, 429]


async def awaited_page(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


async def anonymous() -> Any:
    return AnonymousUser()


async def somebody() -> Any:
    return Somebody()


def test_shadows_hinder_nobody_by_hand_either(heard: list[dict[str, Any]]) -> None:
    """A shadow's denial is true, for whoever asks may go on; it is heard, and begins no ban that is listed."""
    shadow = Throttle("shadow", "1/h", shadow=True, ban=Ban(strikes=1))
    decisions = [shadow.hit("ada") for _ in range(4)]
    assert [(bool(each), each.allowed) for each in decisions] == [(True, True)] + [(True, False)] * 3
    assert len(heard) == 3
