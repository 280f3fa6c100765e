"""Whether servers answer, how fast, and whether they are of a kind the toolkit works with."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib.metadata import version as installed
from typing import Final

from redis_toolkit.core.clock import now
from redis_toolkit.doctor.findings import Finding, good
from redis_toolkit.doctor.readings import Away, Reading
from redis_toolkit.doctor.slowness import is_ours

__all__ = ["judge_away", "judge_libraries", "judge_reach", "version_of"]

#: Redis; every Valkey is of these.
_OLDEST: Final = (7, 0)
#: What the toolkit is built on, each with the oldest version that works.
_LIBRARIES: Final = {"redis": (6, 4), "hiredis": (3, 2), "django-redis": (7, 0)}
#: Seconds of a round trip. A query by primary key on a database of one's own takes about a millisecond.
_SLOW: Final = 0.002
_TOO_SLOW: Final = 0.010
#: Seconds by which two clocks may differ.
_SKEW: Final = 2.0
#: Share of the connections a server takes.
_CROWDED: Final = 0.8
#: Seconds that count as lately.
_LATELY: Final = 3600

_AWAY: Final[dict[str, tuple[str, str, str]]] = {
    "away": (
        "D101", "The server does not answer: {}",
        "Start it, or correct LOCATION of CACHES[{!r}]. (Is a firewall between, or TLS on one side alone?)",
    ),
    "password": (
        "D102", "The server does not let us in: {}",
        "Put the right name and password into LOCATION or OPTIONS of CACHES[{!r}], percent-encoded in an address.",
    ),
    "loading": (
        "D103", "The server is reading its file and answers nobody till it has: {}",
        "Wait, and examine it again. (CACHES[{!r}])",
    ),
    "misconfigured": (
        "D101", "The alias cannot be used: {}",
        "Correct CACHES[{!r}]: it is a django-redis cache whose LOCATION is redis://host:6379/0.",
    ),
}  # fmt: skip


def judge_away(away: Away) -> Finding:
    """What is the matter with a server that could not be asked."""
    name, sentence, cure = _AWAY[away.why]
    return Finding(name, "error", away.alias, sentence.format(away.told.rstrip(".") + "."), cure.format(away.alias))


def judge_reach(reading: Reading) -> Iterator[Finding]:
    """How the server answers."""
    yield from _latency(reading)
    yield from _version(reading)
    yield from _refusals(reading)
    yield from _clock(reading)
    yield from _clients(reading)
    yield from _slow(reading)


def judge_libraries(versions: Mapping[str, str] | None = None) -> Iterator[Finding]:
    """The packages we speak to Redis by, as they are installed, or of these ``versions``."""
    found = {name: installed(name) for name in _LIBRARIES} if versions is None else versions
    old = {name: text for name, text in found.items() if _numbers(text) < _LIBRARIES[name]}
    for name, text in old.items():
        oldest = ".".join(map(str, _LIBRARIES[name]))
        yield Finding(
            "D105", "error", name, f"The package {name} is version {text}; the toolkit needs {oldest}.",
            f"pip install -U '{name}>={oldest}'",
        )  # fmt: skip
    if not old:
        yield good("D105", "redis", ", ".join(f"{name} {text}" for name, text in found.items()) + ".")


def version_of(reading: Reading) -> str:
    """The server's kind and version, as "Valkey 8.1.0"; empty where it is not known."""
    if "valkey_version" in reading.info:
        return f"Valkey {reading.info['valkey_version']}"
    return f"Redis {reading.info['redis_version']}" if "redis_version" in reading.info else ""


def _latency(reading: Reading) -> Iterator[Finding]:
    took = f"{reading.latency * 1000:.2f} ms"
    if reading.latency < _SLOW:
        yield good("D107", reading.alias, f"The server answers in {took}.")
        return
    yield Finding(
        "D107", "warning" if reading.latency >= _TOO_SLOW else "advice", reading.alias,
        f"A round trip takes {took}, and a cached answer takes one: a query by primary key may be faster.",
        "Move the server nearer (the same zone), or see what keeps it or this machine busy.",
    )  # fmt: skip


