from __future__ import annotations

from django.apps import AppConfig


class TimetableConfig(AppConfig):
    name = "demo_project.timetable"
    verbose_name = "Timetable"
    default_auto_field = "django.db.models.BigAutoField"
