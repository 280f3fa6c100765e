"""Judgements of what no server here can be made to say: old versions, other machines, much memory."""

from __future__ import annotations

from typing import Any

import pytest

from redis_toolkit.doctor.access import judge_access
from redis_toolkit.doctor.findings import Finding, Report
from redis_toolkit.doctor.lasting import judge_lasting
from redis_toolkit.doctor.memory import judge_memory
from redis_toolkit.doctor.reach import judge_away, judge_libraries, judge_reach, version_of
from redis_toolkit.doctor.readings import Away, Reading, Road, User

NEAR = Road("127.0.0.1", near=True, tls=False, password=False)
FAR = Road("10.0.0.5", near=False, tls=False, password=True)
GIGABYTE = 2**30


def reading(*roles: str, road: Road = NEAR, **more: Any) -> Reading:
    """What a server of these roles has told."""
    return Reading("default", roles or ("cache",), road, **more)


def levels(found: Any) -> dict[str, str]:
    """What is the matter, by id; each has something to do."""
    bad = [each for each in found if each.level != "good"]
    assert all(each.cure for each in bad)
    return {each.id: each.level for each in bad}


@pytest.mark.parametrize(
    ("info", "version", "expected"),
    [
        ({"redis_version": "6.2.14"}, "Redis 6.2.14", {"D104": "error"}),
        ({"redis_version": "7.0.0"}, "Redis 7.0.0", {}),
        ({"redis_version": "8.2.1"}, "Redis 8.2.1", {}),
        ({"redis_version": "7.2.4", "valkey_version": "8.1.3"}, "Valkey 8.1.3", {}),
        ({}, "", {}),
    ],
)
def test_versions(info: dict[str, str], version: str, expected: dict[str, str]):
    """Redis before 7.0 is too old, Valkey never is; of a server that does not say nothing is said."""
    assert levels(judge_reach(reading(info=info))) == expected
    assert version_of(reading(info=info)) == version


@pytest.mark.parametrize(
    ("version", "old"), [("6.3.0", True), ("6.4", False), ("6.10.1", False), ("7.0.0b1", False), ("5", True)]
)
def test_client_libraries(version: str, old: bool):
    """As numbers, not as texts; those that are installed are new enough."""
    assert levels(judge_libraries({"redis": version, "hiredis": "3.2.0", "django-redis": "7.0"})) == (
        {"D105": "error"} if old else {}
    )
    [well] = judge_libraries()
    assert (well.id, well.level) == ("D105", "good")
    assert "hiredis" in well.sentence


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.0019, {}), (0.002, {"D107": "advice"}), (0.01, {"D107": "warning"})]
)
def test_latency(seconds: float, expected: dict[str, str]):
    """2 ms are much, 10 ms too much."""
    assert levels(judge_reach(reading(latency=seconds))) == expected


def test_a_server_that_is_loading():
    """It is up, and answers nobody."""
    found = judge_away(Away("default", ("cache",), "loading", "LOADING Redis is loading the dataset in memory"))
    assert (found.id, found.level, found.subject) == ("D103", "error", "default")


def test_clocks():
    """2 seconds are told of, whichever is ahead."""
    assert levels(judge_reach(reading(skew=1.9))) == levels(judge_reach(reading())) == {}
    [ahead] = [each for each in judge_reach(reading(skew=30.0)) if each.id == "D108"]
    assert ahead.sentence.startswith("The server's clock is 30 s ahead of ours.")
    [behind] = [each for each in judge_reach(reading(skew=-30.0)) if each.id == "D108"]
    assert behind.sentence.startswith("The server's clock is 30 s behind ours.")


@pytest.mark.parametrize(
    ("used", "held", "expected"),
    [
        (GIGABYTE, 1.1 * GIGABYTE, {}),
        (GIGABYTE, 1.6 * GIGABYTE, {"D126": "advice"}),
        (GIGABYTE, 0.5 * GIGABYTE, {"D127": "warning"}),
        (2**20, 2**24, {}),
    ],
    ids=["as it should be", "fragmented", "swapped", "small"],
)
def test_what_memory_is_held(used: float, held: float, expected: dict[str, str]):
    """Twice as much as there is data, or less; not of a small server."""
    info = {"maxmemory_policy": "allkeys-lru", "maxmemory": str(4 * GIGABYTE)}
    info |= {"used_memory": str(used), "used_memory_rss": str(held)}
    assert levels(judge_memory(reading(info=info))) == expected


