"""Whether a server keeps what it is told: on disk, on replicas, and against those who would empty it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from django.core.checks import CheckMessage
from django.core.checks import Warning as Warned

from redis_toolkit.conf import Settings, settings
from redis_toolkit.core.aliases import place_of
from redis_toolkit.doctor.findings import Finding, good
from redis_toolkit.doctor.readings import Reading
from redis_toolkit.doctor.roles import LASTING

__all__ = ["evicts_marks", "forgets", "judge_lasting", "sharing"]

#: What is lost with a server that forgets, by what it keeps.
_AT_STAKE: Final = {
    "sessions": "who was logged in is logged out",
    "codes": "codes that were sent are refused, and can be guessed at again",
    "tokens": "API tokens are refused",
}
_CURE: Final = (
    "Name a cache with a server of its own in REDIS_TOOLKIT_DURABLE_ALIAS, with maxmemory-policy noeviction and"
    " appendonly yes, and have nobody call clear() on it."
)
_DISK: Final = "See the server's log: its disk may be full, its folder not writable, or fork() short of memory."


def evicts_marks(told: Mapping[str, str]) -> Iterator[CheckMessage]:
    """The cache's server, by what INFO told: one that evicts marks first."""
    if told.get("maxmemory_policy") == "volatile-ttl":
        yield Warned(
            "The server evicts what expires first (volatile-ttl), and marks expire before anything else.",
            hint="Set maxmemory-policy to allkeys-lru or allkeys-lfu: a lost mark is one of the two faults that"
            " together make old answers possible.",
            id="redis_toolkit.W007",
        )


def forgets(alias: str, kept: list[str], told: Mapping[str, str]) -> Iterator[CheckMessage]:
    """The server of what must last (``kept``: sessions, codes, tokens), by what INFO told: one that may forget it."""
    # A sentence, of which each clause begins small.
    stake = "; ".join(_AT_STAKE[name] for name in kept)
    stake = stake[:1].upper() + stake[1:]
    who = f"The server of {' and '.join(kept)} ({alias!r} in CACHES)"
    reasons = []
    if others := sharing(alias):
        reasons.append(f"is emptied by clear() of {' and '.join(map(repr, others))} in CACHES")
    if (policy := told.get("maxmemory_policy", "noeviction")) != "noeviction":
        reasons.append(f"may evict what it holds (maxmemory-policy {policy})")
    if reasons:
        yield Warned(f"{who} {', and '.join(reasons)}. {stake}.", hint=_CURE, id="redis_toolkit.W090")
    if told.get("aof_enabled") == "0":
        yield Warned(
            f"{who} keeps no log of what is written to it. When it starts again, what it kept is gone, or as it was in"
            " the last snapshot: what was ended or revoked since comes back to life.",
            hint="Set appendonly yes in its configuration; and appendfsync always where not even what was ended in the"
            " last second may come back.",
            id="redis_toolkit.W095",
        )


def sharing(alias: str) -> list[str]:
    """The caches whose clear() empties the database of ``alias``, itself among them where it is the toolkit's cache."""
    place = place_of(alias)
    named = [each for each in Settings.caches() if each != alias and place is not None and place_of(each) == place]
    return [alias, *named] if settings.DURABLE_ALIAS in {None, settings.ALIAS} else named


def judge_lasting(reading: Reading) -> Iterator[Finding]:
    """Snapshots, the append-only file, and replicas."""
    yield from _snapshots(reading)
    yield from _log(reading)
    yield from _replication(reading)


def _snapshots(reading: Reading) -> Iterator[Finding]:
    status = reading.info.get("rdb_last_bgsave_status")
    if status not in {None, "ok"}:
        yield Finding(
            "D130", "error", reading.alias,
            "The last snapshot (RDB) failed. By default a server then refuses to write (stop-writes-on-bgsave-error).",
            _DISK,
        )  # fmt: skip
    elif status and reading.number("rdb_last_save_time") and reading.number("rdb_last_bgsave_time_sec") >= 0:
        yield good("D130", reading.alias, "The last snapshot (RDB) went well.")


def _log(reading: Reading) -> Iterator[Finding]:
    enabled = reading.info.get("aof_enabled")
    statuses = [reading.info.get(f"aof_last_{each}_status", "ok") for each in ("write", "bgrewrite")]
    lasts = reading.keeps(*LASTING, "write-behind")
    if enabled != "1":
        return
    if statuses != ["ok", "ok"]:
        yield Finding(
            "D131", "error", reading.alias,
            "The append-only file could not be written, or not be rewritten: what is told to the server may not last.",
            _DISK,
        )  # fmt: skip
    elif lasts:
        yield good("D131", reading.alias, "An append-only file is kept, and its last rewrite went well.")
    policy = reading.config.get("appendfsync")
    if lasts and policy == "no":
        yield Finding(
            "D132", "warning", reading.alias,
            "appendfsync is no: when the machine fails, half a minute of what was written is lost.",
            "Set appendfsync everysec; or always, where not even a second may be lost.",
        )  # fmt: skip
    elif lasts and policy:
        yield good("D132", reading.alias, f"appendfsync is {policy}.")
    if reading.keeps("cache") and not lasts and not reading.keeps("throttles"):
        yield Finding(
            "D133", "advice", reading.alias,
            "The server writes an append-only file, and keeps nothing but a cache, which is loaded again anyhow.",
            "Set appendonly no: it costs disk and time, and saves nothing.",
        )  # fmt: skip


def _replication(reading: Reading) -> Iterator[Finding]:
    role = reading.info.get("role")
    if role == "slave":
        yield Finding(
            "D140", "error", reading.alias,
            "The server is a replica: it refuses every write, so nothing is stored, counted or marked.",
            f"Let LOCATION of CACHES[{reading.alias!r}] lead to the primary"
            f" ({reading.info.get('master_host', '?')}, port {reading.info.get('master_port', '?')}).",
        )  # fmt: skip
        if reading.info.get("master_link_status") == "down":
            yield Finding(
                "D141", "error", reading.alias, "The replica has lost its primary: what it has grows old.",
                "See whether the primary runs, and whether the two reach each other.",
            )  # fmt: skip
        return
    copies = reading.number("connected_slaves")
    if copies and reading.keeps(*LASTING, "write-behind") and reading.config.get("min-replicas-to-write") == "0":
        yield Finding(
            "D142", "advice", reading.alias,
            f"{copies:.0f} {'replica follows' if copies == 1 else 'replicas follow'}, and min-replicas-to-write is 0:"
            " a primary that was cut off goes on, and what it is told is lost when it comes back.",
            "Set min-replicas-to-write 1.",
        )  # fmt: skip
    elif role:
        yield good("D140", reading.alias, f"The server is a primary with {copies:.0f} replicas.")
