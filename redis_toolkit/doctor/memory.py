"""What a server does when its memory is full, and how full it is, against what is kept there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from redis_toolkit.doctor.findings import Finding, good
from redis_toolkit.doctor.readings import Reading
from redis_toolkit.doctor.roles import LASTING

__all__ = ["judge_memory", "megabytes"]

#: What cannot be loaded again from the database.
_KEPT: Final = (*LASTING, "throttles", "write-behind")
_BEST: Final = {"allkeys-lru", "allkeys-lfu"}
#: Share of maxmemory.
_NEARLY: Final = 0.9
#: Here a value of some size is refused, a small one not yet.
_FULL: Final = 0.98
#: Beyond this it matters what becomes of memory: a small server's figures say little.
_MUCH: Final = 100 * 1024 * 1024
_FRAGMENTED: Final = 1.5


def judge_memory(reading: Reading) -> Iterator[Finding]:
    """The bound, the eviction policy, and what is used."""
    if "maxmemory_policy" not in reading.info:
        return
    if reading.keeps("cache"):
        yield from _of_cache(reading)
    yield from _bound(reading)
    yield from _evicted(reading)
    yield from _held(reading)


def megabytes(number: float) -> str:
    """Bytes, for people."""
    return f"{number / 1_048_576:,.1f} MB"


def _of_cache(reading: Reading) -> Iterator[Finding]:
    policy, most = reading.info["maxmemory_policy"], reading.number("maxmemory")
    if not most:
        yield Finding(
            "D120", "warning", reading.alias,
            "maxmemory is 0: the cache grows until the machine has no memory left, and the server is killed.",
            "Set maxmemory, to about two thirds of what the machine can spare.",
        )  # fmt: skip
    kept = [role for role in reading.roles if role in _KEPT]
    if kept:
        yield Finding(
            "D123", "advice", reading.alias,
            f"The cache shares its server with {' and '.join(kept)}: what may be forgotten with what should not be.",
            "Give what must last a server of its own (REDIS_TOOLKIT_DURABLE_ALIAS, REDIS_TOOLKIT_THROTTLE_ALIAS), or"
            " use noeviction, and watch that it does not fill.",
        )  # fmt: skip
    elif policy == "noeviction":
        yield Finding(
            "D121", "warning", reading.alias,
            "maxmemory-policy is noeviction: a full cache refuses to store anything, marks of writes among it.",
            "Set maxmemory-policy to allkeys-lru or allkeys-lfu.",
        )  # fmt: skip
    elif policy in _BEST:
        yield good("D122", reading.alias, f"The cache evicts by {policy}.")
    elif policy != "volatile-ttl":
        # (Of that one W007 tells.)
        yield Finding(
            "D122", "advice", reading.alias,
            f"maxmemory-policy is {policy}, which does not evict first what is read least.",
            "Set maxmemory-policy to allkeys-lru or allkeys-lfu.",
        )  # fmt: skip


def _bound(reading: Reading) -> Iterator[Finding]:
    most, used = reading.number("maxmemory"), reading.number("used_memory")
    machine = reading.number("total_system_memory")
    if most and machine and most > machine:
        yield Finding(
            "D128", "warning", reading.alias,
            f"maxmemory is {megabytes(most)}, and the machine has {megabytes(machine)}: nothing is evicted in time.",
            "Set maxmemory below what the machine can spare.",
        )  # fmt: skip
    if not most:
        return
    share = f"{megabytes(used)} of {megabytes(most)} are used"
    if reading.info["maxmemory_policy"] != "noeviction" or used < _NEARLY * most:
        yield good("D124", reading.alias, f"{share}.")
        return
    full = used >= _FULL * most
    yield Finding(
        "D124", "error" if full else "warning", reading.alias,
        f"{share}, and the server evicts nothing: {'it refuses' if full else 'soon it will refuse'} to write.",
        "Raise maxmemory, or let less be kept there: redis_toolkit.doctor.biggest() tells what takes most.",
    )  # fmt: skip


def _evicted(reading: Reading) -> Iterator[Finding]:
    evicted, hours = reading.number("evicted_keys"), reading.number("uptime_in_seconds") / 3600
    if not evicted:
        yield good("D125", reading.alias, "Nothing was evicted since the server was started.")
        return
    lost = [role for role in reading.roles if role in _KEPT]
    rate = f"{evicted:,.0f} keys were evicted in the {max(hours, 0.1):,.1f} hours since the server was started"
    if lost:
        what = f"{' and '.join(lost)} may be among them"
        cure = "Raise maxmemory, and give what must last a server with maxmemory-policy noeviction."
    else:
        what = "each of them is a miss for its next reader"
        cure = "Raise maxmemory if that is more than is read again, or shorten the ttl of what is not."
    yield Finding("D125", "warning" if lost else "advice", reading.alias, f"{rate}: {what}.", cure)


def _held(reading: Reading) -> Iterator[Finding]:
    used, held = reading.number("used_memory"), reading.number("used_memory_rss")
    if used < _MUCH or not held:
        return
    if held > _FRAGMENTED * used:
        yield Finding(
            "D126", "advice", reading.alias,
            f"The server holds {megabytes(held)} for {megabytes(used)} of data: its memory is fragmented.",
            "Set activedefrag yes, or restart it when few are there.",
        )  # fmt: skip
    elif held < _NEARLY * used:
        yield Finding(
            "D127", "warning", reading.alias,
            f"Of {megabytes(used)} of data only {megabytes(held)} are in memory: the machine swaps.",
            "Lower maxmemory, or give the machine more memory.",
        )  # fmt: skip
    else:
        yield good("D126", reading.alias, f"{megabytes(held)} are held for {megabytes(used)} of data.")
