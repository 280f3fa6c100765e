"""What the doctor says of real servers, each configured as it should not be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from django.core.cache import caches

from redis_toolkit.cache import WriteBehind
from redis_toolkit.cache.behind import counters
from redis_toolkit.core import clock
from redis_toolkit.core.connections import link, pack, reset
from redis_toolkit.doctor import Finding, biggest, examine, slow_log
from redis_toolkit.doctor.readings import Reading, read
from redis_toolkit.signals import breaker_changed
from redis_toolkit.testing import ValkeyServer
from tests.app.models import Page
from tests.integration.doctor.conftest import LASTING, SOUND, Start, behind

KEYS = Path(__file__).parents[3] / "docs" / "reference" / "keys.md"
OURS = "redis_toolkit.sessions"
THROTTLES = {"views": {"rate": "10/m"}}
#: Seconds for which something is waited for that takes milliseconds.
PATIENCE = 10.0

Client = Callable[..., redis.Redis]


def found(alias: str = "default") -> dict[str, Finding]:
    """What is the matter with a server, by id; each has something to do."""
    bad = [each for each in examine(aliases=[alias]).findings if each.level != "good"]
    assert all(each.subject == alias and each.cure and each.sentence.endswith((".", ").")) for each in bad)
    assert len({each.id for each in bad}) == len(bad)
    return {each.id: each for each in bad}


def until(client: redis.Redis, section: str, name: str, value: Any) -> None:
    """Wait till INFO says so."""
    end = clock.monotonic() + PATIENCE
    while client.info(section).get(name) != value:
        assert clock.monotonic() < end, client.info(section)
        clock.pause(0.01)


def test_a_cache_as_it_should_be(start: Start):
    """Nothing is found, and 10 things are said to be well."""
    start(SOUND)
    report = examine(aliases=["default"])
    assert [each for each in report.findings if each.level != "good"] == []
    said = [each.id for each in report.findings]
    assert said == ["D104", "D107", "D108", "D111", "D122", "D124", "D125", "D140", "D151", "D167"]
    [server] = report.servers
    assert (server.alias, server.roles) == ("default", ("cache",))
    assert server.version.startswith(("Valkey ", "Redis "))
    assert (server.facts["maxmemory"], server.facts["policy"], server.facts["append-only file"]) == (
        "100.0 MB", "allkeys-lru", "off",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, {"D120": "warning", "D121": "warning"}),
        ({"maxmemory": "100mb"}, {"D121": "warning"}),
        ({**SOUND, "maxmemory-policy": "volatile-ttl"}, {"W007": "warning"}),
        ({**SOUND, "maxmemory-policy": "allkeys-random"}, {"D122": "advice"}),
        ({**SOUND, "maxmemory": 2**50}, {"D128": "warning"}),
        ({**SOUND, "appendonly": True}, {"D133": "advice"}),
        ({**SOUND, "cluster-enabled": True}, {"D106": "error"}),
        ({**SOUND, "replicaof": "127.0.0.1 1"}, {"D140": "error", "D141": "error"}),
        ({**SOUND, "rename-command": 'CONFIG ""'}, {"D100": "advice", "D151": "advice"}),
    ],
    ids=["no bound", "noeviction", "volatile-ttl", "random", "too much", "log", "cluster", "replica", "managed"],
)  # fmt: skip
def test_caches_as_they_should_not_be(start: Start, config: dict[str, Any], expected: dict[str, str]):
    """Each fault is named, and nothing else: 9 servers."""
    start(config)
    assert {name: each.level for name, each in found().items()} == expected


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (LASTING, {}),
        ({**LASTING, "maxmemory-policy": "allkeys-lru"}, {"W090": "warning"}),
        ({"maxmemory-policy": "noeviction"}, {"W095": "warning"}),
        ({**LASTING, "appendfsync": "no"}, {"D132": "warning"}),
        ({"maxmemory-policy": "volatile-ttl"}, {"W090": "warning", "W095": "warning"}),
    ],
    ids=["as it should be", "evicts", "no log", "no sync", "evicts and forgets"],
)
def test_servers_of_sessions(start: Start, settings: Any, config: dict[str, Any], expected: dict[str, str]):
    """Each fault of what must last is named, and nothing else: 5 servers."""
    settings.SESSION_ENGINE, settings.REDIS_TOOLKIT_DURABLE_ALIAS = OURS, "durable"
    start(config, alias="durable")
    assert {name: each.level for name, each in found("durable").items()} == expected
    assert examine(aliases=["durable"]).servers[0].roles == ("sessions",)


def test_throttles_that_are_evicted(start: Start, settings: Any):
    """The check's own id and sentence, once, for the server of the throttles; its roles are said."""
    settings.REDIS_TOOLKIT_THROTTLES, settings.REDIS_TOOLKIT_THROTTLE_ALIAS = THROTTLES, "counts"
    start(SOUND, alias="counts")
    assert set(found("counts")) == {"W072"}
    assert examine(aliases=["counts"]).servers[0].roles == ("throttles",)


