"""What takes most memory, and whose keys there are: by samples that are bounded in keys and in round trips."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from redis_toolkit.core import keys
from redis_toolkit.doctor.asking import Inquiry
from redis_toolkit.exceptions import StoreUnavailable

__all__ = ["Key", "Sample", "biggest", "room_of", "sampled"]

#: Keys the server looks at for one answer, and of how many keys the size is asked at once: well under a millisecond.
_AT_ONCE: Final = 100
#: Nested values that are looked at in a hash, list or set.
_NESTED: Final = 5
_OTHER: Final = "other"
_CODES: Final = "codes"
_ROOMS: Final = {
    "b": "filters", "d": "sessions", "f": "cache", "h": "throttles", "k": "tokens", "n": "stats", "o": "cache",
    "q": "cache", "r": "cache", "s": "cache", "t": "cache", "u": "sessions", "w": "cache", "wb": "write-behind",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Key:
    """A key of ours. ``room``: whose it is ("cache", "sessions" …). ``bytes``: what it takes in the server's memory.

    ``ttl``: seconds until it is gone, None for never. ``idle``: seconds since it was read or written last, None where
    the server does not say (with an LFU policy it does not).
    """

    name: str
    room: str
    bytes: int
    ttl: float | None
    idle: float | None


class Sample(NamedTuple):
    """How many keys were ``seen``, and how many of them are ``ours``; ``all``: whether these are all there are."""

    seen: int
    ours: int
    all: bool


def biggest(alias: str, sample: int = 1000, limit: int = 20) -> list[Key]:
    """The biggest of up to ``sample`` keys of ours on the server of ``alias``, the biggest first, ``limit`` at most.

    A sample, in the order of the server's hash table: a key that is bigger may not be in it. Takes one round trip for
    each hundred keys, and another for their sizes. Raises Misconfigured; StoreUnavailable, also where the server lets
    us neither SCAN nor ask for MEMORY USAGE.
    """
    with Inquiry(alias) as inquiry:
        found = [name for batch in _scanned(inquiry, sample, keys.pattern()) for name in batch][:sample]
        sizes = [size for at in range(0, len(found), _AT_ONCE) for size in _sizes(inquiry, found[at : at + _AT_ONCE])]
        for name in ("SCAN", "MEMORY USAGE"):
            if name in inquiry.refused:
                raise StoreUnavailable(f"Redis ({alias!r} in CACHES) refused {name}: {inquiry.refused[name]}")
    return sorted(sizes, key=lambda each: (-each.bytes, each.name))[:limit]


def sampled(inquiry: Inquiry, sample: int) -> Sample | None:
    """Whose the keys of a database are, by ``sample`` of them at most. None where SCAN is refused."""
    stem = keys.make("").encode()
    before = inquiry.round_trips
    found = [name for batch in _scanned(inquiry, sample, None) for name in batch]
    if "SCAN" in inquiry.refused:
        return None
    complete = len(found) < sample and inquiry.round_trips - before < _most_trips(sample)
    return Sample(len(found), sum(name.startswith(stem) for name in found), complete)


def room_of(name: str) -> str:
    """Whose key it is."""
    parts = keys.parts_of(name)
    room = parts[0] if parts else ""
    # (What belongs to a code has a tag; a claim of the cache is a digest.)
    return _CODES if room == "o" and parts[1:2] and parts[1].startswith("{") else _ROOMS.get(room, _OTHER)


def _most_trips(sample: int) -> int:
    return 2 * (sample // _AT_ONCE + 1)


def _scanned(inquiry: Inquiry, sample: int, pattern: str | None) -> Iterator[list[bytes]]:
    cursor: Any = b"0"
    seen = 0
    matching = () if pattern is None else ("MATCH", pattern)
    # With a pattern most answers may be empty, so the round trips are counted as well.
    for _ in range(_most_trips(sample)):
        answer = inquiry.ask("SCAN", cursor, *matching, "COUNT", _AT_ONCE)
        if answer is None:
            return
        cursor, found = answer
        seen += len(found)
        yield found
        if cursor == b"0" or seen >= sample:
            return


def _sizes(inquiry: Inquiry, names: list[bytes]) -> Iterator[Key]:
    asked = [
        command
        for name in names
        for command in (("MEMORY", "USAGE", name, "SAMPLES", _NESTED), ("PTTL", name), ("OBJECT", "IDLETIME", name))
    ]
    answers = inquiry.ask_all(asked)
    for name, size, left, idle in zip(names, answers[::3], answers[1::3], answers[2::3], strict=True):
        if size is not None:
            text = name.decode("utf-8", "replace")
            ttl = left / 1000 if left is not None and left >= 0 else None
            yield Key(text, room_of(text), int(size), ttl, None if idle is None else float(idle))
