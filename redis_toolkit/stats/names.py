"""What the statistics are called in Redis: keys of one slot, and in the hashes a field for each number.

A field is ``n`` (how many) or ``t`` (the sum, a whole number of microseconds or bytes) and its metric, subject and
detail as a JSON list: whatever stands in a name, it is read back as it was, or not at all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import lru_cache
from math import isfinite
from typing import Final

from django.apps import apps

from redis_toolkit.core import keys
from redis_toolkit.stats.figures import OTHERS, Figures, Number, Place
from redis_toolkit.throttling.banning import legible

__all__ = [
    "RESOLUTIONS", "Cell", "alternative", "bounded", "bucket_key", "field", "figures_of", "hot_key", "listed",
    "masked", "measured", "read_list", "sampled_key", "sender_key", "servers_key", "whole_key",
]  # fmt: skip

#: Seconds of a bucket, by what it is called in the settings.
RESOLUTIONS: Final = {"minute": 60, "hour": 3600, "day": 86400}

#: Metrics whose sums are whole numbers by themselves; the others' are seconds.
_WHOLE: Final = frozenset({"bytes", "server"})
#: Metrics whose details are as many as the project makes columns; those of others are few, and kept in ``(others)``.
_MANY: Final = frozenset({"ended", "pinned"})
#: Longest subject or detail, in characters.
_LONGEST: Final = 120
#: Largest sum that is told at once, in its unit.
_LARGEST: Final = 10**15

#: As Redis itself writes whole numbers, and no longer.
_NUMBER: Final = re.compile(rb"-?[0-9]{1,19}")

#: The room of rows, and how many parts their keys have: it, the database, the model, the columns.
_ROWS: Final = "r"
_ROW: Final = 4
_DIGEST: Final = re.compile(r"~?[0-9a-f]{32}")

_ROOM: Final = "n"
_TAG: Final = "stats"

#: A metric, a subject and a detail.
Cell = tuple[str, str, str]


def bucket_key(resolution: str, number: int) -> str:
    """The hash of the minute, hour or day of that number since the epoch."""
    return keys.tagged(_ROOM, _TAG, resolution, str(number))


def whole_key() -> str:
    """The hash of everything since counting began."""
    return keys.tagged(_ROOM, _TAG, "whole")


def hot_key(hour: int) -> str:
    """The sorted set of what was read most in an hour."""
    return keys.tagged(_ROOM, _TAG, "hot", str(hour))


def sender_key(sender: str) -> str:
    """The number of the last batch that a process has told."""
    return keys.tagged(_ROOM, _TAG, "sender", sender)


def sampled_key(minute: int) -> str:
    """Held by the process that looks at the servers in that minute."""
    return keys.tagged(_ROOM, _TAG, "sampled", str(minute))


def servers_key() -> str:
    """How the servers stood when they were last looked at: a hash by alias."""
    return keys.tagged(_ROOM, _TAG, "servers")


@lru_cache(maxsize=4096)
def bounded(text: str) -> str:
    """``text``, printable, and cut where it is long: a digest tells it from others that begin alike."""
    if text.isascii() and len(text) <= _LONGEST and text.isprintable():
        return text
    raw = text.encode("utf-8", "replace")
    shown = legible(raw)
    if shown == text and len(text) <= _LONGEST:
        return text
    return f"{shown[: _LONGEST - 13]}~{keys.digest(text.encode('utf-8', 'surrogatepass'))[:12]}"


def alternative(cell: Cell) -> Cell:
    """Where something is counted whose own place is one too many."""
    metric, _, detail = cell
    return metric, OTHERS, OTHERS if metric in _MANY else detail


@lru_cache(maxsize=4096)
def field(cell: Cell) -> str:
    """The name of the cell's fields, without the letter."""
    metric, subject, detail = cell
    return json.dumps([metric, bounded(subject), bounded(detail)], separators=(",", ":"))


def listed(entry: tuple[str, str]) -> str:
    """The member of an entry: what it is of, and its key."""
    subject, key = entry
    return json.dumps([bounded(subject), key], separators=(",", ":"))


def masked(key: str) -> str:
    """An entry's ``key`` with digests for the values of all columns but the primary key's.

    A row may be asked for by a unique number, which is a person's, or by a UUID, which is a secret.
    """
    parts = keys.parts_of(key)
    if len(parts) != _ROW or parts[0] != _ROWS:
        return key
    shown = _primary(parts[2])
    columns = [part.partition("=") for part in parts[3].split(",")]
    return keys.make(
        *parts[:3],
        ",".join(name + equals + (value if name in shown else _hidden(value)) for name, equals, value in columns),
    )


def _hidden(value: str) -> str:
    # (Of text there is but a digest anyway.)
    return value if _DIGEST.fullmatch(value) else keys.digest(value.encode())


@lru_cache(maxsize=1024)
def _primary(label: str) -> frozenset[str]:
    try:
        model = apps.get_model(label)
    except (LookupError, ValueError):
        return frozenset()
    return frozenset(keys.escape(str(column.column)) for column in model._meta.pk_fields)


def measured(metric: str, total: float) -> int:
    """A sum as Redis has it."""
    if not isfinite(total):
        return 0
    number = round(total if metric in _WHOLE else total * 1_000_000)
    return max(-_LARGEST, min(number, _LARGEST))


@lru_cache(maxsize=8192)
def _cell(name: bytes) -> tuple[str, ...] | None:
    # (The buckets of an hour have the same fields, more or less: sixty times the same texts.)
    found = read_list(name, 3)
    return None if found is None else tuple(found)


def figures_of(pairs: Iterable[bytes]) -> Figures:
    """The numbers of a hash, as HGETALL has it: fields and values by turns. What cannot be read is left out."""
    found: dict[str, dict[Place, list[int]]] = {}
    every = iter(pairs)
    for name, value in zip(every, every, strict=False):
        cell = _cell(name[1:])
        letter = name[:1]
        if cell is None or letter not in {b"n", b"t"} or _NUMBER.fullmatch(value) is None:
            continue
        metric, subject, detail = cell
        numbers = found.setdefault(metric, {}).setdefault((subject, detail), [0, 0])
        numbers[letter == b"t"] += int(value)
    return Figures(
        {
            metric: {
                place: Number(count, float(total) if metric in _WHOLE else total / 1_000_000)
                for place, (count, total) in places.items()
            }
            for metric, places in found.items()
        }
    )


def read_list(data: bytes, length: int) -> list[str] | None:
    """So many texts from JSON, printable; None for what somebody else has put there."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if type(found) is not list or len(found) != length or not all(type(each) is str for each in found):
        return None
    return [legible(each.encode("utf-8", "replace")) for each in found]
