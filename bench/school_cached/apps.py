"""Takes the label of the plain app: the two are never installed together."""

from __future__ import annotations

from django.apps import AppConfig


class SchoolCachedConfig(AppConfig):
    """The models with a cached manager."""

    name = "bench.school_cached"
    label = "school"
    default_auto_field = "django.db.models.BigAutoField"
