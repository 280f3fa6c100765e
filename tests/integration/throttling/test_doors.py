"""The decorator, the mixin and the middleware, for views of either kind."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.test import AsyncRequestFactory, Client, RequestFactory
from django.urls import path
from django.utils.decorators import method_decorator
from django.views import View

from redis_toolkit.core.clock import freeze
from redis_toolkit.exceptions import Misconfigured
from redis_toolkit.throttling import Rule, Throttle, ThrottleMixin, exempt, throttle
from redis_toolkit.throttling.middleware import ThrottleMiddleware

make = RequestFactory()
amake = AsyncRequestFactory()


class Somebody:
    is_authenticated = True

    def __init__(self, pk: int) -> None:
        self.pk = pk


def plain(request: HttpRequest) -> HttpResponse:
    return HttpResponse("done")


async def awaited(request: HttpRequest) -> HttpResponse:
    return HttpResponse("done")


def ask(view: Any, request: Any = None) -> HttpResponse:
    """The response of a view of either kind."""
    answer = view(make.get("/") if request is None else request)
    found: HttpResponse = asyncio.run(_result(answer)) if asyncio.iscoroutine(answer) else answer
    return found


async def _result(answer: Any) -> Any:
    return await answer


@pytest.mark.parametrize("view", [plain, awaited])
def test_the_decorator(view: Callable[..., Any]) -> None:
    """Two of three; then 429, and how long to wait; what is left on each."""
    guarded = throttle("2/h", key="ip", name="two")(view)
    assert asyncio.iscoroutinefunction(guarded) is asyncio.iscoroutinefunction(view)
    first, second, third = (ask(guarded) for _ in range(3))
    assert [each.status_code for each in (first, second, third)] == [200, 200, 429]
    assert first.headers["RateLimit-Policy"] == '"two";q=2;w=3600'
    assert [each.headers["RateLimit"].partition(";t=")[0] for each in (first, second, third)] == [
        '"two";r=1', '"two";r=0', '"two";r=0',
    ]  # fmt: skip
    assert "Retry-After" not in second.headers
    assert 1700 < int(third.headers["Retry-After"]) <= 1800
    assert third.headers["Cache-Control"] == "no-store"
    assert third.headers["Content-Type"] == "application/problem+json"
    assert json.loads(third.content) == {
        "type": "https://iana.org/assignments/http-problem-types#quota-exceeded",
        "title": "Too many requests",
        "status": 429,
        "violated-policies": ["two"],
    }


def test_each_client_by_itself() -> None:
    """By address; IPv6 by its /64; whoever has none is one with all who have none."""
    guarded = throttle("1/h", key="ip", name="each")(plain)
    statuses = [
        ask(guarded, make.get("/", REMOTE_ADDR=address)).status_code
        for address in (
            "1.2.3.4",
            "1.2.3.5",
            "::ffff:1.2.3.4",
            "2001:db8::1",
            "2001:db8::2",
            "2001:db8:0:1::1",
            "",
            "x",
        )
    ]
    assert statuses == [200, 200, 429, 200, 429, 200, 200, 429]


def test_users_and_visitors() -> None:
    """A user by name, wherever he is; a visitor by address; with key="user" visitors are not counted."""
    both, users = throttle("1/h", name="both")(plain), throttle("1/h", key="user", name="users")(plain)

    def request(user: Any, address: str = "1.2.3.4") -> HttpRequest:
        made = make.get("/", REMOTE_ADDR=address)
        made.user = user
        return made

    asked: list[tuple[Any, str]] = [(Somebody(1), "1.1.1.1"), (Somebody(1), "2.2.2.2"), (Somebody(2), "1.1.1.1")]
    asked += [(AnonymousUser(), "1.1.1.1"), (AnonymousUser(), "1.1.1.1")]
    assert [ask(both, request(*each)).status_code for each in asked] == [200, 429, 200, 200, 429]
    assert [ask(users, request(*each)).status_code for each in asked] == [200, 429, 200, 200, 200]


def test_what_a_form_says() -> None:
    """A log-in by address and name together, however it is written; only what is posted."""
    guarded = throttle("1/h", key=("ip", "post:username"), method="POST", name="log-in")(plain)
    names = ["ada", " Ada", "\uff21da", "bob", "", "ada"]
    assert [ask(guarded, make.post("/", {"username": name})).status_code for name in names] == [
        200, 429, 429, 200, 200, 429,
    ]  # fmt: skip
    assert [ask(guarded).status_code for _ in range(3)] == [200] * 3


@pytest.mark.parametrize("name", ["header:X-Key", "get:q", "cookie:k", "json:a", "path", "global"])
def test_other_keys(name: str) -> None:
    """Each is read where it says; garbage, and what is not there, counts as nothing."""
    guarded = throttle("1/h", key=name, name=f"by {name}")(plain)

    def request(value: str, where: str = "/a/") -> HttpRequest:
        made = make.post(f"{where}?q={value}", json.dumps({"a": value}), "application/json", headers={"X-Key": value})
        made.COOKIES["k"] = value
        return made

    statuses = [ask(guarded, request(*each)).status_code for each in (("1",), ("2",), ("1",), ("1", "/b/"))]
    assert statuses == {"path": [200, 429, 429, 200], "global": [200, 429, 429, 429]}.get(name, [200, 200, 429, 429])


GARBAGE: dict[str, tuple[str, Callable[[], HttpRequest]]] = {
    "a body that is no JSON": ("json:a", lambda: make.post("/", "{", "application/json")),
    "a body that is a list": ("json:a", lambda: make.post("/", "[1]", "application/json")),
    "a deep body": ("json:a", lambda: make.post("/", "[" * 50_000, "application/json")),
    "a large body": ("json:a", lambda: make.post("/", json.dumps({"a": "x" * 100_000}), "application/json")),
    "an object as a value": ("json:a", lambda: make.post("/", '{"a": {"b": 1}}', "application/json")),
    "a long header": ("header:X-Key", lambda: make.get("/", headers={"X-Key": "x" * 10_000})),
    "a lone surrogate": ("header:X-Key", lambda: make.get("/", headers={"X-Key": "\udcff"})),
}  # fmt: skip


@pytest.mark.parametrize("case", GARBAGE)
def test_garbage_is_counted_and_harms_nobody(case: str, redis_client: Any) -> None:
    """The view is called, once; the key is short."""
    key, request = GARBAGE[case]
    guarded = throttle("1/h", key=key, name="garbage")(plain)
    assert [ask(guarded, request()).status_code for _ in range(2)] == [200, 429]
    assert all(len(each) < 80 for each in redis_client.keys("*"))


BROKEN: dict[str, Callable[[], Any]] = {
    "a form without a boundary": lambda: Client().post("/", "x", "multipart/form-data"),
    "a form of many fields": lambda: Client().post(
        "/", "&".join("b=1" for _ in range(5000)), "application/x-www-form-urlencoded"
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_form_is_refused_as_the_view_would_refuse_it(case: str, settings: Any) -> None:
    """400, by the decorator and by the middleware; no view is called that would see an empty form."""
    settings.ROOT_URLCONF = (path("", throttle("9/h", key="post:a", name="broken")(plain)),)
    assert BROKEN[case]().status_code == 400
    settings.MIDDLEWARE = ["redis_toolkit.throttling.middleware.ThrottleMiddleware"]
    settings.REDIS_TOOLKIT_THROTTLES = {"forms": {"rate": "9/h", "key": "post:a"}}
    assert BROKEN[case]().status_code == 400


def test_several_rates_and_what_is_said_of_them() -> None:
    """Two policies, of which one is violated."""
    guarded = throttle("1/s, 9/h", key="ip", name="both", algorithm="fixed_window")(plain)
    # (The second that is counted may end between two requests.)
    with freeze():
        ask(guarded)
        second = ask(guarded)
    assert second.headers["RateLimit-Policy"] == '"both-1s";q=1;w=1, "both-3600s";q=9;w=3600'
    assert second.headers["RateLimit"].startswith('"both-1s";r=0;t=1, "both-3600s";r=8;t=')
    assert json.loads(second.content)["violated-policies"] == ["both-1s"]


def test_stacked_doors_tell_of_both() -> None:
    """An outer and an inner one: both are in the response, and on the request."""
    seen: list[Any] = []

    @throttle("9/h", key="ip", name="outer")
    @throttle("5/h", key="ip", name="inner")
    def view(request: Any) -> HttpResponse:
        seen.extend(request.throttle_decisions)
        return HttpResponse()

    response = ask(view)
    assert [(each.name, each.remaining) for each in seen] == [("outer", 8), ("inner", 4)]
    assert response.headers["RateLimit-Policy"] == '"outer";q=9;w=3600, "inner";q=5;w=3600'


def test_tiers_and_callables() -> None:
    """A rate for each tier, or for each request; a cost for each."""
    tiers = throttle({"free": "1/h", "pro": None}, tier=lambda r: r.GET["tier"], key="ip", name="tiers")(plain)
    assert [ask(tiers, make.get(f"/?tier={each}")).status_code for each in ("free", "pro", "pro", "free")] == [
        200, 200, 200, 429,
    ]  # fmt: skip
    each = throttle(lambda r: f"{r.GET['n']}/h", key="ip", name="each", cost=lambda r: int(r.GET["cost"]))(plain)
    assert [ask(each, make.get("/?n=5&cost=4")).status_code for _ in range(2)] == [200, 429]
    assert ask(each, make.get("/?n=5&cost=1")).status_code == 200


@pytest.mark.parametrize("view", [plain, awaited])
def test_a_hit_is_given_back(view: Callable[..., Any]) -> None:
    """Where the response says so: a log-in that went well costs nothing."""
    guarded = throttle("1/h", key="ip", name="back", refund_on=lambda response: response.status_code == 200)(view)
    assert [ask(guarded).status_code for _ in range(3)] == [200] * 3


def test_networks_that_are_not_counted_and_such_that_are_kept_out() -> None:
    """Both by address; who is kept out is not told when to come again."""
    guarded = throttle("1/h", key="ip", name="nets", exempt=["10.0.0.0/8"], deny=["192.0.2.0/24"])(plain)
    assert [ask(guarded, make.get("/", REMOTE_ADDR="10.1.1.1")).status_code for _ in range(3)] == [200] * 3
    denied = ask(guarded, make.get("/", REMOTE_ADDR="192.0.2.9"))
    assert (denied.status_code, "Retry-After" in denied.headers) == (403, False)


def test_a_class() -> None:
    """By the mixin, of either kind, or by the decorator in Django's own way."""

    class Report(ThrottleMixin, View):
        throttle = "1/h"
        throttle_key = "ip"
        throttle_name = "report"

        def get(self, request: HttpRequest) -> HttpResponse:
            return HttpResponse()

    class Awaited(ThrottleMixin, View):
        throttle = [Rule("first", "2/h", key="ip"), Rule("second", "1/h", key="ip")]

        async def get(self, request: HttpRequest) -> HttpResponse:
            return HttpResponse()

    @method_decorator(throttle("1/h", key="ip", name="django's way"), name="dispatch")
    class Other(View):
        def get(self, request: HttpRequest) -> HttpResponse:
            return HttpResponse()

    for each in (Report, Awaited, Other):
        view = each.as_view()
        assert view.view_class is each
        assert [ask(view).status_code for _ in range(2)] == [200, 429]


