from __future__ import annotations

from django.urls import path

from demo_project.lab import views

app_name = "lab"
urlpatterns = [
    path("", views.overview, name="overview"),
    path("<slug:name>/", views.storm, name="storm"),
    path("<slug:name>/start/", views.start, name="start"),
]
