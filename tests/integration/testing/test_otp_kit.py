"""The kit for one-time codes."""

from __future__ import annotations

from typing import Any

import redis

from redis_toolkit.otp import OneTimeCode
from redis_toolkit.testing import ValkeyServer
from redis_toolkit.testing.cache import isolated_cache
from redis_toolkit.testing.otp import code_clock, fixed_code


def test_a_keyspace_is_emptied_on_the_durable_server(settings: Any, redis_client: redis.Redis) -> None:
    """Codes of a test are gone with its keyspace, wherever they are kept; those of others stay."""
    code = OneTimeCode("login")
    with ValkeyServer() as server, redis.Redis.from_url(server.url) as durable:
        settings.CACHES = {**settings.CACHES, "durable": {**settings.CACHES["default"], "LOCATION": server.url}}
        settings.REDIS_TOOLKIT_DURABLE_ALIAS = "durable"
        code.issue("ada@example.com")
        before = set(durable.scan_iter())
        with isolated_cache():
            code.issue("ada@example.com")
            assert len(set(durable.scan_iter()) - before) == 2
        assert set(durable.scan_iter()) == before
        assert len(before) == 2
    assert redis_client.dbsize() == 0


@fixed_code("314159")
def test_a_code_and_a_clock() -> None:
    """The code is known beforehand, also by who decorates; and runs out when the clock is moved."""
    code = OneTimeCode("login", ttl=300, cooldown=0)
    with code_clock() as clock:
        issued = [code.issue("ada@example.com") for _ in range(2)]
        assert [each.code for each in issued] == ["314159"] * 2
        assert code.verify(issued[0].challenge, "314159")
        clock.move(300)
        assert code.verify(issued[1].challenge, "314159").reason == "expired"
