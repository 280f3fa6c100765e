"""What a server refuses: which connections are kept, what is logged, and which commands of several are sent again."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import redis

from redis_toolkit.core import scripts
from redis_toolkit.core.clock import travel
from redis_toolkit.core.connections import ScriptMissing, link, pack
from redis_toolkit.exceptions import StoreUnavailable
from redis_toolkit.testing import ValkeyServer
from redis_toolkit.throttling import Throttle, checking

SET = pack(("SET", "x", "y"))
CLIENT_ID = pack(("CLIENT", "ID"))
#: Commands that make a server refuse a SET, also in a script, without being another server.
KEEPING = {
    "OOM": "CONFIG SET maxmemory 1",
    "NOPERM": "ACL SETUSER default -set",
}


def refused(command: bytes) -> str:
    """What Redis says to ``command``, which it refuses."""
    with pytest.raises(StoreUnavailable) as raised:
        link().ask(command)
    return str(raised.value.__cause__)


def saying(error: str) -> bytes:
    """A command that is answered by ``error``."""
    return pack(("EVAL", "return redis.error_reply(ARGV[1])", 0, error))


def opened(client: redis.Redis) -> int:
    """Connections that the server has accepted so far."""
    return int(client.info("stats")["total_connections_received"])


@pytest.fixture
def own(valkey: ValkeyServer, redis_client: redis.Redis) -> redis.Redis:
    """A client of a server of this test's own."""
    link().ask(CLIENT_ID)
    redis_client.ping()
    return redis_client


@pytest.mark.parametrize("word", KEEPING)
def test_a_refusal_that_says_nothing_of_the_connection(word: str, own: redis.Redis, caplog: Any) -> None:
    """A hundred refused commands are a hundred round trips on one connection, and one line of the log in a minute."""
    before, trips = opened(own), link().round_trips
    own.execute_command(*KEEPING[word].split())
    for _ in range(100):
        assert refused(SET).startswith(word)
    assert (opened(own) - before, link().round_trips - trips, link().breaker.is_open) == (0, 100, False)
    [record] = caplog.records
    assert (record.name, record.levelno) == ("redis_toolkit.core", logging.WARNING)
    assert record.getMessage().startswith(f"Redis ('default' in CACHES) refuses commands: {word} ")
    for seconds, lines in ((50, 1), (61, 2), (110, 2), (122, 3)):
        with travel(seconds):
            refused(SET)
        assert len(caplog.records) == lines


@pytest.mark.parametrize("word", KEEPING)
def test_the_same_in_a_script(word: str, own: redis.Redis, caplog: Any) -> None:
    """A hundred checks of a throttle that cannot be counted open no connection and write one line."""
    limit = Throttle("mails", "4/h", on_outage="closed")
    assert limit.hit("ada").source == "redis"
    before = opened(own)
    own.execute_command(*KEEPING[word].split())
    assert {limit.hit("ada").source for _ in range(100)} == {"closed"}
    assert (opened(own) - before, link().breaker.is_open, len(caplog.records)) == (0, False, 1)


@pytest.mark.parametrize("word", ["READONLY", "MISCONF", "NOREPLICAS", "MOVED", "CLUSTERDOWN", "ERR"])
def test_a_refusal_after_which_another_server_may_be_found(word: str, own: redis.Redis, caplog: Any) -> None:
    """Each costs its connection, so that what lies behind a moved address is met; one line of the log."""
    identities = set()
    for _ in range(5):
        identities.add(link().ask(CLIENT_ID))
        assert refused(saying(f"{word} 1 127.0.0.1:1")).startswith(word)
    assert (len(identities), len(caplog.records), link().breaker.is_open) == (5, 1, False)


def test_each_kind_is_logged(own: redis.Redis, caplog: Any) -> None:
    """Two kinds in one minute are two lines; of a thousand kinds not all are remembered."""
    for _ in range(3):
        refused(saying("MISCONF the disk is full"))
        refused(saying("CLUSTERDOWN the cluster is down"))
    assert [record.getMessage().rpartition(": ")[2] for record in caplog.records] == [
        "MISCONF the disk is full", "CLUSTERDOWN the cluster is down",
    ]  # fmt: skip
    for kind in range(1000):
        refused(saying(f"OOM{kind} x"))
    assert (len(caplog.records), len(link()._warned) <= 32) == (1002, True)


@pytest.mark.parametrize("missing_first", [True, False])
def test_one_of_two_scripts_is_missing(missing_first: bool, own: redis.Redis) -> None:
    """What has been charged is not charged again, and each answer is its own: 9 of 10 and 19 of 20 left, in 3 trips."""
    known = Throttle("known", "10/h")._asked(("ada",), None)
    missing = Throttle("missing", "20/h", algorithm="fixed_window")._asked(("bob",), None)
    asked = [missing, known] if missing_first else [known, missing]
    own.script_flush()
    own.script_load(checking._GCRA.source)
    trips = link().round_trips
    assert [each.remaining for each in checking.check(asked)] == ([19, 9] if missing_first else [9, 19])
    assert link().round_trips - trips == 3
    assert [each.remaining for each in checking.check(asked)] == ([18, 8] if missing_first else [8, 18])


@pytest.mark.parametrize("idempotent", [True, False])
def test_what_may_run_twice_is_sent_again_in_order(idempotent: bool, own: redis.Redis) -> None:
    """What may run twice is sent again as a whole, in its order; what may not runs once, and its answer is kept."""
    own.script_flush()
    calls = [pack(("RPUSH", "list", "a")), checking._REFUND.call_on(["{x}"], "", 0, "g", 1, 1, 1)]
    calls.append(pack(("RPUSH", "list", "b")))
    assert scripts.run(link(), calls, idempotent=idempotent) == ([3, 0, 4] if idempotent else [1, 0, 2])
    assert own.lrange("list", 0, -1) == ([b"a", b"b"] * 2 if idempotent else [b"a", b"b"])


def test_a_missing_script_among_answers(own: redis.Redis) -> None:
    """The error has the answers of the others; another refusal goes before it, for loading would not help."""
    own.rpush("list", "x")
    own.script_flush()
    absent, wrong = pack(("EVALSHA", "0" * 40, 0)), pack(("GET", "list"))
    with pytest.raises(ScriptMissing) as raised:
        link().ask_many(absent + CLIENT_ID + absent, 3)
    assert (raised.value.places, raised.value.answers[1]) == ([0, 2], link().ask(CLIENT_ID))
    with pytest.raises(StoreUnavailable, match="WRONGTYPE") as raised_other:
        link().ask_many(absent + wrong, 2)
    assert not isinstance(raised_other.value, ScriptMissing)
