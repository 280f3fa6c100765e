"""Comparing what is cached with the database: the work of the command ``redis_verify``.

Only what a reader would be served now is judged, and a difference counts only if the entry is still served after the
database was read: then no write that the toolkit saw came between, and the entry is wrong.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from typing import Final, NamedTuple

from django.db import DatabaseError, InterfaceError, connections

from redis_toolkit.cache import looks, transcripts
from redis_toolkit.cache.databases import logical_name
from redis_toolkit.cache.differences import Difference
from redis_toolkit.cache.entries import Body, open_entry, peek
from redis_toolkit.cache.specimens import OTHER_CODE, Incomparable, Specimen, of_row, of_transcript
from redis_toolkit.cache.stamps import new_transaction_id, unmark_all
from redis_toolkit.cache.transcripts import Forged
from redis_toolkit.cache.watch import watch_of
from redis_toolkit.core import keys, keyspaces
from redis_toolkit.core.connections import Link, pack
from redis_toolkit.exceptions import CodecError

__all__ = ["DatabaseAway", "Finding", "Inventory", "Outcome", "Verifier", "choose"]

#: How often an entry is looked at anew when a writer came between.
_ATTEMPTS: Final = 4
_ROW: Final = "r"
_ANSWERS: Final = frozenset({"q", "f"})


class DatabaseAway(Exception):
    """The database cannot be asked; the message says why."""


class Outcome(Enum):
    """What a look at an entry gave, in the words of the summary."""

    EQUAL = "equal"
    DIFFERENT = "different"
    DEAD = "not served any more"
    CHANGED = "changed while looked at"
    UNREADABLE = "unreadable"
    FORGED = "with a forged transcript"
    INCOMPARABLE = "not comparable"


class Finding(NamedTuple):
    """What was found at a ``key``; ``stamps`` are those of an entry that differs, ``about`` its SQL if it has one."""

    outcome: Outcome
    key: str
    model: str = ""
    difference: Difference | None = None
    reason: str = ""
    stamps: Sequence[str] = ()
    about: str = ""


class Inventory:
    """The keys of entries that can be compared, from one pass over all keys of the project.

    ``models`` (labels in lower case) and ``places`` (logical databases) narrow it down; empty: everything. ``beyond``
    is how many entries were passed, of any model, that have no transcript or are results of functions. ``most``: round
    trips after which nobody looks any further.
    """

    def __init__(
        self, link: Link, places: Iterable[str], models: Iterable[str], most: int | None = None
    ) -> None:  # fmt: skip
        self._most = most
        self._link = link
        self._places = frozenset(places)
        self._models = frozenset(models)
        self._answers = self._transcripts = 0

    @property
    def beyond(self) -> int:
        return max(0, self._answers - self._transcripts)

    def __iter__(self) -> Iterator[str]:
        self._answers = self._transcripts = 0
        for page in keyspaces.scan(self._link, keys.pattern(), self._most):
            for found in page:
                key = found.decode(errors="replace")
                if self._has(keys.parts_of(key)):
                    yield key

    def _has(self, parts: list[str]) -> bool:
        if len(parts) < 3 or (self._places and parts[1] not in self._places):
            return False
        self._answers += parts[0] in _ANSWERS
        self._transcripts += parts[0] == transcripts.ROOM
        return _is_comparable(parts) and (not self._models or parts[2] in self._models)


def _is_comparable(parts: list[str]) -> bool:
    return len(parts) == 4 and parts[0] in {_ROW, transcripts.ROOM}


def choose(found: Iterable[str], number: int, dice: random.Random) -> list[str]:
    """At most ``number`` keys, half rows and half queries if there are so many; those of a kind are equally likely.

    Two reservoirs (J. S. Vitter, *Random Sampling with a Reservoir*, algorithm R): queries with a transcript may be few
    among many rows.
    """
    chosen: dict[bool, list[str]] = {True: [], False: []}
    passed = {True: 0, False: 0}
    for key in found:
        kind = keys.parts_of(key)[0] == _ROW
        passed[kind] += 1
        if len(chosen[kind]) < number:
            chosen[kind].append(key)
        elif (at := dice.randrange(passed[kind])) < number:
            chosen[kind][at] = key
    for kept in chosen.values():
        dice.shuffle(kept)
    rows, answers = chosen[True], chosen[False]
    several = min(len(answers), max(number // 2, number - len(rows)))
    return [*answers[:several], *rows[: number - several]]


class Verifier:
    """Looks at entries of the databases ``aliases``, one by one. Raises StoreUnavailable and DatabaseAway."""

    def __init__(self, link: Link, aliases: Iterable[str]) -> None:
        self._link = link
        #: Where the database of a key's place is read: two aliases of one database have one place.
        self.places: dict[str, str] = {}
        for alias in aliases:
            self.places.setdefault(logical_name(alias), alias)

    def look(self, key: str) -> Finding:
        """Compare the entry that ``key`` (a row's, or a transcript's) is about."""
        room, place, label, _ = keys.parts_of(key)
        try:
            return self._look(key, room, self.places.get(place))
        except Incomparable as error:
            return Finding(Outcome.INCOMPARABLE, key, label, reason=str(error))
        except Forged:
            return Finding(Outcome.FORGED, key, label, reason="it was not signed for this key with this SECRET_KEY")
        except CodecError as error:
            return Finding(Outcome.UNREADABLE, key, label, reason=str(error))

    def _look(self, key: str, room: str, alias: str | None) -> Finding:
        if alias is None:
            raise Incomparable("it belongs to another database or tenant")
        (stored,) = self._read([key])
        if stored is None:
            return Finding(Outcome.DEAD, key)
        try:
            self._expect_latest(alias)
            specimen = (of_row if room == _ROW else of_transcript)(key, stored, alias)
            return self._compare(specimen, alias)
        except (DatabaseError, InterfaceError) as error:
            if not connections[alias].is_usable():
                raise DatabaseAway(f"The database {alias!r} cannot be asked: {error}") from error
            raise Incomparable(f"the database refuses: {error}") from error
        except (ArithmeticError, TypeError, ValueError) as error:
            # Only its kind: the text may quote the value.
            raise Incomparable(f"what the database has now cannot be read: {type(error).__name__}") from error

    def drop(self, finding: Finding) -> None:
        """Make everything a miss that was built under the stamps of a wrong entry. A writer's mark stays."""
        writer = new_transaction_id()
        unmark_all(self._link, [(stamp, writer) for stamp in finding.stamps])

    def _compare(self, specimen: Specimen, alias: str) -> Finding:
        # 1. we read an entry  2. a writer commits a new value  3. we read that: the two differ, and nothing is wrong.
        # So the entry and its stamps are read again: the writer had marked them before it committed, and whatever it
        # had marked has no token, or another one. Only an entry that is served after the database was read is wrong.
        for attempt in range(_ATTEMPTS):
            before = self._read([specimen.key, *specimen.stamps])
            body = self._body(specimen, before)
            if body is None:
                return Finding(Outcome.CHANGED if attempt else Outcome.DEAD, specimen.key, specimen.model)
            difference = specimen.difference(body.payload)
            if difference is None:
                return Finding(Outcome.EQUAL, specimen.key, specimen.model)
            self._hear_of_writes(alias)
            after = self._read([specimen.key, *specimen.stamps])
            if after[0] == before[0] and self._body(specimen, after) is not None:
                stamps, about = tuple(specimen.stamps), specimen.about
                return Finding(Outcome.DIFFERENT, specimen.key, specimen.model, difference, stamps=stamps, about=about)
        return Finding(Outcome.CHANGED, specimen.key, specimen.model)

    def _expect_latest(self, alias: str) -> None:
        connection = connections[alias]
        if not connection.get_autocommit() or not watch_of(connection).may_fill(connection):
            raise DatabaseAway(f"The connection to {alias!r} is in a transaction: it may not see the latest commits.")

    def _read(self, wanted: Sequence[str]) -> list[bytes | None]:
        found: list[bytes | None] = self._link.ask(pack(("MGET", *wanted)))
        return found

    def _body(self, specimen: Specimen, seen: Sequence[bytes | None]) -> Body | None:
        """What a reader would be served; None if nothing."""
        entry, *stamps = seen
        if entry is None:
            return None
        body = open_entry(entry, specimen.fingerprint, self._link.run, stamps)
        if body is None and peek(entry, specimen.fingerprint) is None:
            raise Incomparable(OTHER_CODE)
        return body

    def _hear_of_writes(self, alias: str) -> None:
        """Have Redis told of writes that could not tell it, as a reader does who trusts its first hit."""
        connection = connections[alias]
        if not looks.look(connection, self._link, watch_of(connection)):
            raise DatabaseAway(f"The outbox of {alias!r} could not be read, or Redis not be told of what is in it.")
