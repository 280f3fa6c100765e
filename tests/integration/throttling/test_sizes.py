"""What is kept of an identity: so many bytes, for so long, as the table in docs/reference/throttling.md says."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

import pytest
import redis

from redis_toolkit.core.clock import freeze
from redis_toolkit.core.connections import link
from redis_toolkit.core.scripts import run
from redis_toolkit.testing import ValkeyServer
from redis_toolkit.throttling import Ban, Concurrency, Throttle, checking
from redis_toolkit.throttling.identities import digest
from tests.integration.throttling.tables import column, documented, used

#: Identities, and how many are asked in one round trip.
MANY, AT_ONCE = 5000, 100


@pytest.fixture
def growth(
    valkey: ValkeyServer, redis_client: redis.Redis, settings: Any
) -> Callable[[Callable[[int], None], int], float]:
    """Bytes by which a server grows for each of so many identities, with its tables, by what a call keeps of one."""
    settings.REDIS_TOOLKIT_READ_TIMEOUT = 30

    def once(keep: Callable[[int], None], many: int) -> float:
        redis_client.execute_command("FLUSHALL", "SYNC")
        before = used(redis_client)
        keep(many)
        after = used(redis_client)
        assert redis_client.dbsize() == many
        return (after - before) / many

    def measure(keep: Callable[[int], None], many: int) -> float:
        # The first time scripts are loaded, and buffers grow.
        once(keep, many)
        return once(keep, many)

    return measure


def charge(limit: Throttle, units: int) -> Callable[[int], None]:
    """Charge so many units to each of many."""

    def keep(many: int) -> None:
        asked = [limit._asked((number,), units) for number in range(many)]
        # (Of so many windows, each of which begins at a time of its own, one or another would end meanwhile.)
        with freeze():
            for at in range(0, many, AT_ONCE):
                assert all(checking.check(asked[at : at + AT_ONCE]))

    return keep


def strike(many: int) -> None:
    """Ban each of many, by a throttle that counts nothing else; the list of bans for people is not written."""
    limit = Throttle("mails", "0/d", ban=Ban(strikes=1)).limits
    calls = [
        checking._CHECK.call_on(limit.keys(digest((str(number),))), "", 1, 0, *limit.arguments(0, 1))
        for number in range(many)
    ]
    for at in range(0, many, AT_ONCE):
        run(link(), calls[at : at + AT_ONCE])


def hold(many: int) -> None:
    """Five places of each of many are held."""
    jobs = Concurrency("mails", 5)
    for number in range(many):
        assert all(jobs.take(number) for _ in range(5))


def kept(algorithm: str, units: int = 1) -> Callable[[int], None]:
    """What a throttle by that algorithm keeps."""
    return charge(Throttle("mails", "1000/d", algorithm=algorithm), units)


#: Rows of the table; what is kept, and how many identities are enough.
CASES: dict[str, tuple[Callable[[int], None], int]] = {
    "`gcra`": (kept("gcra"), MANY),
    "`token_bucket`": (kept("token_bucket"), MANY),
    "`fixed_window`": (kept("fixed_window"), MANY),
    "`sliding_counter`": (kept("sliding_counter"), MANY),
    "`sliding_log`, 1 unit": (kept("sliding_log"), MANY),
    "`sliding_log`, 10 units": (kept("sliding_log", 10), MANY),
    "`sliding_log`, 100 units": (kept("sliding_log", 100), 500),
    "`sliding_log`, 1,000 units": (kept("sliding_log", 1000), 50),
    "a ban": (strike, MANY),
    "`Concurrency`, 5 places held": (hold, 1000),
}


@pytest.mark.parametrize("what", CASES)
def test_bytes_are_what_is_documented(what: str, growth: Any, redis_client: redis.Redis) -> None:
    """The server grows by no more for each identity, with all its tables; and by no less than three quarters of it."""
    keep, many = CASES[what]
    most = documented(what, column(redis_client))
    assert 0.75 * most <= growth(keep, many) <= most
    sizes = [redis_client.memory_usage(key, samples=0) or 0 for key in islice(redis_client.scan_iter(), 100)]
    assert 0 < max(sizes) <= most


DAY = 86_400_000
#: Milliseconds after one hit of a thousand a day, at least and at most; and after a thousand.
LIVES = {
    "gcra": ((DAY // 1000 - 60_000, DAY // 1000), (DAY - 60_000, DAY)),
    "token_bucket": ((DAY // 1000 - 60_000, DAY // 1000), (DAY - 60_000, DAY)),
    "fixed_window": ((1, DAY), (1, DAY)),
    "sliding_counter": ((DAY - 60_000, 2 * DAY), (DAY - 60_000, 2 * DAY)),
    "sliding_log": ((DAY - 60_000, DAY), (DAY - 60_000, DAY)),
}


@pytest.mark.parametrize("algorithm", LIVES)
def test_keys_live_for_as_long_as_is_documented(algorithm: str, redis_client: redis.Redis) -> None:
    """Of a hundred identities, whose windows begin at different times: after one unit, and after all of them."""
    limit = Throttle("mails", "1000/d", algorithm=algorithm)
    for units, (least, most) in zip((1, 999), LIVES[algorithm], strict=True):
        assert all(checking.check([limit._asked((number,), units) for number in range(100)]))
        lives = [redis_client.pttl(key) for key in redis_client.keys("*")]
        assert len(lives) == 100
        assert least <= min(lives)
        assert max(lives) <= most
