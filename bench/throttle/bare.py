"""The floor: the shortest script that is exact, by redis-py as it comes. Nothing is made of its answer."""

from __future__ import annotations

from typing import Any

import redis
from django.conf import settings

from bench.throttle.plan import DAYS, GENEROUS, TIGHT
from bench.throttle.ways import Way, word

__all__ = ["WAYS"]

_MICRO = 1_000_000

# GCRA: what is kept is when the bucket would be full again, in whole microseconds.
_SCRIPT = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local full = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now) + ARGV[1]
local over = full - ARGV[2] - now
if over > 0 then
  return over
end
redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000))
return 0
"""


class Floor(Way):
    """EVALSHA with one key and two numbers; 0 is allowed, anything else the microseconds until it is."""

    def __init__(self) -> None:
        client: Any = redis.Redis.from_url(settings.REDIS_URL, protocol=2)
        sha = client.script_load(_SCRIPT)
        period = DAYS * 86_400 * _MICRO
        often, seldom = period // GENEROUS, period // TIGHT
        self.generous = lambda key: client.evalsha(sha, 1, key, often, period)
        self.tight = lambda key: client.evalsha(sha, 1, key, seldom, period)

    def argument(self, client: int) -> str:
        return f"floor:{client}"

    def told(self, _: Any, answer: Any, /) -> str:
        return word(not answer)


WAYS = {"floor": Floor}
