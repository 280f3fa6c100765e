from __future__ import annotations

from django.urls import path

from demo_project.story import views

app_name = "story"
urlpatterns = [
    path("", views.home, name="home"),
    path("now/", views.now, name="now"),
    path("code/<slug:name>/", views.code, name="code"),
]
