"""The story at the root, the timetable around it; the admin, the lab, the API, everybody's limits, and the doors."""

from __future__ import annotations

from django.contrib import admin
from django.templatetags.static import static
from django.urls import include, path
from django.views.generic import RedirectView

from demo_project.log_in import log_in

urlpatterns = [
    path("favicon.ico", RedirectView.as_view(url=static("timetable/icon.svg"))),  # the admin names no icon
    path("admin/login/", log_in),  # before the admin's own
    path("admin/", admin.site.urls),
    path("lab/", include("demo_project.lab.urls")),
    path("api/", include("demo_project.api.urls")),
    path("limits/", include("demo_project.limits.urls")),
    path("log-in/", include("redis_toolkit.otp.urls")),
    path("devices/", include("redis_toolkit.sessions.urls")),
    path("", include("demo_project.story.urls")),
    path("", include("demo_project.doors.urls")),
    path("", include("demo_project.timetable.urls")),
]
