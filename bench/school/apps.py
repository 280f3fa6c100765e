"""Names the app ``school``; the cached twin takes the same label, so both have the same tables."""

from __future__ import annotations

from django.apps import AppConfig


class SchoolConfig(AppConfig):
    """The plain models."""

    name = "bench.school"
    label = "school"
    default_auto_field = "django.db.models.BigAutoField"
