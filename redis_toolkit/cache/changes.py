"""From a statement and its parameters to the stamps that must be marked before it runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from redis_toolkit.cache.statements import UNKNOWN, Coarse, Delete, Insert, Update, Write
from redis_toolkit.cache.tables import ANY, NEW, Table, Tables

__all__ = ["MOST_STAMPS", "Change", "change_of"]

#: A change that would touch more stamps than this marks the table's generation instead.
MOST_STAMPS: Final = 1000

Row = Mapping[str, Any]


class Change:
    """What one statement is about to do to watched tables.

    ``names`` are the stamps known from the statement alone, by table; the empty name is the generation. ``locks`` says
    that rows must be locked and their current values read, ``keys`` which; ``new`` gives the values the statement
    stores in the row of a key. ``removes`` says that the rows go. ``complete`` tells whether ``names`` has every new
    value already. ``grown`` is what it adds to filters: see ``growth.py``.
    """

    __slots__ = ("complete", "grown", "keys", "names", "new", "removes", "table")

    def __init__(self, names: dict[str, set[str]], table: Table | None = None, keys: Sequence[Any] = ()) -> None:
        self.names = names
        self.table = table
        self.keys = keys
        self.new: dict[str, dict[str, Any]] = {}
        self.complete = True
        self.removes = False
        self.grown: dict[str, Any] = {}

    @property
    def locks(self) -> bool:
        """Whether the rows' current values are needed."""
        return self.table is not None and bool(self.keys)

    def coarse(self) -> Change:
        """The same change, said coarsely."""
        change = Change({table: {""} for table in self.names})
        change.grown = self.grown
        return change

    def names_of_rows(self, rows: Sequence[Sequence[Any]]) -> set[str]:
        """The stamps of old and new values, given the rows as read (columns as in ``Table.read``)."""
        table = self.table
        if table is None or table.pk is None:
            return {""}
        found: set[str] = set()
        for values in rows:
            old = dict(zip(table.read, values, strict=True))
            found |= _names(table, old)
            changed = self.new.get(table.pk.name_in(old) or "")
            if changed:
                found |= _names(table, {**old, **changed})
        if len(rows) < len(self.keys):
            # 1. we read, the row is not there  2. another writer inserts it and commits  3. our statement changes it,
            # and its values before that were never marked. So the whole table is.
            found.add("")
        return found


def _names(table: Table, row: Row) -> set[str]:
    """The stamps of the declared values of ``row``; the generation if one cannot be told."""
    names = set()
    for by in table.bys:
        try:
            name = by.name_in(row)
        except (KeyError, TypeError, ValueError):
            return {""}
        if name is not None:
            names.add(name)
    return names


def change_of(write: Write, params: Any, watched: Tables, *, many: bool) -> Change | None:
    """What ``write`` with ``params`` does to the tables in ``watched``; None if it does nothing to them."""
    change = _change_of(write, params, watched, many=many)
    if change is not None and not isinstance(write, Insert | Update):
        for name in list(change.names):
            change.names.update({below: {""} for below in watched.by_name[name].below})
    return change


def _change_of(write: Write, params: Any, watched: Tables, *, many: bool) -> Change | None:
    if isinstance(write, Coarse):
        return _coarse(watched.named if write.everything else write.tables, watched)
    table = watched.by_name.get(write.table)
    if table is None:
        # SQLite and MySQL may know the table under this name too, in other letters.
        return _coarse((write.table.lower(),), watched)
    if many or not isinstance(params, list | tuple) or table.pk is None:
        return Change({table.name: {""}})
    change = _insert(table, write, params) if isinstance(write, Insert) else _keyed(table, write, params)
    if "" in change.names[table.name] or len(change.names[table.name]) > MOST_STAMPS:
        return Change({table.name: {""}})
    return change


def _coarse(named: Iterable[str], watched: Tables) -> Change | None:
    names = {name: {""} for word in named for name in watched.named.get(word, ())}
    return Change(names) if names else None


def _insert(table: Table, write: Insert, params: Sequence[Any]) -> Change:
    names = {ANY, NEW}
    try:
        rows = list(write.rows(params))
    except (LookupError, ValueError):
        return Change({table.name: {""}})
    for row in rows:
        names |= _names(table, {column: value for column, value in row.items() if value is not UNKNOWN})
        names |= _key_names(table, _key_of(table, row))
        if len(names) > MOST_STAMPS:
            break
    return Change({table.name: names})


def _key_of(table: Table, row: Row) -> list[Any] | None:
    """The primary key a new row is given; None if the database makes it."""
    values = [row.get(column, UNKNOWN) for column in table.pk.columns] if table.pk is not None else [UNKNOWN]
    return None if any(value is UNKNOWN for value in values) else values


def _key_names(table: Table, values: Sequence[Any] | None) -> set[str]:
    if values is None or table.pk is None:
        # The key is made by the database; answers that lack a row depend on `new`.
        return set()
    try:
        name = table.pk.name(values)
    except (TypeError, ValueError):
        return {""}
    return {name} if name is not None else set()


def _keyed(table: Table, write: Update | Delete, params: Sequence[Any]) -> Change:
    keys = params[write.keys_at : write.keys_end]
    pk = table.pk
    if pk is None or pk.columns != (write.key_column,) or len(keys) != write.keys_end - write.keys_at:
        return Change({table.name: {""}})
    names = {ANY}
    for key in keys:
        names |= _key_names(table, [key])
    change = Change({table.name: names}, table if table.bys else None, keys)
    if isinstance(write, Update):
        _add_new_values(change, table, write, params)
    else:
        change.removes = True
        change.complete = not table.bys
    return change


def _add_new_values(change: Change, table: Table, write: Update, params: Sequence[Any]) -> None:
    """Learn what the update stores in declared columns; a value that only the database knows makes it coarse."""
    names = change.names[table.name]
    sets = {column: source for column, source in write.sets.items() if column in table.read}
    others = {column.lower() for column in write.sets if column not in sets}
    in_other_letters = not others.isdisjoint(column.lower() for column in table.read)
    if any(source is UNKNOWN for source in sets.values()) or write.key_column in sets or in_other_letters:
        names.add("")
        return
    for key in change.keys:
        name = next(iter(_key_names(table, [key])), "")
        change.new[name] = _overlay(sets, key, params)
    for by in table.bys:
        if not all(column in sets for column in by.columns):
            change.complete = False
            continue
        for overlay in change.new.values():
            try:
                name_or_none = by.name_in(overlay)
            except KeyError:
                change.complete = False
            except (TypeError, ValueError):
                names.add("")
            else:
                names.update([name_or_none] if name_or_none is not None else [])


def _overlay(sets: Mapping[str, Any], key: Any, params: Sequence[Any]) -> dict[str, Any]:
    overlay = {}
    for column, source in sets.items():
        if isinstance(source, tuple):
            # bulk_update: the parameter before a value is the key of its row.
            values = [params[at] for at in source if params[at - 1] == key]
            if values:
                overlay[column] = values[0]
            else:
                overlay[column] = None
        else:
            overlay[column] = params[source]
    return overlay
