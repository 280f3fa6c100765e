"""A Bloom filter of a set that others go on adding to: it says *surely not there*, or *may be there*.

Bits are set by double hashing (Kirsch and Mitzenmacher, "Less Hashing, Same Performance", 2006) over a BLAKE2b digest.
What makes it safe beside writers is the list of them in its state:

1. a writer says that it may add members  2. it adds them to the set  3. it names them, and their bits are set
4. it says that it has ended. From 1 to 3 nothing is ruled out; a writer that dies there leaves its name behind, and
nothing is ruled out until the filter is built anew.

A filter is built beside the one that answers, and takes its place when it is complete.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Final, NamedTuple

from redis_toolkit.core import keys
from redis_toolkit.core.connections import Link, pack
from redis_toolkit.core.scripts import Script, run
from redis_toolkit.exceptions import Misconfigured

__all__ = ["AT_ONCE", "LEASE", "Filter", "Size", "Status", "hashes_of", "size_for"]

#: Seconds after which a builder that has said nothing is taken for dead.
LEASE: Final = 60.0
#: Redis holds strings of up to 512 MB.
_MOST_BITS: Final = 2**32
#: Members in one call of a script: less than a millisecond of the server's time.
AT_ONCE: Final = 500
_ADD: Final = Script("bloom_add")
_ASK: Final = Script("bloom_ask")
_BEGIN: Final = Script("bloom_begin")
_FILL: Final = Script("bloom_fill")


class Size(NamedTuple):
    """How large a filter is: ``bits``, how many of them a member sets (``hashes``), and for how many members."""

    bits: int
    hashes: int
    capacity: int


def size_for(capacity: int, error: float) -> Size:
    """The size at which a filter of ``capacity`` members takes a share of ``error`` of all others for members.

    Bits: n ln(1/e) / ln(2)², in whole bytes; hashes: (bits / n) ln 2 (Bloom, 1970). Raises Misconfigured for a share
    that is not between 0 and 1, and above the 512 MB of a string in Redis.
    """
    if not 0 < error < 1:
        raise Misconfigured(f"The error of a Bloom filter is a share between 0 and 1, not {error!r}.")
    n = max(1, capacity)
    exact = n * -math.log(error) / math.log(2) ** 2
    bits = max(64, 8 * math.ceil(exact / 8))
    if bits > _MOST_BITS:
        raise Misconfigured(
            f"A filter of {n} members with an error of {error} would take {bits // 8} bytes, and Redis holds 512 MB in"
            " one value. Allow a larger error."
        )
    return Size(bits, max(1, round(bits / n * math.log(2))) if capacity > 0 else 1, n)


def hashes_of(member: str) -> tuple[int, int]:
    """Two hashes of ``member``: bit number i of a filter of m bits is (first + i * second) mod m.

    42 bits each: what Lua, which counts in doubles, makes of them is exact.
    """
    data = blake2b(member.encode("utf-8", "surrogatepass"), digest_size=16).digest()
    # An odd step visits many places of a number of bits that is a multiple of eight.
    return int.from_bytes(data[:8], "big") >> 22, (int.from_bytes(data[8:], "big") >> 22) | 1


def _hashed(members: Iterable[str]) -> list[str]:
    return [str(number) for member in members for number in hashes_of(member)]


class Status(NamedTuple):
    """What there is of a filter.

    ``state``: "missing", "building" (and none answers) or "complete". Of the one that answers: ``label``, ``run`` of
    the server, ``size``, ``number`` of members as far as they can be told apart, ``writers`` that have more to say, how
    many seconds ago the ``oldest`` of them said anything, and for how many seconds it will ``last``.
    """

    state: str
    label: str = ""
    run: bytes = b""
    size: Size = Size(0, 0, 0)
    number: int = 0
    writers: int = 0
    oldest: float = 0.0
    last: float = 0.0


class Filter:
    """A filter by name. ``label`` says what its members are: one that was built under another label rules nothing out.

    Methods that return bytes give a packed command for a pipeline; the others ask, and raise StoreUnavailable.
    """

    __slots__ = ("_keys", "_label")

    def __init__(self, name: str, label: str) -> None:
        self._keys = [keys.tagged("b", name, part) for part in ("state", "a", "b")]
        self._label = label

    # Asking

    def rules_out(self, link: Link, members: Sequence[str]) -> list[bool]:
        """For each of ``members`` whether it is surely not in the set, in one round trip."""
        before = link.run
        pieces = [members[at : at + AT_ONCE] for at in range(0, len(members), AT_ONCE)]
        found = run(link, [_ASK.call_on(self._keys, self._label, before, *_hashed(piece)) for piece in pieces])
        answers = [answer for piece in found for answer in piece]
        # 1. the server starts again with an old file  2. our connection breaks, and the question is sent once more,
        # with the run of before. The old file knows that run, and not what was added since.
        if len(answers) != len(members) or link.run != before:
            return [False] * len(members)
        return [answer == 1 for answer in answers]

    # Writing

    def enter(self, writer: bytes, members: Iterable[str], *, told: bool, complete: bool) -> bytes:
        """Say, before the set is added to, that ``writer`` adds ``members``; ``told``: and none that it has not named.

        ``complete``: these are all that it has named so far.
        """
        what = "told" if told else "open"
        return _ADD.call_on(self._keys, self._label, writer.hex(), what, int(complete), *_hashed(members))

    def leave(self, writer: bytes, members: Iterable[str] | None) -> bytes:
        """Say, when the set has been added to, that ``writer`` has ended, and all ``members`` it may have added.

        None: it does not know them. Then the filter is dropped.
        """
        what = "lost" if members is None else "over"
        return _ADD.call_on(self._keys, self._label, writer.hex(), what, 1, *_hashed(members or ()))

    def drop(self) -> bytes:
        """Drop the filter, and one that is being built: without its bits it is none."""
        return pack(("DEL", *self._keys[1:]))

    # Building

    def begin(self, link: Link, size: Size, dead_after: float, *, force: bool = False) -> bytes | None:
        """Begin to build a filter; the id of its builder, or None where somebody else is building.

        Writers that have said nothing for ``dead_after`` seconds are taken for dead. ``force``: take over from another.
        """
        # Asked first, so that the run is that of a connection which is open.
        link.ask(pack(("PING",)))
        builder = os.urandom(12).hex()
        args = (builder, self._label, link.run, *size, _milliseconds(LEASE), _milliseconds(dead_after), int(force))
        (begun,) = run(link, [_BEGIN.call_on(self._keys, *args)])
        return builder.encode() if begun else None

    def fill(self, link: Link, builder: bytes, members: Iterable[str]) -> bool:
        """Add what was found; False if the filter is no more this builder's."""
        (done,) = run(link, [_FILL.call_on(self._keys, builder, _milliseconds(LEASE), "", *_hashed(members))])
        return bool(done)

    def finish(self, link: Link, builder: bytes, life: float) -> bool:
        """Let the new filter answer, for ``life`` seconds; False if it was dropped meanwhile."""
        (done,) = run(link, [_FILL.call_on(self._keys, builder, _milliseconds(life), link.run)])
        return bool(done)

    def status(self, link: Link) -> Status:
        """What there is, in one round trip."""
        state, *bitmaps = self._keys
        sizes = [pack(("STRLEN", key)) for key in bitmaps] + [pack(("PTTL", key)) for key in bitmaps]
        pairs, time, *known = link.ask_many(
            b"".join((pack(("HGETALL", state)), pack(("TIME",)), *sizes)), 2 + len(sizes)
        )
        found = dict(zip(pairs[::2], pairs[1::2], strict=True))
        slot = found.get(b"live", b"")
        at = 0 if slot == b"a" else 1
        if not slot or known[at] * 8 != int(found.get(slot + b".bits", 0)):
            return Status("building" if b"next" in found else "missing")
        now = int(time[0]) + int(time[1]) / 1e6
        waiting = [
            now - int(value[:13]) / 1000
            for field, value in found.items()
            if field.startswith(b"w:") and value[13 + at : 14 + at] in {b"o", b"c"}
        ]
        bits, hashes, capacity, number = (
            int(found[slot + b"." + name]) for name in (b"bits", b"hashes", b"capacity", b"count")
        )
        return Status(
            "complete", found[slot + b".label"].decode(), found[slot + b".run"], Size(bits, hashes, capacity), number,
            len(waiting), max(waiting, default=0.0), known[at + 2] / 1000,
        )  # fmt: skip


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))
