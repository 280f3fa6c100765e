"""Entries: how one cached answer lies in Redis.

=======  =====================================================================================
bytes    what
=======  =====================================================================================
1        layout version
1        flags: 1 compressed, 2 absent (the answer is *there is no such row*)
8        fingerprint of the columns' types: an entry of other code is a miss, not an error
8        run of the server that held the stamps
1        number of stamps n
9 n      the tokens of the stamps it was built under
8        when it was built: seconds since the epoch, float
4        how long building it took: seconds, float
4        how long it lives from then on: seconds, float
rest     payload
=======  =====================================================================================
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from math import inf
from typing import Final, NamedTuple

from redis_toolkit.cache.stamps import TOKEN_SIZE
from redis_toolkit.conf import settings
from redis_toolkit.core.codecs import pack, unpack
from redis_toolkit.exceptions import CodecError

__all__ = [
    "MAX_STAMPS",
    "Body",
    "build",
    "dead_since",
    "head_size",
    "is_of_run",
    "is_under",
    "open_entry",
    "peek",
    "took_of",
]

_VERSION: Final = b"\x02"
_COMPRESSED: Final = 1
_ABSENT: Final = 2
_RUN_AT: Final = 10
_COUNT_AT: Final = 18
_TOKENS_AT: Final = 19
_TIMES: Final = struct.Struct("<dff")
MAX_STAMPS: Final = 255


class Body(NamedTuple):
    """What a valid entry holds. ``payload`` is None for *absent*; the times are as in the layout."""

    payload: bytes | None
    built: float
    took: float
    life: float


def build(
    fingerprint: bytes, run: bytes, tokens: list[bytes], times: tuple[float, float, float], payload: bytes | None
) -> bytes:
    """The bytes of an entry. ``times``: when it was built, how long that took, how long it lives."""
    flags, data = _ABSENT, b""
    if payload is not None:
        data, compressed = pack(payload, settings.COMPRESS_ABOVE)
        flags = _COMPRESSED if compressed else 0
    head = _VERSION + bytes((flags,)) + fingerprint + run + bytes((len(tokens),))
    return b"".join((head, *tokens, _TIMES.pack(*times), data))


def open_entry(entry: bytes, fingerprint: bytes, run: bytes, stamps: list[bytes | None]) -> Body | None:
    """The body of ``entry`` if it is valid: right layout, same fingerprint and server run, every stamp as it was.

    ``stamps`` are the values now. An entry may have been built under the first few of them only. Raises CodecError for
    another layout and for a compressed payload that cannot be read.
    """
    if entry[:1] != _VERSION or len(entry) <= _COUNT_AT:
        raise CodecError("The entry is of an unknown layout.")
    if entry[2:_COUNT_AT] != fingerprint + run:
        return None
    count = entry[_COUNT_AT]
    times_at = _TOKENS_AT + count * TOKEN_SIZE
    payload_at = times_at + _TIMES.size
    now = stamps[:count]
    # A mark has another first letter and another length than a token, so equality says "stands, unmarked" at once.
    if None in now or len(now) < count or entry[_TOKENS_AT:times_at] != b"".join(now):  # type: ignore[arg-type]
        return None
    if len(entry) < payload_at:
        return None
    times = _TIMES.unpack_from(entry, times_at)
    flags = entry[1]
    if flags & _ABSENT:
        return Body(None, *times)
    payload = entry[payload_at:]
    if flags & _COMPRESSED:
        payload = bytes(unpack(payload, True, settings.MAX_ENTRY_BYTES * 64))
    return Body(payload, *times)


def dead_since(entry: bytes, fingerprint: bytes, run: bytes, stamps: Sequence[bytes | None]) -> tuple[str, int]:
    """Why ``entry`` is not valid: "unreadable", "columns", "run", or "ended" and by which of the stamps (else -1)."""
    if entry[:1] != _VERSION or len(entry) <= _COUNT_AT:
        return "unreadable", -1
    if entry[2:_RUN_AT] != fingerprint:
        return "columns", -1
    if not is_of_run(entry, run):
        return "run", -1
    for at in range(entry[_COUNT_AT]):
        begin = _TOKENS_AT + at * TOKEN_SIZE
        if at >= len(stamps) or stamps[at] != entry[begin : begin + TOKEN_SIZE]:
            return "ended", at
    return "unreadable", -1


def peek(entry: bytes, fingerprint: bytes) -> Body | None:
    """The body of ``entry``, valid or not; None if it is of other columns. Raises CodecError as :func:`open_entry`."""
    tokens_end = _TOKENS_AT + (entry[_COUNT_AT] if len(entry) > _COUNT_AT else 0) * TOKEN_SIZE
    tokens: list[bytes | None] = [entry[at : at + TOKEN_SIZE] for at in range(_TOKENS_AT, tokens_end, TOKEN_SIZE)]
    return open_entry(entry, fingerprint, entry[_RUN_AT:_COUNT_AT], tokens)


def is_of_run(entry: bytes, run: bytes) -> bool:
    """Whether ``entry``, valid or not, was built while this run of the server held the stamps."""
    return entry[_RUN_AT:_COUNT_AT] == run


def head_size(stamps: int) -> int:
    """How many bytes tell if an entry that was built under so many stamps, or the first few, is valid, and its age."""
    return _TOKENS_AT + stamps * TOKEN_SIZE + _TIMES.size


def is_under(head: bytes, fingerprint: bytes, run: bytes, tokens: Sequence[bytes]) -> bool:
    """Whether the entry that begins with ``head`` is valid while the stamps are ``tokens``."""
    if head[:1] != _VERSION or len(head) <= _COUNT_AT or head[2:_COUNT_AT] != fingerprint + run:
        return False
    count = head[_COUNT_AT]
    times_at = _TOKENS_AT + count * TOKEN_SIZE
    return count <= len(tokens) and head[_TOKENS_AT:times_at] == b"".join(tokens[:count])


def took_of(entry: bytes) -> float:
    """How many seconds building ``entry`` took, valid or not; 0 where that cannot be said."""
    if entry[:1] != _VERSION or len(entry) <= _COUNT_AT:
        return 0.0
    times_at = _TOKENS_AT + entry[_COUNT_AT] * TOKEN_SIZE
    if len(entry) < times_at + _TIMES.size:
        return 0.0
    took: float = _TIMES.unpack_from(entry, times_at)[1]
    # (A damaged entry may say anything, even that it took no number of seconds.)
    return took if 0 <= took < inf else 0.0
