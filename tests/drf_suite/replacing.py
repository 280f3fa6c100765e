"""A pytest plugin for the process in which DRF's tests run: our throttles under DRF's names, and a real server.

In that process ``tests`` is DRF's package, not ours: so this is loaded by its bare name and imports nothing from here.
``DRF_TESTS_SERVER`` is the server's address, ``DRF_TESTS_ALGORITHM`` the throttles' algorithm, and ``DRF_TESTS_REPORT``
the file in which the outcome of each test is written down.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

# DRF's conftest imports it, to read DATABASE_URL, which is not set here.
sys.modules.setdefault("dj_database_url", ModuleType("dj_database_url"))

outcomes: dict[str, str] = {}


@pytest.hookimpl(tryfirst=True)
def pytest_configure() -> None:
    """Add the server and the app to the settings that DRF's conftest is about to make."""
    from django.conf import settings

    make = settings.configure

    def configure(*, INSTALLED_APPS: tuple[str, ...], **theirs: Any) -> None:  # noqa: N803 - a setting's name
        caches = {"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": os.environ["DRF_TESTS_SERVER"]}}
        make(INSTALLED_APPS=(*INSTALLED_APPS, "redis_toolkit"), CACHES=caches, **theirs)

    # (To set an attribute of Django's settings is to ask for a settings module.)
    vars(settings)["configure"] = configure


def pytest_sessionstart() -> None:
    """Put our classes into DRF's module, before a test imports their names. No view has any by DRF's defaults."""
    from rest_framework import throttling

    from redis_toolkit.contrib import drf

    for name in drf.__all__:
        setattr(throttling, name, getattr(drf, name))
    drf.SimpleRateThrottle.algorithm = os.environ["DRF_TESTS_ALGORITHM"]


@pytest.fixture(autouse=True)
def nothing_counted() -> Iterator[None]:
    """Each test begins with nothing counted, and time stands still: a busy machine asks for less than three a second."""
    from redis_toolkit.testing.cache import isolated_cache
    from redis_toolkit.testing.throttling import throttle_clock

    with throttle_clock(), isolated_cache():
        yield


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note what came of a test; what its setup or teardown raises is a failure of it."""
    if report.when == "call" or not report.passed:
        outcomes[report.nodeid.removeprefix("tests/").replace(".py::", ".").replace("::", ".")] = report.outcome


def pytest_sessionfinish(exitstatus: int) -> None:
    """Write it all down, if the run came to its end."""
    if exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}:
        Path(os.environ["DRF_TESTS_REPORT"]).write_text(json.dumps(outcomes), "utf-8")
