"""Views that so many may be in at once."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.test import AsyncRequestFactory, Client, RequestFactory
from django.urls import path

from redis_toolkit.core.clock import travel
from redis_toolkit.exceptions import Misconfigured
from redis_toolkit.throttling import Concurrency, Lease, concurrency, places
from redis_toolkit.throttling.heartbeats import heartbeats
from redis_toolkit.throttling.subjects import Key
from tests.integration.throttling.moments import later

# (A response that is closed ends a request, for Django, and it looks at its connections.)
pytestmark = pytest.mark.django_db

make = RequestFactory()
amake = AsyncRequestFactory()


def test_a_place_is_left_when_the_response_is_closed(redis_client: Any) -> None:
    """While one response is open there is no room for another; an answer that was refused holds no place."""

    @concurrency(1, key="ip", name="export")
    def view(request: HttpRequest) -> StreamingHttpResponse:
        return StreamingHttpResponse(iter([b"a", b"b"]))

    first = view(make.get("/"))
    refused = view(make.get("/"))
    assert (first.status_code, refused.status_code) == (200, 429)
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert first.getvalue() == b"ab"
    assert view(make.get("/")).status_code == 429
    first.close()
    again = view(make.get("/"))
    assert again.status_code == 200
    again.close()
    refused.close()
    assert redis_client.keys("*") == []


def test_others_have_places_of_their_own() -> None:
    """Who is counted is what key= says."""

    @concurrency(1, key="header:X-Job", name="jobs")
    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse("done")

    held = [view(make.get("/", headers={"X-Job": job})).status_code for job in ("a", "b", "a")]
    assert held == [200, 200, 429]


def test_a_view_that_fails_leaves_its_place() -> None:
    """An exception, of either kind of view, gives the place back."""

    @concurrency(1, key="global", name="failing")
    def view(request: HttpRequest) -> HttpResponse:
        raise LookupError

    @concurrency(1, key="global", name="failing")
    async def awaited(request: HttpRequest) -> HttpResponse:
        raise LookupError

    for _ in range(3):
        with pytest.raises(LookupError):
            view(make.get("/"))
        with pytest.raises(LookupError):
            asyncio.run(awaited(amake.get("/")))


def test_two_at_once_in_an_async_view() -> None:
    """Of three that overlap two are in; when they are done there is room again."""

    async def three() -> list[int]:
        inside, go = asyncio.Semaphore(0), asyncio.Event()

        @concurrency(2, key="ip", name="awaited")
        async def view(request: HttpRequest) -> HttpResponse:
            inside.release()
            await go.wait()
            return HttpResponse("done")

        both = [asyncio.create_task(view(amake.get("/"))) for _ in range(2)]
        for _ in both:
            await inside.acquire()
        third = await view(amake.get("/"))
        go.set()
        answers = [await each for each in both]
        for each in answers:
            await asyncio.to_thread(each.close)
        fourth = await view(amake.get("/"))
        return [third.status_code, *(each.status_code for each in answers), fourth.status_code]

    assert asyncio.run(three()) == [429, 200, 200, 200]


def test_who_is_not_counted_and_what_cannot_be() -> None:
    """A visitor is no user; no places, a lease of nothing and unknown words are refused where they are written."""

    @concurrency(1, key="user", name="users")
    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse("done")

    assert [view(make.get("/")).status_code for _ in range(3)] == [200] * 3
    for wrong in ({"places": 0}, {"places": 1, "lease": 0}, {"places": 1, "on_outage": "local"}):
        with pytest.raises(Misconfigured):
            concurrency(**wrong)(lambda request: HttpResponse())


def test_another_response_is_sent(settings: Any) -> None:
    """A middleware that answers 304 in the view's stead, and a template that fails when it is rendered, leave no place."""

    @concurrency(1, key="ip", name="pages")
    def view(request: HttpRequest) -> HttpResponse:
        if "fails" in request.GET:
            return TemplateResponse(request, Failing())  # type: ignore[arg-type]
        return HttpResponse("done", headers={"ETag": '"1"'})

    settings.ROOT_URLCONF = (path("", view),)
    settings.MIDDLEWARE = ["django.middleware.http.ConditionalGetMiddleware"]
    client = Client(raise_request_exception=False)
    unchanged = [client.get("/", headers={"If-None-Match": '"1"'}).status_code for _ in range(3)]
    broken = [client.get("/?fails=1").status_code for _ in range(3)]
    assert (unchanged, broken) == ([304] * 3, [500] * 3)


class Failing:
    """A template that cannot be rendered."""

    def render(self, *_: object) -> str:
        raise LookupError


class Held(Concurrency):
    """One whose first place is taken when the word is given; it is known when that has been given back."""

    def __init__(self) -> None:
        super().__init__("cancelled", 1)
        self.begun, self.word, self.left = threading.Event(), threading.Event(), threading.Event()

    def take(self, *identity: str | int) -> Lease:
        self.begun.set()
        self.word.wait()
        return super().take(*identity)

    def give_back(self, lease: Lease) -> None:
        super().give_back(lease)
        self.left.set()


def test_who_goes_while_a_place_is_taken(redis_client: Any) -> None:
    """1. a thread takes a place for a client  2. the client goes  3. it is taken, for nobody: so it is given back."""

    async def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse("done")

    async def come_and_go(limit: Held) -> int:
        guarded = places._awaited(view, limit, Key("global"))
        task = asyncio.create_task(guarded(amake.get("/")))
        await asyncio.to_thread(limit.begun.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        limit.word.set()
        # What was being taken is given back by a thread, which begins when the loop has heard of it.
        assert await asyncio.to_thread(limit.left.wait, 30)
        assert redis_client.keys("*") == []
        answer: HttpResponse = await guarded(amake.get("/"))
        return answer.status_code

    assert asyncio.run(come_and_go(Held())) == 200


def test_a_place_is_kept_while_the_work_goes_on(redis_client: Any) -> None:
    """Past the end of its lease the place is still held; what is dropped without a word runs out."""
    jobs = Concurrency("jobs", 1, lease=9)
    with jobs.place("ada"):
        for times in range(1, 4):
            later(redis_client, 8)
            with travel(4 * times):
                heartbeats.beat()
            assert not jobs.take("ada")
    assert jobs.take("ada")
    assert heartbeats._kept == {}


def test_a_request_that_is_forgotten_is_not_kept() -> None:
    """A response that nobody closes holds its place until the lease is over, and no longer."""

    @concurrency(1, key="ip", name="dropped", lease=60)
    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse("done")

    response, request = None, make.get("/")
    response = view(request)
    assert len(heartbeats._kept) == 1
    del request, response
    gc.collect()
    assert heartbeats._kept == {}


def test_two_leases_of_one_name(redis_client: Any) -> None:
    """A shorter lease beside a longer one does not end it."""
    long, short = Concurrency("jobs", 5, lease=3600), Concurrency("jobs", 5, lease=1)
    long.take("ada")
    short.take("ada")
    [key] = redis_client.keys("*")
    assert redis_client.pttl(key) > 3_000_000
