"""The URLs of a project that has two admins, and dj-redis-panel, by which the page of health finds it."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import include, path

from redis_toolkit.admin import ServerAdmin, StatisticAdmin, ThrottleAdmin
from redis_toolkit.models import Ban, Server, Statistic

operations = admin.AdminSite(name="operations")
operations.register(Ban, ThrottleAdmin)
operations.register(Server, ServerAdmin)
operations.register(Statistic, StatisticAdmin)


def panel(request: HttpRequest) -> HttpResponse:
    """Its first page."""
    return HttpResponse("keys")


urlpatterns = [
    path("keys-of-redis/", include(([path("", panel, name="index")], "dj_redis_panel"))),
    path("admin/", admin.site.urls),
    path("operations/", operations.urls),
]
