"""The timetable at the root, the admin and the lab beside it."""

from __future__ import annotations

from django.contrib import admin
from django.templatetags.static import static
from django.urls import include, path
from django.views.generic import RedirectView

urlpatterns = [
    path("favicon.ico", RedirectView.as_view(url=static("timetable/icon.svg"))),  # the admin names no icon
    path("admin/", admin.site.urls),
    path("lab/", include("demo_project.lab.urls")),
    path("", include("demo_project.timetable.urls")),
]
