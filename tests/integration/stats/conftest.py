"""What the tests of statistics share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from redis_toolkit.core.clock import now, travel
from redis_toolkit.stats import MONTH, Figures, buckets, flush, summed
from redis_toolkit.stats.telling import teller


@pytest.fixture
def counting(redis_client: Any, settings: Any) -> Iterator[None]:
    """Statistics are on, and nothing was counted yet. The thread is there, but it is the test that tells Redis."""
    settings.REDIS_TOOLKIT_STATS = True
    teller.is_running = True
    yield
    teller.stop()


@pytest.fixture
def early() -> Iterator[None]:
    """A minute has just begun, so none ends within the test: what it counts stands in the buckets that it looks at."""
    with travel(60 - now() % 60):
        yield


@pytest.fixture
def told(counting: None) -> Callable[[], Figures]:
    """What stands in Redis of all that was counted, once this process has told it."""

    def look() -> Figures:
        flush()
        return summed(buckets(MONTH))

    return look