def test_a_full_cache():
    """One that evicts is full all day; one that does not will refuse to store."""
    info = {"maxmemory": "1000", "used_memory": "995", "maxmemory_policy": "allkeys-lru"}
    assert levels(judge_memory(reading(info=info))) == {}
    refusing = info | {"maxmemory_policy": "noeviction"}
    assert levels(judge_memory(reading("sessions", info=refusing))) == {"D124": "error"}


@pytest.mark.parametrize(
    ("roles", "expected"),
    [
        (("sessions",), {"D132": "warning"}),
        (("write-behind",), {"D132": "warning"}),
        (("cache", "sessions"), {"D132": "warning"}),
        (("cache",), {"D133": "advice"}),
        (("cache", "stats"), {"D133": "advice"}),
        (("cache", "throttles"), {}),
        (("throttles",), {}),
    ],
)
def test_what_a_log_is_for(roles: tuple[str, ...], expected: dict[str, str]):
    """What must last wants it synced, a cache does not want it, and of throttles nothing is said."""
    told = reading(*roles, info={"aof_enabled": "1", "role": "master"}, config={"appendfsync": "no"})
    assert levels(judge_lasting(told)) == expected


@pytest.mark.parametrize("which", ["write", "bgrewrite"])
def test_a_log_that_cannot_be_written(which: str):
    """Either of its two states is an error."""
    info = {"aof_enabled": "1", "role": "master", f"aof_last_{which}_status": "err"}
    assert levels(judge_lasting(reading("sessions", info=info))) == {"D131": "error"}
    assert levels(judge_lasting(reading("sessions", info=info | {"aof_enabled": "0"}))) == {}


@pytest.mark.parametrize(
    ("road", "needs", "expected"),
    [
        (NEAR, True, {}),
        (FAR, True, {"D153": "warning"}),
        (FAR._replace(tls=True), True, {}),
        (FAR, False, {"D151": "warning", "D153": "warning"}),
        (NEAR, False, {"D151": "advice"}),
        (NEAR, None, {}),
    ],
    ids=["near", "far", "encrypted", "far and open", "near and open", "not known"],
)
def test_other_machines(road: Road, needs: bool | None, expected: dict[str, str]):
    """What goes over a network is encrypted, and asks for a password."""
    assert levels(judge_access(reading(road=road, needs_password=needs))) == expected


@pytest.mark.parametrize(
    ("bind", "port", "protected", "expected"),
    [
        ("* -::*", "6379", "no", {"D150": "error"}),
        ("0.0.0.0", "6379", "no", {"D150": "error"}),  # noqa: S104
        ("", "6379", "no", {"D150": "error"}),
        ("127.0.0.1 -::1", "6379", "no", {"D151": "advice"}),
        ("* -::*", "6379", "yes", {"D151": "advice"}),
        ("* -::*", "0", "no", {}),
    ],
)
def test_who_is_let_in(bind: str, port: str, protected: str, expected: dict[str, str]):
    """All three must come together: everywhere, unprotected, without a password."""
    config = {"bind": bind, "port": port, "protected-mode": protected}
    assert levels(judge_access(reading(config=config, needs_password=False))) == expected
    assert levels(judge_access(reading(config=config, needs_password=True))) == {}


@pytest.mark.parametrize(
    ("commands", "expected"),
    [
        ("+@all", {"D152": "advice"}),
        ("+@all -debug", {"D152": "advice"}),
        ("+@all -@dangerous +info", {}),
        ("+@all -flushall", {}),
        ("-@all +get", {}),
        ("", {}),
    ],
)
def test_rights(commands: str, expected: dict[str, str]):
    """Who may do everything may do too much."""
    user = User("app", commands, frozenset({"on"}))
    assert levels(judge_access(reading(user=user, needs_password=True))) == expected


def test_a_report_by_levels():
    """Those of a level and of the worse ones."""
    found = tuple(Finding("D1", level, "x", "", "") for level in ("error", "warning", "advice", "good"))
    report = Report((), found)
    assert [len(report.of(level)) for level in ("error", "warning", "advice", "good")] == [1, 2, 3, 4]
