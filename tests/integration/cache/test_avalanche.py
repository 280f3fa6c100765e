"""Ten thousand entries written together do not expire together."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import redis

from redis_toolkit.cache.warming import Warmed, warm
from tests.app.models import Line

pytestmark = pytest.mark.django_db(transaction=True)

#: Seconds that an entry may live, and the share by which that is shortened at random.
TTL, JITTER = 1000, 0.1
#: Of 10,000 that are spread evenly, 100 fall into each hundredth of the span. That a hundredth holds more than 185 has,
#: by Chernoff's bound, a probability of (e^0.85 / 1.85^1.85)^100 < 4e-13, and that any of the 101 does, below 1e-10.
MOST = 185


def test_ten_thousand_entries_written_together(redis_client: redis.Redis, settings: Any) -> None:
    """Their ends are spread over the 100 seconds of the jitter: 10,000 of them, no second with more than 185."""
    settings.REDIS_TOOLKIT_CACHE_TTL, settings.REDIS_TOOLKIT_TTL_JITTER = TTL, JITTER
    Line.objects.bulk_create(Line(name=f"line {number}") for number in range(10_000))
    assert list(warm([], models=["app.Line"])) == [Warmed("app.Line", 10_000, 0, 20, 0)]
    keys = list(redis_client.scan_iter("rt:r:*", count=5_000))
    with redis_client.pipeline(transaction=False) as pipe:
        for key in keys:
            pipe.pttl(key)
        lives = pipe.execute()
    assert len(lives) == 10_000
    # (They were written within the time since: that makes the spread larger, and never smaller.)
    assert max(lives) - min(lives) > 0.99 * 1000 * TTL * JITTER
    seconds = Counter(life // 1000 for life in lives)
    assert max(seconds.values()) <= MOST
