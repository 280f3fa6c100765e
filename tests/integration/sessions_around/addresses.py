"""The URLs of these tests: the page of devices, and one by which the user ``ada`` logs in."""

from __future__ import annotations

from django.contrib.auth import login
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.urls import include, path


def enter(request: HttpRequest) -> HttpResponse:
    """Where who is not logged in is sent; POST logs in."""
    if request.method == "POST":
        login(request, User.objects.get(username="ada"))
    return HttpResponse("log in")


urlpatterns = [
    path("devices/", include("redis_toolkit.sessions.urls")),
    path("enter/", enter),
]
