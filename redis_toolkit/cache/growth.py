"""What a transaction adds to the members of Bloom filters, and how the filters hear of it.

1. an INSERT commits, its key made by the database  2. a reader asks for that key  3. its bit is set: between 1 and 3
the filter would hide the row. So before the COMMIT the writer has named the key, or the filter knows that somebody has
more to say, and rules nothing out. That knowledge does not run out: of a writer that dies before 3 it is all that is
left, and the filter is useless until it is built anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from django.db.models import AutoField

from redis_toolkit.cache.absence import Absence
from redis_toolkit.cache.changes import Change
from redis_toolkit.cache.statements import UNKNOWN, Coarse, Insert, Update, Write
from redis_toolkit.cache.tables import NEW, Table, Tables
from redis_toolkit.structures.bloom import AT_ONCE

__all__ = ["Grown", "Growth", "growth_of", "growth_of_names"]

#: Members that one transaction remembers of a table. Beyond, it says that it cannot name them.
MOST: Final = 100_000


class Grown(NamedTuple):
    """What a statement adds to a filter: ``members`` by name, ``keyless`` rows whose key the database makes.

    ``told``: there is nothing else.
    """

    members: frozenset[str] = frozenset()
    told: bool = True
    keyless: int = 0


_LOST: Final = Grown(told=False)


def growth_of(write: Write, change: Change, params: Any, watched: Tables) -> dict[str, Grown]:
    """What a statement adds to the filters of the tables it changes, by table; none where it adds nothing."""
    found = {}
    for name in change.names:
        table = watched.by_name[name]
        if table.absence is not None:
            grown = _growth(write, change, params, watched, table, table.absence)
            if grown is not None:
                found[name] = grown
    return found


def growth_of_names(names: Mapping[str, set[str]], watched: Tables) -> dict[str, Grown]:
    """The same where all that is known are stamps that are to be dropped."""
    found = {}
    for name, suffixes in names.items():
        absence = watched.by_name[name].absence
        if absence is not None:
            members = frozenset(filter(absence.is_member, suffixes))
            # (`new` without a key: somebody has added something.)
            told = "" not in suffixes and bool(members or NEW not in suffixes)
            if members or not told:
                found[name] = Grown(members, told)
    return found


def _growth(write: Write, change: Change, params: Any, watched: Tables, table: Table, absence: Absence) -> Grown | None:
    if isinstance(write, Insert):
        return _of_insert(write, params, absence) if write.table == table.name else _LOST
    if isinstance(write, Update):
        return _of_update(write, change, table, absence) if write.table == table.name else _LOST
    if isinstance(write, Coarse):
        if write.sets is None:
            return _LOST
        if any(table.name in watched.named.get(word, ()) for word in write.tables):
            return None if absence.columns.isdisjoint(write.sets) else _LOST
    elif write.table == table.name:
        return None
    # Further down: the database itself deletes rows of this table, or sets its foreign keys.
    return _LOST if any(field.is_relation for by in absence.bys for field in by.fields) else None


def _of_insert(write: Insert, params: Any, absence: Absence) -> Grown:
    members: set[str] = set()
    keyless = 0
    key = absence.bys[0]
    try:
        for row in write.rows(params):
            if row.get(key.columns[0], UNKNOWN) is UNKNOWN and len(key.columns) == 1:
                keyless += 1
                bys: Sequence[Any] = absence.bys[1:]
            else:
                bys = absence.bys
            if any(row[column] is UNKNOWN for by in bys for column in by.columns):
                return _LOST
            if bys is absence.bys and key.name_in(row) is None:
                # SQLite takes NULL for "make one".
                return _LOST
            members.update(name for by in bys if (name := by.name_in(row)) is not None)
    except (LookupError, TypeError, ValueError):
        return _LOST
    return Grown(frozenset(members), keyless=keyless)


def _of_update(write: Update, change: Change, table: Table, absence: Absence) -> Grown | None:
    columns = {column.lower() for column in write.sets}
    if columns.isdisjoint(absence.columns):
        return None
    members: set[str] = set()
    for by in absence.bys:
        if columns.isdisjoint(column.lower() for column in by.columns):
            continue
        if not change.new or write.key_column in write.sets or change.table is not table:
            return _LOST
        try:
            members.update(name for row in change.new.values() if (name := by.name_in(row)) is not None)
        except (LookupError, TypeError, ValueError):
            # Only one column of a pair: what the other holds is not said.
            return _LOST
    return Grown(frozenset(members))


class _Part:
    """What a transaction adds to one filter."""

    __slots__ = ("absence", "awaited", "fresh", "is_due", "is_known", "members", "stamp", "told")

    def __init__(self, absence: Absence, stamp: str) -> None:
        self.absence = absence
        self.stamp = stamp
        self.members: set[str] = set()
        self.fresh: set[str] = set()
        self.told = True
        #: Whether a statement is running, or has been, of whose keys nothing has been learnt.
        self.awaited = False
        self.is_due = False
        self.is_known = False

    def add(self, members: Iterable[str]) -> None:
        new = set(members) - self.members
        self.members |= new
        self.fresh |= new
        if len(self.members) > MOST:
            self.members.clear()
            self.fresh.clear()
            self.told = False


class Growth:
    """What one transaction adds to the filters on database ``alias``."""

    __slots__ = ("_alias", "_parts", "_writer")

    def __init__(self, alias: str, writer: bytes) -> None:
        self._alias = alias
        self._writer = writer
        self._parts: dict[str, _Part] = {}

    def note(self, watched: Tables, grown: Mapping[str, Grown], *, is_open: bool) -> None:
        """A statement is about to add this. In an open transaction keys may be named after it, before the COMMIT."""
        for name, each in grown.items():
            table = watched.by_name[name]
            if name not in self._parts and table.absence is not None:
                self._parts[name] = _Part(table.absence, table.stamps(self._alias, (NEW,))[0])
            part = self._parts[name]
            part.add(each.members)
            part.told = part.told and each.told
            part.awaited = part.awaited or each.keyless > 0
            part.is_due = part.is_due or not (is_open and each.keyless)

    def learn(self, grown: Mapping[str, Grown], cursor: Any, vendor: str) -> None:
        """The statement has run: learn the keys that the database made."""
        for name, each in grown.items():
            part = self._parts[name]
            if each.keyless:
                made = _keys_made(part.absence.bys[0], each.keyless, cursor, vendor)
                part.add(made or ())
                part.told = part.told and made is not None
                part.awaited = False
                part.is_due = True

    def failed(self, grown: Mapping[str, Grown], *, surely: bool) -> None:
        """The statement has failed: ``surely``, or somebody else's code has raised something, and who knows."""
        for name, each in grown.items():
            if each.keyless:
                part = self._parts[name]
                part.awaited = False
                part.told = part.told and surely
                part.is_due = part.is_due or not surely

    def again(self) -> None:
        """Say all of it once more: who says nothing for long is taken for dead."""
        for part in self._parts.values():
            part.is_due = True

    def entering(self) -> list[bytes]:
        """The calls that say what has not been said yet."""
        calls = []
        for part in self._parts.values():
            if part.is_due:
                bloom = part.absence.on(self._alias)
                *pieces, last = _pieces(part.fresh)
                is_first = not part.is_known
                for piece in pieces:
                    calls.append(bloom.enter(self._writer, piece, told=False, complete=is_first))
                    is_first = False
                told = part.told and not part.awaited
                calls.append(bloom.enter(self._writer, last, told=told, complete=is_first))
        return calls

    def heard(self) -> None:
        """Redis has been told."""
        for part in self._parts.values():
            if part.is_due:
                part.fresh.clear()
                part.is_due, part.is_known = False, True

    def unheard(self) -> list[str]:
        """Redis could not be told: the stamps that must go into the outbox, so that the filters are dropped."""
        due = [part for part in self._parts.values() if part.is_due]
        for part in due:
            part.told = part.is_due = False
        return [part.stamp for part in due]

    def leaving(self) -> list[bytes]:
        """The calls that say that the transaction is over, and all that it may have added."""
        calls = []
        for part in self._parts.values():
            bloom = part.absence.on(self._alias)
            if part.told and not part.awaited:
                *pieces, last = _pieces(part.members)
                calls += [bloom.enter(self._writer, piece, told=False, complete=False) for piece in pieces]
                calls.append(bloom.leave(self._writer, last))
            else:
                calls.append(bloom.leave(self._writer, None))
        return calls

    def forget(self) -> None:
        """Begin anew."""
        self._parts.clear()


def _pieces(members: set[str]) -> Iterator[list[str]]:
    every = list(members)
    for at in range(0, len(every) or 1, AT_ONCE):
        yield every[at : at + AT_ONCE]


def _keys_made(by: Any, rows: int, cursor: Any, vendor: str) -> list[str] | None:
    """The names of the keys that the database gave to so many rows; None if they cannot be told."""
    raw = cursor.cursor
    try:
        if vendor == "postgresql":
            at = [column[0] for column in raw.description].index(by.columns[0])
            found = [row[at] for row in raw.fetchall()]
            if found:
                # The driver has all of them: Django reads them once more.
                raw.scroll(0, mode="absolute")
        elif vendor == "sqlite" and isinstance(by.fields[0], AutoField):
            # Of several rows of one INSERT each is given the next number, for numbers are never given again there.
            found = list(range(raw.lastrowid - rows + 1, raw.lastrowid + 1))
        else:
            return None
        return [str(by.name([key])) for key in found]
    except (AttributeError, LookupError, TypeError, ValueError):
        # No RETURNING, or one without the key.
        return None