def test_all_on_one_server(start: Start, settings: Any):
    """A cache among what must last is told of; so is a neighbour whose clear() empties what is counted."""
    settings.SESSION_ENGINE, settings.REDIS_TOOLKIT_THROTTLES = OURS, THROTTLES
    server = start({**SOUND, **LASTING})
    assert set(found()) == {"D123", "W090"}
    behind(settings, "pages", server.url)
    assert set(found()) == {"D123", "W090"}
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
    assert set(found()) == {"D123", "D166"}
    assert "clear() of 'pages' in CACHES empties this database" in found()["D166"].sentence


def test_counters(start: Start, settings: Any, monkeypatch: pytest.MonkeyPatch):
    """A server that gathers for WriteBehind has that role."""
    monkeypatch.setattr(counters, "_declared", {})
    start({**SOUND}, alias="gathers")
    WriteBehind(Page, "views", alias="gathers")
    assert set(found("gathers")) == {"W030", "W031"}
    assert examine(aliases=["gathers"]).servers[0].roles == ("write-behind",)


def test_a_full_server(start: Start, client_of: Client):
    """One that evicts nothing refuses to write: an error; and a warning before."""
    server = start({"maxmemory": "8mb", "maxmemory-policy": "noeviction"})
    client = client_of(server)
    while client.info("memory")["used_memory"] < 0.92 * 8 * 2**20:
        client.set(f"rt:q:{client.dbsize()}", "x" * 50_000)
    assert found()["D124"].level == "warning"
    for size in (50_000, 1000):
        with pytest.raises(redis.OutOfMemoryError):
            for _ in range(1000):
                client.set(f"rt:q:{client.dbsize()}", "x" * size)
    assert found()["D124"].level == "error"
    assert "the server evicts nothing: it refuses to write" in found()["D124"].sentence


@pytest.mark.parametrize(("throttles", "level"), [({}, "advice"), (THROTTLES, "warning")])
def test_evictions(start: Start, client_of: Client, settings: Any, throttles: dict[str, Any], level: str):
    """Evicted entries are misses; where something else is there they are losses."""
    settings.REDIS_TOOLKIT_THROTTLES = throttles
    client = client_of(start({"maxmemory": "4mb", "maxmemory-policy": "allkeys-lru"}))
    for number in range(100):
        client.set(f"rt:q:{number}", "x" * 100_000)
    assert client.info("stats")["evicted_keys"] > 0
    assert found()["D125"].level == level


def test_a_snapshot_that_failed(start: Start, client_of: Client):
    """A folder stands where the file should be."""
    server = start(SOUND)
    (server.directory / "dump.rdb").mkdir()
    client = client_of(server)
    client.bgsave()
    until(client, "persistence", "rdb_last_bgsave_status", "err")
    assert {name: each.level for name, each in found().items()} == {"D130": "error"}


def test_a_primary_with_a_replica(start: Start, client_of: Client, settings: Any):
    """What must last and min-replicas-to-write 0: with 1 all is well."""
    settings.SESSION_ENGINE, settings.REDIS_TOOLKIT_DURABLE_ALIAS = OURS, "durable"
    server = start(LASTING, alias="durable", tcp=True)
    start({"replicaof": f"127.0.0.1 {server.port}"}, alias="copy")
    client = client_of(server)
    until(client, "replication", "connected_slaves", 1)
    assert set(found("durable")) == {"D142", "D151"}
    client.config_set("min-replicas-to-write", 1)
    assert set(found("durable")) == {"D151"}


def test_a_server_that_is_open_to_all(start: Start, client_of: Client):
    """All addresses, protected mode off, no password: an error; with one of them put right only advice, or nothing."""
    server = start({**SOUND, "bind": "* -::*", "protected-mode": False}, tcp=True)
    client = client_of(server)
    assert {name: each.level for name, each in found().items()} == {"D150": "error"}
    client.config_set("protected-mode", "yes")
    assert {name: each.level for name, each in found().items()} == {"D151": "advice"}


