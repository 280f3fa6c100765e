"""The kit as pytest fixtures. In ``conftest.py``: ``pytest_plugins = ["redis_toolkit.testing.fixtures"]``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from redis_toolkit.testing import ValkeyServer, throttling
from redis_toolkit.testing import cache as kit

__all__ = [
    "assert_cache_hits",
    "assert_redis_round_trips",
    "isolated_cache",
    "run_commit_hooks",
    "throttle_clock",
    "throttles_off",
    "valkey_server",
]


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[ValkeyServer]:
    """A Valkey or Redis server for this run of tests alone (each pytest-xdist worker has its own)."""
    with ValkeyServer() as server:
        yield server


@pytest.fixture
def isolated_cache(settings: Any) -> Iterator[str]:
    """A keyspace of the test's own; the value is its prefix. See :func:`redis_toolkit.testing.cache.isolated_cache`."""

    def put(values: dict[str, Any]) -> None:
        # By pytest-django's fixture: settings that the test changes by it are taken back after this one has ended.
        for name, value in values.items():
            setattr(settings, name, value)

    with kit.keyspace(put, is_promised=True) as prefix:
        yield prefix


@pytest.fixture
def assert_cache_hits() -> Any:
    """:func:`redis_toolkit.testing.cache.assert_cache_hits`."""
    return kit.assert_cache_hits


@pytest.fixture
def assert_redis_round_trips() -> Any:
    """:func:`redis_toolkit.testing.cache.assert_redis_round_trips`."""
    return kit.assert_redis_round_trips


@pytest.fixture
def run_commit_hooks() -> Any:
    """:func:`redis_toolkit.testing.cache.run_commit_hooks`."""
    return kit.run_commit_hooks


@pytest.fixture
def throttle_clock() -> Iterator[throttling.ThrottleClock]:
    """The time of the throttles stands still; see :func:`redis_toolkit.testing.throttling.throttle_clock`."""
    with throttling.throttle_clock() as clock:
        yield clock


@pytest.fixture
def throttles_off(settings: Any) -> None:
    """All throttles let everything through."""
    settings.REDIS_TOOLKIT_THROTTLE = False
