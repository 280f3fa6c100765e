"""The demo inside the test run: its pages, its middleware, its data, the test run's servers."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_django
from django.test import Client
from rest_framework.settings import api_settings
from rest_framework.throttling import SimpleRateThrottle
from rest_framework.views import APIView

from demo_project.timetable.accounts import ensure_accounts
from demo_project.timetable.loading import load
from redis_toolkit.testing import ValkeyServer
from redis_toolkit.testing.throttling import ThrottleClock, throttle_clock

TIMING = re.compile(r'"(\d+) hits, (\d+) misses, (\d+) bypasses";dur=[\d.]+, db;desc="(\d+) queries"')


@dataclass(frozen=True, slots=True)
class Visit:
    """A response and how it was served."""

    response: Any
    hits: int
    misses: int
    bypasses: int
    queries: int

    @property
    def text(self) -> str:
        return self.response.content.decode()


@pytest.fixture(autouse=True)
def clock() -> Iterator[ThrottleClock]:
    """The time of the throttles stands still until a test moves it, and nobody has been denied yet."""
    with throttle_clock() as clock:
        yield clock


@pytest.fixture
def demo_settings(
    settings: pytest_django.Settings, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The middleware, templates, URLs, limits and doors that the demo's own settings name."""
    monkeypatch.setattr("demo_project.environment.VAR", tmp_path_factory.mktemp("var"))
    demo = importlib.import_module("demo_project.settings")
    settings.MIDDLEWARE = demo.MIDDLEWARE
    settings.TEMPLATES = demo.TEMPLATES
    settings.ROOT_URLCONF = demo.ROOT_URLCONF
    settings.STATIC_URL = "/static/"
    settings.REDIS_TOOLKIT_THROTTLES = demo.REDIS_TOOLKIT_THROTTLES
    settings.REST_FRAMEWORK = demo.REST_FRAMEWORK
    for name in ("SESSION_ENGINE", "LOGIN_URL", "LOGIN_REDIRECT_URL", "MAILERS", "EMAIL_BACKEND", "DEFAULT_FROM_EMAIL"):
        # (Of the two for mail Django's version has one.)
        if hasattr(demo, name):
            setattr(settings, name, getattr(demo, name))
    for name in ("SESSION_DEVICES", "TOKEN_SCOPES", "TOKEN_LIMIT"):
        setattr(settings, f"REDIS_TOOLKIT_{name}", getattr(demo, f"REDIS_TOOLKIT_{name}"))
    # These DRF has read when its classes were made.
    for name in ("authentication_classes", "permission_classes", "renderer_classes", "throttle_classes"):
        monkeypatch.setattr(APIView, name, getattr(api_settings, f"DEFAULT_{name.upper()}"))
    monkeypatch.setattr(SimpleRateThrottle, "THROTTLE_RATES", api_settings.DEFAULT_THROTTLE_RATES)


@pytest.fixture
def durable(settings: pytest_django.Settings, demo_settings: None, valkey: ValkeyServer) -> Iterator[ValkeyServer]:
    """A second server, for sessions, codes and tokens, that writes to a file whatever it is told."""
    # (Where it does not look after the disk the file has what was written before the answer.)
    config: dict[str, str | bool] = {"appendonly": True, "appendfsync": "no", "maxmemory-policy": "noeviction"}
    with ValkeyServer(binary=valkey.binary, config=config) as server:
        cache = {**settings.CACHES["default"], "LOCATION": server.url}
        settings.CACHES = {**settings.CACHES, "durable": cache}
        settings.REDIS_TOOLKIT_DURABLE_ALIAS = "durable"
        yield server


@pytest.fixture
def timetable(transactional_db: None, demo_settings: None) -> None:
    """The whole week and the accounts, committed."""
    load(progress=lambda _: None)
    ensure_accounts()


@pytest.fixture
def visit(timetable: None, client: Client) -> Callable[..., Visit]:
    """GET a page as a visitor who is not signed in."""

    def get(path: str, **headers: str) -> Visit:
        response = client.get(path, headers=headers)
        found = TIMING.search(response.headers["Server-Timing"])
        assert found is not None
        return Visit(response, *map(int, found.groups()))

    return get