def test_pages_for_people() -> None:
    """Who prefers HTML is given a page, in the language of the visitor."""
    guarded = throttle("1/h", key="ip", name="page")(plain)
    ask(guarded)
    response = ask(guarded, make.get("/", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}))
    assert (response.status_code, response.headers["Content-Type"]) == (429, "text/html; charset=utf-8")
    assert b"<h1>Too many requests</h1>" in response.content
    assert b"Please try again in 3600 seconds." in response.content


def mine(request: HttpRequest, decision: Any) -> HttpResponse:
    return HttpResponse(f"no: {decision.name}", status=418)


def test_a_view_of_the_projects_own(settings: Any) -> None:
    """It makes the response; the fields are added."""
    settings.REDIS_TOOLKIT_THROTTLE_VIEW = f"{__name__}.mine"
    guarded = throttle("1/h", key="ip", name="own")(plain)
    ask(guarded)
    response = ask(guarded)
    assert (response.status_code, response.content) == (418, b"no: own")
    assert "Retry-After" in response.headers
    assert "RateLimit" in response.headers


@pytest.mark.parametrize(
    ("style", "fields"),
    [
        ("ietf", {"RateLimit", "RateLimit-Policy"}),
        ("legacy", {"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"}),
        ("both", {"RateLimit", "RateLimit-Policy", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"}),
        ("off", set()),
    ],
)
def test_the_fields(settings: Any, style: str, fields: set[str]) -> None:
    """Those that are asked for, on what is let in as well."""
    settings.REDIS_TOOLKIT_THROTTLE_HEADERS = style
    guarded = throttle("1/h", key="ip", name="fields")(plain)
    allowed, denied = ask(guarded), ask(guarded)
    for response in (allowed, denied):
        assert {name for name in response.headers if "ratelimit" in name.lower()} == fields
    assert "Retry-After" in denied.headers


MISTAKES: dict[str, dict[str, Any]] = {
    "is no rate": {"rate": "often"},
    "There is no key 'adress'": {"rate": "1/m", "key": "adress"},
    "There is no key 'header:'": {"rate": "1/m", "key": "header:"},
    "cannot be imported": {"rate": "1/m", "key": "nowhere.at_all"},
    "key= names nobody": {"rate": "1/m", "key": ()},
    "key= takes names and callables": {"rate": "1/m", "key": (5,)},
    "There is no algorithm": {"rate": "1/m", "algorithm": "leaky"},
    "The throttle 'a' cannot be: on_outage is one of": {"rate": "1/m", "on_outage": "half"},
    "is no network or address": {"rate": "1/m", "exempt": ["home"]},
    "needs tier=": {"rate": {"free": "1/m"}},
    "A cost is a whole number": {"rate": "1/m", "cost": -1},
    "unexpected keyword": {"rate": "1/m", "ban": {"strike": 1}},
}


@pytest.mark.parametrize("said", MISTAKES)
def test_a_mistake_is_told_where_it_is_written(said: str) -> None:
    """At import, whatever is decorated."""
    with pytest.raises(Misconfigured, match=said.replace("(", r"\(")):
        throttle(**{"name": "a", **MISTAKES[said]})


@exempt
def open_to_all(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


def nowhere(request: HttpRequest, exception: Exception) -> HttpResponse:
    return HttpResponse(status=404)


handler404 = nowhere
urlpatterns = [path("open/", open_to_all), path("api/", plain), path("", plain), path("awaited/", awaited)]

SITE = {
    "site": {"rate": "3/h", "key": "ip", "exempt": ["10.0.0.0/8"], "on_outage": "open"},
    "api": {"rate": "1/h", "key": "ip", "paths": ["/api/"]},
    "users": {"rate": "1/h", "key": "user", "paths": ["/"]},
}


@pytest.fixture
def site(settings: Any) -> None:
    settings.ROOT_URLCONF = __name__
    settings.MIDDLEWARE = ["redis_toolkit.throttling.middleware.ThrottleMiddleware"]
    settings.REDIS_TOOLKIT_THROTTLES = SITE


@pytest.mark.usefixtures("site")
def test_the_middleware(client: Any) -> None:
    """Each path by the rules that are for it; exempt views, exempt networks, and paths that lead nowhere."""
    assert [client.get("/api/").status_code for _ in range(2)] == [200, 429]
    assert [client.get("/").status_code for _ in range(3)] == [200, 200, 429]
    assert client.get("/nowhere/").status_code == 429
    assert client.get("/open/").status_code == 200
    assert client.get("/", REMOTE_ADDR="10.0.0.1").status_code == 200
    fresh = client.get("/nowhere/", REMOTE_ADDR="1.2.3.4")
    assert (fresh.status_code, fresh.headers["RateLimit"].partition(";t=")[0]) == (404, '"site";r=2')


@pytest.mark.usefixtures("site")
def test_the_middleware_is_awaited(async_client: Any) -> None:
    """The same under ASGI."""

    async def ask_often(where: str, times: int) -> list[int]:
        return [(await async_client.get(where)).status_code for _ in range(times)]

    assert asyncio.run(ask_often("/awaited/", 4)) == [200, 200, 200, 429]
    assert asyncio.run(ask_often("/open/", 2)) == [200, 200]


def test_users_are_counted_when_they_are_known(settings: Any) -> None:
    """Behind whatever names them: just before the view."""
    settings.REDIS_TOOLKIT_THROTTLES = SITE
    middleware = ThrottleMiddleware(plain)
    request: Any = make.get("/")
    request.user = Somebody(7)
    assert middleware.process_view(request, plain, (), {}) is None
    refused = middleware.process_view(request, plain, (), {})
    assert refused is not None
    assert refused.status_code == 429


DECLARED: dict[str, Any] = {
    "has 'rates', which means nothing. Did you mean 'rate'": {"a": {"rates": "1/m"}},
    "needs a rate": {"a": {"key": "ip"}},
    "begin with a slash": {"a": {"rate": "1/m", "paths": ["api/"]}},
    "The throttle 'a' cannot be": {"a": {"rate": "often"}},
}


@pytest.mark.parametrize("said", DECLARED)
def test_rules_that_cannot_be(settings: Any, said: str) -> None:
    """The middleware does not begin with them."""
    settings.REDIS_TOOLKIT_THROTTLES = DECLARED[said]
    with pytest.raises(Misconfigured, match=said.replace("[", r"\[")):
        ThrottleMiddleware(plain)


def test_throttled_raised_in_a_view(settings: Any) -> None:
    """What a view's own throttle denies is answered by the middleware like any other denial."""
    mails = Throttle("mails", "1/h")

    def view(request: HttpRequest) -> HttpResponse:
        with mails.guard("ada"):
            return HttpResponse("sent")

    settings.MIDDLEWARE = ["redis_toolkit.throttling.middleware.ThrottleMiddleware"]
    settings.ROOT_URLCONF = (path("", view),)
    assert [Client().get("/").status_code for _ in range(2)] == [200, 429]
    refused = Client().get("/")
    assert (refused.json()["violated-policies"], int(refused["Retry-After"]) > 3500) == (["mails"], True)
