"""The lists that people read, of bans and of who is denied most: what they cost, what they hold, what they bear."""

from __future__ import annotations

import json
import os
import signal
from typing import Any

import pytest

from redis_toolkit.core import keys
from redis_toolkit.core.clock import now, travel
from redis_toolkit.core.connections import link
from redis_toolkit.signals import throttle_denied
from redis_toolkit.stats import offenders
from redis_toolkit.throttling import Ban, Decision, Throttle, banning

BANS, TOLD = "rt:h:{bans}", "rt:h:{bans}:told"


def fill(redis_client: Any, count: int) -> float:
    """So many bans on the list, of the throttle "many": the one of client 0 ends first, in a thousand seconds. Since when."""
    began = now()
    members = {banning._member("many", keys.digest(str(at).encode())): began + 1000 + at for at in range(count)}
    redis_client.zadd(BANS, members)
    redis_client.hset(TOLD, mapping={member: f"client {at}" for at, member in enumerate(members)})
    return began


def trips(work: Any) -> int:
    before = link().round_trips
    work()
    return link().round_trips - before


def sizes(redis_client: Any) -> tuple[int, int]:
    return redis_client.zcard(BANS), redis_client.hlen(TOLD)


def test_one_of_ten_thousand_is_ended(redis_client: Any) -> None:
    """Two round trips, one to lift it and one for the list, whatever its length; the list is not read."""
    fill(redis_client, 9_999)
    limit = Throttle("one", "1/h", ban=Ban())
    limit.ban("ip", "192.0.2.1")
    assert sizes(redis_client) == (10_000, 10_000)
    sent = redis_client.info("stats")["total_net_output_bytes"]
    assert trips(lambda: limit.reset("ip", "192.0.2.1")) == 2
    assert redis_client.info("stats")["total_net_output_bytes"] - sent < 20_000
    assert sizes(redis_client) == (9_999, 9_999)
    assert banning.told_of("one", limit._asked(("ip", "192.0.2.1"), None).identity) is None


def test_only_what_is_shown_is_read(redis_client: Any) -> None:
    """Of ten thousand the 201 that last longest, the longest first, in two round trips; without a limit all of them."""
    fill(redis_client, 10_000)
    assert trips(lambda: list(banning.listed(201))) == 2
    found = list(banning.listed(201))
    assert [ban.told for ban in found] == [f"client {at}" for at in range(9_999, 9_798, -1)]
    assert 10_990 < found[0].seconds <= 10_999
    assert len(list(banning.listed())) == 10_000
    assert list(banning.listed(0)) == []


def test_the_list_and_who_they_are_go_together(redis_client: Any) -> None:
    """What is over, 2,500 of them, and what is too much, two, goes from both keys; both run out."""
    began = fill(redis_client, 10_001)
    limit = Throttle("one", "1/h", ban=Ban(length=86_400))
    limit.ban("ip", "192.0.2.1")
    assert sizes(redis_client) == (10_000, 10_000)
    assert {ban.told for ban in banning.listed()} >= {"ip 192.0.2.1", "client 2"}
    assert not {ban.told for ban in banning.listed()} & {"client 0", "client 1"}
    # (What came before has taken its time: another of them ends each second.)
    with travel(began + 1000 + 2_501.5 - now()):
        limit.ban("ip", "192.0.2.1")
    assert sizes(redis_client) == (7_500, 7_500)
    assert [redis_client.ttl(key) > 365 * 86_400 for key in (BANS, TOLD)] == [True, True]
    assert [ban.told for ban in banning.listed(1)] == ["ip 192.0.2.1"]


def test_the_same_client_again(redis_client: Any) -> None:
    """A ban of who is banned takes the place of the other, with what it says of them."""
    limit = Throttle("one", "1/h", ban=Ban())
    for told, seconds in (("before", 60), ("after", 120)):
        banning.ban(limit.limits, "0" * 32, told, seconds)
    assert [(ban.told, round(ban.seconds)) for ban in banning.listed()] == [("after", 120)]
    assert sizes(redis_client) == (1, 1)


def test_bans_that_cannot_be_read(redis_client: Any) -> None:
    """Bytes, halves of surrogates and control characters in what is stored: listed all the same, and printable."""
    odd = {b"no json \xff": 50, b'["a"]': 40, b'["\\ud800", "0"]': 30, b"[" * 100_000: 20}
    redis_client.zadd(BANS, {member: now() + seconds for member, seconds in odd.items()})
    limit = Throttle("one", "1/h", ban=Ban())
    for at, told in enumerate(("a\x1b[2Jb", "\ud800", "")):
        banning.ban(limit.limits, f"{at:032}", told, 100 + at)
    redis_client.hset(TOLD, banning._member("one", f"{0:032}"), b"a\x1b\xffb")
    found = list(banning.listed())
    assert [ban.told for ban in found[:3]] == [f"{2:032}", "?", "a\ufffd\ufffdb"]
    assert [ban[:3] for ban in found[3:]] == [("", keys.digest(member), keys.digest(member)) for member in odd]


def test_offenders_that_cannot_be_read(settings: Any, redis_client: Any) -> None:
    """The same of who is denied most."""
    odd: dict[bytes, int] = {b"no json \xff": 50, b'["a", 1, 2]': 40, b'["\\ud800", "0", ""]': 30}
    told = {json.dumps(["one", "0" * 32, "a\x1b\ud800b"]).encode(): 20, json.dumps(["one", "1" * 32, ""]).encode(): 10}
    redis_client.zadd(offenders._key(int(now() // 3600)), odd | told)
    found = offenders.top()
    assert [each[0::3] for each in found[:3]] == [("", 50), ("", 40), ("", 30)]
    assert [each.told for each in found[:3]] == [keys.digest(member) for member in odd]
    assert [each.told for each in found[3:]] == ["a\ufffd?b", "1" * 32]
    assert offenders.told_of("one", "0" * 32) == "a\ufffd?b"
    assert offenders.told_of("two", "0" * 32) is None


@pytest.fixture
def counting(settings: Any) -> None:
    """Offenders are counted, from none."""
    settings.REDIS_TOOLKIT_THROTTLE_OFFENDERS = True
    offenders._gathered.forget()


def deny(*, shadow: bool) -> None:
    decision = Decision(allowed=False, name="one", shadow=shadow)
    throttle_denied.send_robust(sender=None, decision=decision, identity="0" * 32, told="ada", request=None)


def test_shadows_make_no_offenders(counting: None) -> None:
    """Two denials by a shadow and one by a throttle: one."""
    deny(shadow=True)
    deny(shadow=False)
    deny(shadow=True)
    assert [each[2:] for each in offenders.top()] == [("ada", 1)]


def test_a_fork_while_somebody_counts(counting: None) -> None:
    """A child begins with a free lock and nothing counted; what its parent has counted its parent tells, once."""
    deny(shadow=False)
    # (The first is told at once; these stay.)
    for _ in range(3):
        deny(shadow=False)
    end, begin = os.pipe()
    with offenders._gathered._lock:
        child = os.fork()
        if child == 0:
            signal.alarm(10)
            os.write(begin, str(sum(offenders._gathered.take().values())).encode())
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert os.read(end, 10) == b"0"
    assert [each.times for each in offenders.top()] == [4]