def test_crowds(start: Start, client_of: Client):
    """Most connections are taken, and some were turned away."""
    server = start({**SOUND, "maxclients": 6})
    clients = [client_of(server) for _ in range(8)]
    for client in clients[:6]:
        client.ping()
    for client in clients[6:]:
        with pytest.raises(redis.RedisError):
            client.ping()
    clients[0].close()
    # (It hears of that when it gets round to it; the doctor needs the place.)
    until(clients[1], "clients", "connected_clients", 5)
    assert {"D111", "D112"} <= set(found())
    assert found()["D112"].sentence.startswith("The server has turned away ")


def test_the_slow_log(start: Start, client_of: Client):
    """Commands of ours in it are counted, others' are not."""
    server = start({**SOUND, "slowlog-log-slower-than": 0})
    client_of(server).set("foreign", 1)
    assert "D113" not in found()
    link().ask(pack(("GET", "rt:r:one")))
    said = found()["D113"].sentence
    assert "rt:r:one" not in said or said.startswith("The slow log has ")
    assert "of our commands of the last hour" in said


def test_keys_of_others(start: Start, client_of: Client):
    """3 of 5 keys are not the toolkit's."""
    client = client_of(start(SOUND))
    client.mset({"rt:a": 1, "rt:b": 1, "rtx": 1, ":1:c": 1, "d": 1})
    assert found()["D167"].sentence.startswith("3 of 5 keys are not the toolkit's")


def test_clocks_that_differ(start: Start):
    """An hour is told of; that nothing of ours rests on it, too."""
    start(SOUND)
    with clock.travel(3600):
        assert found()["D108"].sentence.startswith("The server's clock is 3600 s behind ours.")
    assert "D108" not in found()


def test_a_server_that_is_away(start: Start):
    """It is an error, whoever asks; nothing is raised, nothing else is judged, and our own breaker is as it was."""
    server = start(SOUND)
    link().ask(pack(("PING",)))
    server.kill()
    assert {name: each.level for name, each in found().items()} == {"D101": "error"}
    assert (link().breaker.state, link().breaker.failures) == ("closed", 0)
    assert examine(aliases=["default"]).servers[0].version == ""


def test_a_server_that_hangs(start: Start):
    """It is given the time that the toolkit gives it; nobody who listens for outages hears of it."""
    server = start(SOUND)
    server.pause()
    told: list[Any] = []

    def heard(**given: Any) -> None:
        told.append(given)

    breaker_changed.connect(heard)
    try:
        assert set(found()) == {"D101"}
        assert told == []
    finally:
        breaker_changed.disconnect(heard)
        server.resume()


