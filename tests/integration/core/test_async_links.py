"""``AsyncLink`` on a real server: exchanges, scripts, lost connections, outages, loops that end."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest
import redis

from redis_toolkit.core.async_links import async_link
from redis_toolkit.core.connections import link, pack
from redis_toolkit.core.scripts import Script, arun
from redis_toolkit.exceptions import BreakerOpen, OutcomeUnknown, StoreUnavailable
from redis_toolkit.testing import ValkeyServer

FIFTY = 50


async def set_and_get(name: str, value: str) -> list[Any]:
    return await async_link().ask_many(pack(("SET", name, value)) + pack(("GET", name)), 2)


def test_an_exchange_is_one_round_trip() -> None:
    """Two commands and two answers, in order."""

    async def play() -> tuple[list[Any], int]:
        answers = await set_and_get("a", "1")
        return answers, async_link().round_trips

    assert asyncio.run(play()) == ([b"OK", b"1"], 1)


@pytest.fixture
def patient(settings: Any) -> None:
    """However slow the machine, nothing is given up."""
    settings.REDIS_TOOLKIT_CONNECT_TIMEOUT = settings.REDIS_TOOLKIT_READ_TIMEOUT = 30


@pytest.mark.usefixtures("patient")
def test_fifty_at_once_have_an_answer_each(redis_client: redis.Redis) -> None:
    """Nobody is given what another has asked for."""

    async def play() -> list[list[Any]]:
        return await asyncio.gather(*(set_and_get(f"name{each}", str(each)) for each in range(FIFTY)))

    answers = asyncio.run(play())
    assert [got for _, got in answers] == [str(each).encode() for each in range(FIFTY)]


def test_a_loop_that_ends_closes_its_connections(redis_client: redis.Redis) -> None:
    """No warning of a socket left open, and no client left on the server."""
    before = {each["id"] for each in redis_client.client_list()}

    async def play() -> None:
        await asyncio.gather(*(set_and_get("a", str(each)) for each in range(10)))

    for _ in range(3):
        asyncio.run(play())
    gc.collect()
    # (What was closed is on the list till the server has looked at its connections again, as it has when it answers.)
    redis_client.ping()
    # (Of those before some may be gone as well: what other tests have left.)
    assert {each["id"] for each in redis_client.client_list()} <= before


def test_a_connection_closed_while_idle_is_replaced(redis_client: redis.Redis) -> None:
    """Whether the command may be sent twice or not."""

    async def play() -> list[Any]:
        await set_and_get("a", "1")
        redis_client.client_kill_filter(_type="normal", skipme=True)
        first = await set_and_get("a", "2")
        redis_client.client_kill_filter(_type="normal", skipme=True)
        # (The loop hears of the end of it while it waits for something.)
        await asyncio.to_thread(redis_client.ping)
        second = await async_link().ask_many(pack(("INCR", "a")), 1, idempotent=False)
        return [*first, *second]

    assert asyncio.run(play()) == [b"OK", b"2", 3]


def test_a_refusal_keeps_the_connection() -> None:
    """What the server says stands in the error, and the next exchange is none the worse for it."""

    async def play() -> list[Any]:
        await set_and_get("a", "text")
        with pytest.raises(StoreUnavailable, match="refused a command"):
            await async_link().ask_many(pack(("INCR", "a")) + pack(("LPUSH", "a", "1")), 2)
        return await set_and_get("a", "2")

    assert asyncio.run(play()) == [b"OK", b"2"]


def test_a_server_that_is_away_opens_the_breaker(valkey: ValkeyServer) -> None:
    """It is that of the link for threads: one that has found out spares the others the waiting."""

    async def play() -> None:
        await set_and_get("a", "1")
        valkey.kill()
        for _ in range(3):
            with pytest.raises(StoreUnavailable):
                await set_and_get("a", "1")
        with pytest.raises(BreakerOpen):
            await set_and_get("a", "1")

    asyncio.run(play())
    assert link().breaker.is_open


def test_a_server_that_hangs_is_given_up(valkey: ValkeyServer) -> None:
    """One time-out, and the breaker is open; of what must not run twice it is said that it may have run."""

    async def play() -> None:
        await set_and_get("a", "1")
        valkey.pause()
        with pytest.raises(OutcomeUnknown):
            await async_link().ask_many(pack(("INCR", "n")), 1, idempotent=False)
        with pytest.raises(BreakerOpen):
            await set_and_get("a", "1")
        valkey.resume()

    asyncio.run(play())


@pytest.mark.usefixtures("patient")
def test_one_who_gives_up_leaves_no_answer_behind(valkey: ValkeyServer) -> None:
    """A cancelled exchange costs its connection: the next one is not given its answer."""

    async def play() -> list[Any]:
        await set_and_get("a", "1")
        valkey.pause()
        asked = asyncio.ensure_future(async_link().ask_many(pack(("GET", "a")), 1))
        await asyncio.wait([asked], timeout=0.05)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        valkey.resume()
        return await set_and_get("b", "2")

    assert asyncio.run(play()) == [b"OK", b"2"]


@pytest.mark.parametrize("idempotent", [True, False])
def test_a_script_is_loaded_where_it_is_missing(redis_client: redis.Redis, idempotent: bool) -> None:
    """Three round trips the first time, and one from then on."""
    redis_client.script_flush()
    [script] = [each for each in _scripts() if each.name == "cache_claim"]

    async def play() -> tuple[int, int]:
        await arun(None, [script.call("a", 1000)], idempotent=idempotent)
        first = async_link().round_trips
        await arun(None, [script.call("b", 1000)], idempotent=idempotent)
        return first, async_link().round_trips - first

    assert asyncio.run(play()) == (3, 1)


def _scripts() -> list[Script]:
    from redis_toolkit.core import scripts

    return scripts._scripts
