from __future__ import annotations

from django.urls import path

from demo_project.limits import views

app_name = "limits"
urlpatterns = [
    path("", views.limits, name="limits"),
    path("now/", views.now, name="now"),
    path("door/", views.Door.as_view(), name="door"),
]
