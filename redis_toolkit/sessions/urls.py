"""``path("devices/", include("redis_toolkit.sessions.urls"))``; its name is ``redis_toolkit_sessions:devices``."""

from __future__ import annotations

from django.urls import path

from redis_toolkit.sessions.views import DevicesView

__all__ = ["app_name", "urlpatterns"]

app_name = "redis_toolkit_sessions"
urlpatterns = [path("", DevicesView.as_view(), name="devices")]
