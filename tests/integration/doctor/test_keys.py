"""The biggest keys by samples, and the slow log without what may be secret."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import redis

from redis_toolkit.core import keys
from redis_toolkit.doctor import Key, biggest, slow_log
from redis_toolkit.doctor.biggest import room_of
from redis_toolkit.exceptions import Misconfigured, StoreUnavailable
from tests.integration.doctor.conftest import SOUND, Start

Client = Callable[..., redis.Redis]


def test_the_biggest(start: Start, client_of: Client):
    """Ours alone, the biggest first, as many as are asked for, each with its room and its life."""
    client = client_of(start(SOUND))
    client.set("rt:q:small", "x" * 100, ex=1000)
    client.set("rt:d:{abc}:big", "x" * 10_000)
    client.hset("rt:o:{tag}:purpose:c:r:digest", mapping={str(number): "x" * 100 for number in range(30)})
    client.set("foreign", "x" * 100_000)
    client.set("rtx:q:foreign", "x" * 100_000)
    first, second, third = biggest("default")
    assert [(each.name, each.room) for each in (first, second, third)] == [
        ("rt:d:{abc}:big", "sessions"),
        ("rt:o:{tag}:purpose:c:r:digest", "codes"),
        ("rt:q:small", "cache"),
    ]
    assert 10_000 < first.bytes < 20_000
    assert (first.ttl, third.ttl is not None and 990 < third.ttl <= 1000) == (None, True)
    assert first.idle is not None
    assert 0 <= first.idle < 60
    assert biggest("default", limit=1) == [first]


def test_it_is_bounded(start: Start, client_of: Client):
    """Of 3,000 keys 500 are looked at; where 2,500 are others', no more than 12 SCANs are sent."""
    client = client_of(start(SOUND))
    client.mset({f"rt:q:{number}": 1 for number in range(500)} | {f"other:{number}": 1 for number in range(2500)})
    for sample, most in ((500, 12), (100, 4)):
        client.config_resetstat()
        found = biggest("default", sample=sample, limit=1000)
        calls = {name.removeprefix("cmdstat_"): each["calls"] for name, each in client.info("commandstats").items()}
        assert len(found) <= sample
        assert calls["scan"] <= most
        assert calls["memory|usage"] == len(found)
        assert "keys" not in calls


def test_an_lfu_server_tells_no_idleness(start: Start, client_of: Client):
    """It keeps other figures."""
    client_of(start({**SOUND, "maxmemory-policy": "allkeys-lfu"})).set("rt:q:a", 1)
    [found] = biggest("default")
    assert isinstance(found, Key)
    assert found.idle is None


def test_who_may_not_is_told(start: Start):
    """A user who may neither SCAN nor read the log; an alias that is none."""
    start({**SOUND, "user": ["default off", "small on >secret ~* -@all +get +set"]}, user="small secret")
    with pytest.raises(StoreUnavailable, match="refused SCAN: NOPERM"):
        biggest("default")
    with pytest.raises(StoreUnavailable, match="refused SLOWLOG GET: NOPERM"):
        slow_log("default")
    with pytest.raises(Misconfigured):
        slow_log("nobody")


def test_who_may_scan_and_not_weigh(start: Start, client_of: Client):
    """MEMORY USAGE is a command of its own."""
    server = start(SOUND)
    client = client_of(server)
    client.set("rt:q:a", 1)
    client.execute_command("ACL", "SETUSER", "default", "-memory")
    with pytest.raises(StoreUnavailable, match="refused MEMORY USAGE: NOPERM"):
        biggest("default")


def test_the_slow_log_keeps_secrets(start: Start, client_of: Client):
    """A name and our keys; no value, no key of others, no password; of a script its name."""
    from redis_toolkit.throttling import Throttle

    client = client_of(start({**SOUND, "slowlog-log-slower-than": 0}))
    Throttle("doctor", "10/m").hit("somebody")
    client.set("rt:d:{abc}:session", "secret")
    client.set("other", "secret")
    client.delete("rt:r:default:app.badge:code=secret,owner_id=secret", "rt:s:default:app_badge:code=secret:x")
    client.acl_setuser("ada", enabled=True, passwords=["+secret"])
    found = slow_log("default", limit=50)
    commands = [each.command for each in found]
    assert not {"secret", "somebody", "other"} & set(re.split(r"[^a-z]", " ".join(commands)))
    assert "DEL rt:r:default:app.badge:code=…,owner_id=… rt:s:default:app_badge:code=…:x" in commands
    assert "SET rt:d:{abc}:session …" in commands
    assert "SET …" in commands
    assert "ACL SETUSER …" in commands
    [script] = {each for each in commands if each.startswith("EVALSHA")}
    assert script.startswith("EVALSHA throttle_")
    assert f" {keys.make('h')}" in script
    assert all(each.seconds >= 0 and each.moment > 1_600_000_000 for each in found)
    assert len(slow_log("default", limit=2)) == 2


@pytest.mark.parametrize(
    ("name", "room"),
    [
        ("rt:r:default:app.lesson:id=1", "cache"),
        ("rt:o:0123", "cache"),
        ("rt:o:{0123}:log-in:c:r:4567", "codes"),
        ("rt:h:{bans}", "throttles"),
        ("rt:k:abc", "tokens"),
        ("rt:u:abc", "sessions"),
        ("rt:wb:{a}:gathered", "write-behind"),
        ("rt:b:{a}:state", "filters"),
        ("rt:new", "other"),
        ("foreign", "other"),
    ],
)
def test_rooms(name: str, room: str, settings: Any):
    """Each key of docs/reference/keys.md has its room."""
    assert room_of(name) == room