def _version(reading: Reading) -> Iterator[Finding]:
    named = version_of(reading)
    if named and "valkey_version" not in reading.info and _numbers(reading.info["redis_version"]) < _OLDEST:
        yield Finding(
            "D104", "error", reading.alias, f"The server is {named}; the toolkit needs Redis 7.0 or Valkey.",
            "Upgrade the server.",
        )  # fmt: skip
    elif named:
        yield good("D104", reading.alias, f"The server is {named}.")
    if reading.info.get("cluster_enabled") == "1":
        yield Finding(
            "D106", "error", reading.alias, "The server is part of a Cluster, which the toolkit does not speak to yet.",
            "Use a server that is none (cluster-enabled no), with a replica if it must not fail.",
        )  # fmt: skip


def _refusals(reading: Reading) -> Iterator[Finding]:
    if reading.missing:
        yield Finding(
            "D109", "error", reading.alias,
            f"Our user may not call {', '.join(reading.missing)} on the toolkit's keys, which it cannot do without.",
            "Give it what docs/reference/keys.md says that a user of Redis must be allowed.",
        )  # fmt: skip
    if "INFO" in reading.refused and reading.keeps("cache"):
        yield Finding(
            "D110", "warning", reading.alias,
            "INFO is refused, so a restart of the server cannot be told: a connection serves no answers but its own.",
            "Allow our user +info.",
        )  # fmt: skip
    if reading.refused:
        first = next(iter(reading.refused.values()))
        yield Finding(
            "D100", "advice", reading.alias,
            f"Not known: what {', '.join(sorted(reading.refused))} would tell. It is refused ({first.rstrip('.')}).",
            "Allow our user these commands, or look yourself: what rests on them is not judged here.",
        )  # fmt: skip


def _clock(reading: Reading) -> Iterator[Finding]:
    if reading.skew is None:
        return
    if abs(reading.skew) < _SKEW:
        yield good("D108", reading.alias, "The server's clock and ours agree.")
        return
    ahead = "ahead of" if reading.skew > 0 else "behind"
    yield Finding(
        "D108", "advice", reading.alias,
        f"The server's clock is {abs(reading.skew):.0f} s {ahead} ours. What expires is right all the same; the times"
        " that people read, and codes of TOTP devices, are not.",
        "Let both machines ask a time server (chrony, systemd-timesyncd).",
    )  # fmt: skip


def _clients(reading: Reading) -> Iterator[Finding]:
    most = reading.number("maxclients") or float(reading.config.get("maxclients") or 0)
    there = reading.number("connected_clients")
    if most and there > _CROWDED * most:
        yield Finding(
            "D111", "warning", reading.alias,
            f"{there:.0f} of at most {most:.0f} clients are connected. Each thread of ours holds a connection.",
            "Raise maxclients (and the limit of open files), or run fewer threads.",
        )  # fmt: skip
    elif most:
        yield good("D111", reading.alias, f"{there:.0f} of at most {most:.0f} clients are connected.")
    if rejected := reading.number("rejected_connections"):
        yield Finding(
            "D112", "warning", reading.alias,
            f"The server has turned away {rejected:.0f} connections since it was started.",
            "Raise maxclients, and see who opens so many: CLIENT LIST.",
        )  # fmt: skip


def _slow(reading: Reading) -> Iterator[Finding]:
    # By the server's own clock, which wrote them.
    since = now() + (reading.skew or 0.0) - _LATELY
    ours = [each for each in reading.slow if each.moment >= since and is_ours(each)]
    if ours:
        worst = max(ours, key=lambda each: each.seconds)
        yield Finding(
            "D113", "advice", reading.alias,
            f"The slow log has {len(ours)} of our commands of the last hour; the slowest took"
            f" {worst.seconds * 1000:.1f} ms: {worst.command}.",
            "Look at redis_toolkit.doctor.slow_log() and biggest(): a big entry, a busy machine, or a low threshold.",
        )  # fmt: skip


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(each) for each in re.findall(r"\d+", text)[:2])
