"""Floods of made-up clients: what they write about themselves makes no new client, no error, and no full server.

A hundred thousand requests; with ``HYPOTHESIS_PROFILE=nightly`` a million.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
import redis
from django.http import HttpRequest
from hypothesis import settings as profiles

from redis_toolkit.throttling import Rule, Throttle, checking
from redis_toolkit.throttling.doors import cases_of, enter
from tests.integration.throttling.tables import PAGE, column, documented, used

REQUESTS = 1_000_000 if profiles.get_current_profile_name() == "nightly" else 100_000
#: Of those that are asked in one round trip.
AT_ONCE = 500
LONG = "x" * 10_000


def asking(**meta: str) -> HttpRequest:
    """A request with this ``META``; made in two microseconds."""
    request = HttpRequest()
    request.method, request.META = "GET", meta
    return request


def one_of_a_64(at: int, dice: Random) -> HttpRequest:
    """Any address of sixteen /64."""
    return asking(REMOTE_ADDR=f"2001:db8:0:{at % 16:x}:{dice.getrandbits(16):x}:{at & 0xFFFF:x}:{at >> 16:x}:1")


def in_ipv6s_clothes(at: int, dice: Random) -> HttpRequest:
    """Sixteen addresses of IPv4, written in four ways."""
    shape = dice.choice(["10.1.1.{}", "::ffff:10.1.1.{}", "[::ffff:10.1.1.{}]:443", "10.1.1.{}:8080"])
    return asking(REMOTE_ADDR=shape.format(at % 16))


def forged(at: int, dice: Random) -> HttpRequest:
    """Sixteen clients that name others in every header there is."""
    other = f"{dice.getrandbits(8)}.{at & 0xFF}.{at >> 8 & 0xFF}.{at >> 16}"
    return asking(
        REMOTE_ADDR=f"203.0.113.{at % 16}", HTTP_X_FORWARDED_FOR=f"{other}, 192.0.2.1", HTTP_X_REAL_IP=other,
        HTTP_FORWARDED=f"for={other}", HTTP_CLIENT_IP=other,
    )  # fmt: skip


def forged_behind_a_proxy(at: int, dice: Random) -> HttpRequest:
    """The proxy of ours appends whom it saw: sixteen clients. What stands to the left of that they wrote themselves."""
    other = f"{dice.getrandbits(8)}.{at & 0xFF}.{at >> 8 & 0xFF}.{at >> 16}"
    written = dice.choice([other, f"{other}, {LONG}", f"192.0.2.1, {other}, 192.0.2.1", "," * 1000, LONG, ""])
    return asking(REMOTE_ADDR="192.0.2.1", HTTP_X_FORWARDED_FOR=f"{written}, 203.0.113.{at % 16}")


def nonsense(at: int, dice: Random) -> HttpRequest:
    """Peers that have no address are one client, whatever they are called."""
    peer = dice.choice(["", "unknown", f"_{at}", f"1.2.3.{at}.5", "\udcff\0", f"{at}::g", LONG, f"{at}"])
    return asking(REMOTE_ADDR=peer, HTTP_X_FORWARDED_FOR=f"{at}")


#: Who sends, and how many clients that are.
SPOOFS: dict[Callable[[int, Random], HttpRequest], int] = {
    one_of_a_64: 16, in_ipv6s_clothes: 16, forged: 16, forged_behind_a_proxy: 16, nonsense: 1,
}  # fmt: skip


@pytest.mark.parametrize("spoof", SPOOFS, ids=lambda spoof: spoof.__name__)
def test_what_is_made_up_is_nobody_new(spoof: Any, patience: None, redis_client: redis.Redis, settings: Any) -> None:
    """A limit of ten: ten are let in for each real client, of a fifth of all requests; and there is one short key for each."""
    settings.REDIS_TOOLKIT_TRUSTED_PROXIES = ["192.0.2.0/24"]
    rules = [Rule("flood", "10/52w", key="ip")]
    let_in, dice = 0, Random(5)
    for at in range(REQUESTS // len(SPOOFS)):
        request = spoof(at, dice)
        let_in += enter(request, cases_of(request, rules)).denial is None
    assert let_in == 10 * SPOOFS[spoof]
    keys = redis_client.keys("*")
    assert len(keys) == SPOOFS[spoof]
    assert {len(key) for key in keys} == {len("rt:h:{}:flood:g") + 32 + len(str(52 * 7 * 86_400_000))}


def made_up(at: int) -> HttpRequest:
    """A client that is new: by ten kilobytes of an API key."""
    # (Of text that takes a millisecond to normalize a hundredth is enough.)
    text = ("\xff" * 10_000, "\ufdfa" * 10_000, "\ud800\0" * 5000)[at // 100 % 3] if at % 100 == 0 else LONG
    return asking(REMOTE_ADDR="203.0.113.5", HTTP_X_API_KEY=f"{at} {text}")


def test_a_server_holds_no_more_than_a_flood_of_a_moment(
    valkey: Any, patience: None, redis_client: redis.Redis
) -> None:
    """All are new clients. A key is there for a millisecond, T/N, and until the server sweeps: so never more than 10,000.

    In bytes: never more than these many keys are documented to take.
    """
    rule = Rule("flood", "1000/s", key="header:X-Api-Key")
    checking.check([Throttle("warm", "1000/s")._asked(("nobody",), None)])
    before, most_keys, most_bytes, identities = used(redis_client), 0, 0, set()
    for start in range(0, REQUESTS, AT_ONCE):
        cases = [rule.case(made_up(at), None) for at in range(start, start + AT_ONCE)]
        asked = [case.asked for case in cases if case is not None]
        assert all(checking.check(asked))
        identities.update(each.identity for each in asked)
        most_keys = max(most_keys, redis_client.dbsize())
        most_bytes = max(most_bytes, used(redis_client) - before)
    assert len(identities) == REQUESTS
    assert 0 < most_keys <= 10_000
    # (Tables that grow are there twice for a moment.)
    assert most_bytes <= 10_000 * documented("`gcra`", column(redis_client))
    assert max((redis_client.pttl(key) for key in redis_client.keys("*")), default=0) <= 1


def test_the_worst_that_a_thousand_a_second_can_do(valkey: Any, patience: None, redis_client: redis.Redis) -> None:
    """A thousand new clients a second for ever, against 1000/d: there are those of 86.4 seconds, in the bytes documented."""
    limit, bytes_of_one = Throttle("flood", "1000/d"), documented("`gcra`", column(redis_client))
    asked = [limit._asked((number,), None) for number in range(86_400)]
    before = used(redis_client)
    for start in range(0, len(asked), AT_ONCE):
        assert all(checking.check(asked[start : start + AT_ONCE]))
    assert used(redis_client) - before <= 86_400 * bytes_of_one
    assert "86,400 keys" in PAGE.read_text("utf-8")
    megabytes = [86_400 * documented("`gcra`", server) / 1e6 for server in ("Valkey 9", "Redis 7.0")]
    assert "{:.0f} MB (Redis 7.0: {:.0f} MB)".format(*megabytes) in PAGE.read_text("utf-8").replace("\n", " ")
    # A key of the last one is gone 86.4 seconds later.
    key = limit.limits.keys(asked[-1].identity)[0]
    assert 0 < redis_client.pttl(key) <= 86_400
