"""The app the tests have their models in; no migrations, its tables follow the models."""

from __future__ import annotations

from django.apps import AppConfig


class TestAppConfig(AppConfig):
    """``tests.app``, label ``app``."""

    name = "tests.app"
    verbose_name = "Test models"
    __test__ = False
