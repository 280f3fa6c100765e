"""The kit for tests of what is cached, as pytest fixtures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from redis_toolkit.conf import settings as ours
from redis_toolkit.testing.cache import assert_cache_hits
from redis_toolkit.testing.fixtures import isolated_cache  # noqa: F401 - a fixture
from tests.app.models import Lesson


@pytest.fixture
def afterwards() -> Iterator[None]:
    """Requested first, it ends last: by then the settings are those of before."""
    yield
    assert [ours.PREFIX, ours.ENABLED, ours.OUTBOX_INTERVAL] == ["rt", True, 1.0]


@pytest.mark.django_db
@pytest.mark.parametrize("order", [["settings", "isolated_cache"], ["isolated_cache", "settings"]])
def test_settings_that_the_test_changes(afterwards: None, order: list[str], request: pytest.FixtureRequest) -> None:
    """Whichever fixture was first, a setting changed in the keyspace holds, and ends with the test, and so do ours."""
    fixtures: dict[str, Any] = {name: request.getfixturevalue(name) for name in order}
    fixtures["settings"].REDIS_TOOLKIT_OUTBOX_INTERVAL = 7.0
    assert [fixtures["isolated_cache"], True, 7.0] == [ours.PREFIX, ours.ENABLED, ours.OUTBOX_INTERVAL]
    with assert_cache_hits(1, misses=1):
        assert [Lesson.cached.count(), Lesson.cached.count()] == [0, 0]


@pytest.fixture
def turned_off(settings: Any) -> Iterator[None]:
    """No cache, outside of the keyspace."""
    settings.REDIS_TOOLKIT_ENABLED = False
    yield
    assert [ours.PREFIX, ours.ENABLED] == ["rt", False]


@pytest.mark.django_db
def test_the_cache_is_on(afterwards: None, turned_off: None, request: pytest.FixtureRequest) -> None:
    """With the cache turned off in the settings: a miss and a hit. It is off again when the keyspace has ended."""
    request.getfixturevalue("isolated_cache")
    with assert_cache_hits(1, misses=1):
        assert [Lesson.cached.count(), Lesson.cached.count()] == [0, 0]
