"""What a stamp is of, for watchers: its key read back as a model, and which of its rows."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

from redis_toolkit.cache.databases import each_once
from redis_toolkit.cache.tables import ANY, NEW, Table, Tables, tables
from redis_toolkit.core import keys

__all__ = ["Subject", "is_generation", "subject_of"]

_ROOM: Final = "s"
#: Parts of a stamp's key before its name: its room, the database, the table.
_STEM: Final = 3


class Subject(NamedTuple):
    """What a stamp is of: a ``model``, by its label, and ``what`` of it.

    ``what`` is ``"*"`` (any row, or nobody knows which), ``"new"`` (a row that is added), ``"row"`` (one row, by its
    primary key), or the names of the fields whose values name it, as ``"group"`` or ``"group,weekday"``.
    """

    model: str
    what: str


_NOTHING: Final = Subject("", "")


def subject_of(stamp: str) -> Subject:
    """What ``stamp``, a key as the signals give it, is of; two empty texts for what is no stamp of a watched table.

    Asks nobody. Never raises.
    """
    parts = keys.parts_of(stamp)
    if len(parts) < _STEM or parts[0] != _ROOM:
        return _NOTHING
    name = parts[_STEM] if len(parts) > _STEM else ""
    alias = _alias(parts[1])
    if not alias:
        return _NOTHING
    labels = tuple([part.partition("=")[0] for part in name.split(",")])
    return _subject(tables(alias), parts[2], labels)


def is_generation(stamp: str) -> bool:
    """Whether ``stamp`` is of a whole table: marked where nobody knows which rows are written, it ends all there is."""
    parts = keys.parts_of(stamp)
    return len(parts) == _STEM and parts[0] == _ROOM


@lru_cache(maxsize=4096)
def _subject(watched: Tables, table: str, labels: tuple[str, ...]) -> Subject:
    found = _by_part(watched).get(table)
    return _NOTHING if found is None else Subject(found.model._meta.label, _what(found, labels))


@lru_cache(maxsize=16)
def _by_part(watched: Tables) -> dict[str, Table]:
    """The tables by how their names stand in keys."""
    return {keys.escape(name): table for name, table in watched.by_name.items()}


def _what(table: Table, labels: tuple[str, ...]) -> str:
    if labels in {("",), (ANY,)}:
        return ANY
    if labels == (NEW,):
        return NEW
    if labels == tuple(keys.escape(str(field.column)) for field in table.model._meta.pk_fields):
        return "row"
    names = {keys.escape(str(field.column)): field.name for field in table.model._meta.concrete_fields}
    # (A column that this code does not have: an older process has written it.)
    return ",".join(names.get(label, label) for label in labels)


@lru_cache(maxsize=64)
def _alias(place: str) -> str:
    """An alias of the database that is called ``place`` in keys (the tenant behind it aside)."""
    aliases = each_once()
    name = place.partition("@")[0]
    return next((alias for alias in aliases if keys.escape(alias) == name), aliases[0] if aliases else "")
