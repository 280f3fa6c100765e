"""The same label, so the same tables."""

from __future__ import annotations

from django.apps import AppConfig


class BeforeConfig(AppConfig):
    """``tests.moving`` of a version ago."""

    name = "tests.moving.before"
    label = "moving"
