"""A project's pages for the tests of the middleware."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import authenticate, login, logout, update_session_auth_hash
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.urls import path

from redis_toolkit.exceptions import StoreUnavailable
from redis_toolkit.sessions import SessionStore

#: A page as many are: who is not known is asked to log in.
GREETING = "{% if user.is_authenticated and not user.is_staff %}Hello {{ user }}{% else %}Log in, please{% endif %}"


def plain(request: HttpRequest) -> HttpResponse:
    return HttpResponse("nothing is asked")


def read(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(request.session.get("a")))


def write(request: HttpRequest) -> HttpResponse:
    request.session["a"] = request.GET.get("a", "1")
    return HttpResponse("written")


async def aread(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(await request.session.aget("a")))


async def awrite(request: HttpRequest) -> HttpResponse:
    await request.session.aset("a", "1")
    return HttpResponse("written")


def enter(request: HttpRequest) -> HttpResponse:
    login(request, authenticate(request, username="ada", password=request.GET.get("password", "pw")))
    return HttpResponse("in")


def leave(request: HttpRequest) -> HttpResponse:
    logout(request)
    return HttpResponse("out")


def who(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(request.user))


def make_do(request: HttpRequest) -> HttpResponse:
    try:
        return read(request)
    except StoreUnavailable:
        return HttpResponse("without")


def sorry(request: HttpRequest) -> HttpResponse:
    try:
        return read(request)
    except StoreUnavailable:
        return HttpResponse("<h1>Sorry</h1>", status=503, headers={"Retry-After": "77"})


def greet(request: HttpRequest) -> HttpResponse:
    return HttpResponse(engines["django"].from_string(GREETING).render({}, request))


def named_anew(request: HttpRequest) -> HttpResponse:
    """Another request gives the session a new id while this one is served."""
    request.session.get("a")
    SessionStore(request.session.session_key).cycle_key()
    return HttpResponse("served")


def clash(request: HttpRequest) -> HttpResponse:
    """Another request changes what this one changes."""
    request.session.get("a")
    other = SessionStore(request.session.session_key)
    other["a"] = "other"
    other.save()
    request.session["a"] = "mine"
    if "save" in request.GET:
        request.session.save()
    return HttpResponse("served")


def ended(request: HttpRequest) -> HttpResponse:
    """The session ends while the request is served, and is written if asked for."""
    request.session.get("a")
    SessionStore(request.session.session_key).delete()
    if "write" in request.GET:
        request.session["a"] = 2
    return HttpResponse("served")


def change(request: HttpRequest) -> HttpResponse:
    user: Any = User.objects.get(pk=request.user.pk)
    user.set_password("another")
    user.save()
    update_session_auth_hash(request, user)
    return HttpResponse("changed")


urlpatterns = [
    path(f"{view.__name__}/", view)
    for view in (
        plain,
        read,
        write,
        aread,
        awrite,
        enter,
        leave,
        who,
        make_do,
        sorry,
        greet,
        named_anew,
        clash,
        ended,
        change,
    )
]
