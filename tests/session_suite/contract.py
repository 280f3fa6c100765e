"""Django's tests of a session engine, for ours. In the process of the run ``sessions_tests`` is Django's."""

from __future__ import annotations

from importlib import import_module

from django.conf import settings
from django.test import TestCase
from sessions_tests.tests import SessionTestsMixin  # type: ignore[import-not-found]


class EngineTests(SessionTestsMixin, TestCase):
    """The 65 tests that Django runs on each engine of its own."""

    backend = import_module(settings.SESSION_ENGINE).SessionStore