def test_an_alias_that_cannot_be_used(settings: Any):
    """Another backend is told as such."""
    settings.CACHES = {**settings.CACHES, "local": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    assert "is not a django-redis cache" in found("local")["D101"].sentence


def test_options_that_no_connection_takes(settings: Any, redis_url: str):
    """A word too many in the address is told as such, by its name and without what it is set to; nothing is raised."""
    behind(settings, "odd", f"{redis_url}{'&' if '?' in redis_url else '?'}no_such_thing=abcxyz")
    told = found("odd")
    assert {name: each.level for name, each in told.items()} == {"D101": "error"}
    assert "have what no connection takes" in told["D101"].sentence
    assert "no_such_thing" in told["D101"].sentence
    assert "abcxyz" not in told["D101"].sentence + told["D101"].cure


def test_the_servers_password_stands_in_no_reading(start: Start):
    """That there is one is known; what it is is forgotten at once."""
    start({**SOUND, "requirepass": "abcxyz", "user": ["ops on >opsopen ~* &* +@all"]}, user="ops opsopen")
    reading = read("default", ("cache",), 0)
    assert isinstance(reading, Reading)
    assert reading.needs_password is True
    assert "abcxyz" not in repr(reading)
    assert "opsopen" not in repr(reading)


@pytest.mark.parametrize("user", ["", "default uvwxyz", "nobody uvwxyz"])
def test_a_wrong_password(start: Start, user: str):
    """No password, a wrong one, and a user there is not: refused, and not taken for a server that is away."""
    start({**SOUND, "requirepass": "abcxyz"}, user=user)
    assert {name: each.level for name, each in found().items()} == {"D102": "error"}
    assert "xyz" not in found()["D102"].sentence + found()["D102"].cure


def test_the_right_password(start: Start):
    """It is let in; that its user may do everything is advice."""
    start({**SOUND, "requirepass": "right"}, user="default right")
    assert {name: each.level for name, each in found().items()} == {"D152": "advice"}


def test_a_password_that_nobody_asks_for(start: Start):
    """Any is good enough for a default user without one: it is the same as none."""
    start(SOUND, user="default anything")
    assert found() == {}
    [said] = [each.sentence for each in examine(aliases=["default"]).findings if each.id == "D151"]
    assert said.startswith("The server listens at a unix socket alone")


def test_a_user_who_may_do_nothing_else(start: Start):
    """GET and SET alone: what is missing is an error, what is not known is advice, and nothing is raised."""
    start({**SOUND, "user": ["default off", "small on >secret ~* -@all +get +set"]}, user="small secret")
    told = found()
    assert {name: each.level for name, each in told.items()} == {"D100": "advice", "D109": "error", "D110": "warning"}
    assert "may not call EVALSHA, TIME on the toolkit's keys" in told["D109"].sentence
    for name in ("ACL WHOAMI", "CONFIG GET", "INFO", "SCAN", "SLOWLOG GET"):
        assert name in told["D100"].sentence


def test_a_user_with_the_keys_of_another(start: Start):
    """Keys that are not ours are of no use."""
    start({**SOUND, "user": ["default off", "small on >secret ~other:* +@all"]}, user="small secret")
    assert "may not call GET on" in found()["D109"].sentence


def test_a_user_as_the_docs_have_it(start: Start):
    """A user with rights of its own: no advice about rights."""
    start({**SOUND, "user": ["default off", "small on >secret ~rt:* +@all -@dangerous +info"]}, user="small secret")
    told = found()
    assert set(told) == {"D100"}
    assert "ACL GETUSER, CONFIG GET" in told["D100"].sentence


def test_a_user_who_may_all_that_the_docs_say(start: Start, client_of: Client):
    """With the row of docs/reference/keys.md, and no other command, all is known, the biggest keys and the slow log too."""
    row = next(line for line in KEYS.read_text("utf-8").splitlines() if line.startswith("+") and "+slowlog|get" in line)
    start({**SOUND, "user": ["default off", f"small on >secret ~rt:* -@all {row}"]}, user="small secret")
    assert found() == {}
    assert [biggest("default"), slow_log("default")] == [[], []]


def test_what_is_asked_is_bounded(start: Start, client_of: Client):
    """5,000 keys: 10 SCANs for a sample of 1,000, 1 for none, no KEYS, under 50 commands in all."""
    client = client_of(start(SOUND))
    client.mset({f"rt:q:{number}": 1 for number in range(5000)})
    for sample, scans in ((1000, 10), (0, 1)):
        client.config_resetstat()
        examine(sample=sample, aliases=["default"])
        calls = {name.removeprefix("cmdstat_"): each["calls"] for name, each in client.info("commandstats").items()}
        assert abs(calls["scan"] - scans) <= 1
        assert "keys" not in calls
        assert sum(calls.values()) < 50


@pytest.mark.django_db(databases="__all__")
def test_all_servers_of_the_project(start: Start, settings: Any):
    """Each alias once, in the order of what it is for, with all its roles."""
    settings.SESSION_ENGINE, settings.REDIS_TOOLKIT_THROTTLES = OURS, THROTTLES
    start(SOUND)
    settings.REDIS_TOOLKIT_DURABLE_ALIAS = settings.REDIS_TOOLKIT_THROTTLE_ALIAS = "durable"
    start(LASTING, alias="durable")
    report = examine()
    assert [(each.alias, each.roles) for each in report.servers] == [
        ("default", ("cache",)),
        ("durable", ("throttles", "sessions")),
    ]
    assert {each.id for each in report.findings if each.subject in {"default", "durable"} and each.level != "good"} == (
        set()
    )
    subjects = list(dict.fromkeys(each.subject for each in report.findings))
    assert subjects[:2] == ["default", "durable"]


def test_what_is_silenced_is_not_said(start: Start, settings: Any):
    """SILENCED_SYSTEM_CHECKS silences the doctor, too."""
    start({"maxmemory": "100mb"})
    settings.SILENCED_SYSTEM_CHECKS = ["redis_toolkit.D121"]
    assert found() == {}
    assert caches["default"] is not None
    reset()


def test_it_changes_nothing(start: Start, client_of: Client):
    """The keys are the same, and so is the configuration."""
    server = start(SOUND)
    client = client_of(server)
    client.set("rt:q:one", 1)
    before = client.config_get()
    examine(aliases=["default"])
    assert client.keys() == [b"rt:q:one"]
    assert client.config_get() == before
    assert isinstance(server, ValkeyServer)
