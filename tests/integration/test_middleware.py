"""A process that is overloaded says 503, in synchronous and asynchronous projects, whatever raised."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.template.response import TemplateResponse
from django.test import AsyncClient, Client
from django.urls import path

from redis_toolkit.cache import gate
from redis_toolkit.exceptions import CacheOverloaded
from tests.app.models import Lesson

pytestmark = pytest.mark.django_db(transaction=True)

OURS = "redis_toolkit.middleware.OverloadedMiddleware"
COMMON = "django.middleware.common.CommonMiddleware"


def lessons(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(Lesson.cached.count()))


async def lessons_later(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(await Lesson.cached.acount()))


def template(request: HttpRequest) -> HttpResponse:
    made = engines["django"].from_string("{{ lessons.count }}")
    return TemplateResponse(request, made, {"lessons": Lesson.cached.all()})


def wrong(request: HttpRequest) -> HttpResponse:
    raise ValueError("a secret")


urlpatterns = [
    path("lessons/", lessons),
    path("later/", lessons_later),
    path("template/", template),
    path("wrong/", wrong),
]


@pytest.fixture(autouse=True)
def project(settings: Any) -> None:
    """A project with the middleware, in the midst of others, and a gate for one."""
    settings.ROOT_URLCONF = __name__
    settings.MIDDLEWARE = [COMMON, OURS, COMMON]
    settings.REDIS_TOOLKIT_LOADS = 1
    settings.REDIS_TOOLKIT_LOADS_WAIT = 0


@pytest.fixture
def crowded() -> Iterator[None]:
    """Somebody else is loading."""
    is_in, may_end = threading.Event(), threading.Event()

    def load() -> None:
        with gate.admit():
            is_in.set()
            assert may_end.wait(30)

    thread = threading.Thread(target=load)
    thread.start()
    assert is_in.wait(30)
    yield
    may_end.set()
    thread.join()


def check_refused(response: Any) -> None:
    assert (response.status_code, response["Retry-After"], response["Cache-Control"]) == (503, "1", "no-store")
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert response.content == b"The service is busy. Please try again in a moment.\n"


async def ask_async(address: str) -> Any:
    response = await AsyncClient(raise_request_exception=False).get(address)
    await sync_to_async(connections.close_all)()
    return response


@pytest.mark.parametrize("address", ["/lessons/", "/later/", "/template/"])
def test_overloaded(crowded, address, caplog):
    """Views, asynchronous views and templates: 503, when to come again, nothing of what happened inside, and a line."""
    check_refused(Client(raise_request_exception=False).get(address))
    check_refused(asyncio.run(ask_async(address)))
    lines = [each.getMessage() for each in caplog.records if each.name == "redis_toolkit.cache"]
    assert [line[:36] for line in lines] == ["A request was answered with 503: 1 a"] * 2


@pytest.mark.parametrize("address", ["/lessons/", "/later/", "/template/"])
def test_not_overloaded(address):
    """Where there is room nothing is changed."""
    assert Client().get(address).content == b"0"
    assert asyncio.run(ask_async(address)).content == b"0"


def test_other_errors_are_none_of_ours():
    """Whatever else a view raises is raised."""
    assert Client(raise_request_exception=False).get("/wrong/").status_code == 500
    assert asyncio.run(ask_async("/wrong/")).status_code == 500


def test_without_the_middleware_it_is_an_error(crowded, settings):
    """The exception is the view's to handle: it gets out to the client of the test."""
    settings.MIDDLEWARE = []
    with pytest.raises(CacheOverloaded):
        Client().get("/lessons/")
