"""What is surely not in the database: a table's Bloom filter, as the cache declares, names and asks it.

Its members are the names of stamps: ``id=7`` for the primary key, ``slug=~…`` for a unique field that is declared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django.core.exceptions import FieldDoesNotExist

from redis_toolkit.cache.databases import logical_name
from redis_toolkit.cache.freshness import seconds
from redis_toolkit.core import keys
from redis_toolkit.exceptions import Misconfigured
from redis_toolkit.structures.bloom import Filter

__all__ = ["Absence", "Bloom", "absence_of", "columns_of", "drops"]

#: Raised when members of the same rows are written otherwise.
_LAYOUT: Final = "1"
#: Parts of a stamp's key: its room, the database, the table.
_STEM: Final = 3


@dataclass(frozen=True, slots=True)
class Bloom:
    """How a model's Bloom filter is made: ``CacheManager(bloom=Bloom(fields=["slug"]))``.

    ``error``: the share of absent keys that it takes for present ones (the database is asked then), between 0 and 1.
    ``fields``: unique fields, or tuples of fields with a unique constraint, that it knows beside the primary key.
    ``ttl``: seconds (or a timedelta) for which it answers after it was built. Raises Misconfigured.
    """

    error: float = 0.01
    fields: Sequence[str | Sequence[str]] = ()
    ttl: float | timedelta = 86400.0

    def __post_init__(self) -> None:
        if not 0 < self.error < 1:
            raise Misconfigured(f"Bloom(error={self.error!r}): it is a share between 0 and 1, such as 0.01.")
        if isinstance(self.fields, str):
            raise Misconfigured(f"Bloom(fields=…) is a list of fields, or of tuples: fields=[{self.fields!r}].")
        seconds(self.ttl)

    @property
    def sets(self) -> list[tuple[str, ...]]:
        """The unique sets beside the key, each as a tuple of field names."""
        return [(names,) if isinstance(names, str) else tuple(names) for names in self.fields]


class Absence:
    """The filter of one table: which unique sets (``bys``, the primary key first) its members are named by."""

    __slots__ = ("_labels", "_table", "bys", "columns", "error", "label", "ttl")

    def __init__(self, table: str, bys: Sequence[Any], declared: Sequence[Bloom]) -> None:
        self._table = keys.escape(table)
        self.bys = tuple(bys)
        self.error = min(each.error for each in declared)
        self.ttl = min(seconds(each.ttl) for each in declared)
        self.columns = frozenset(column.lower() for by in self.bys for column in by.columns)
        self._labels = {tuple(map(keys.escape, by.columns)) for by in self.bys}
        #: What its members are. A filter of other members is none.
        self.label = ";".join((_LAYOUT, *sorted(",".join(labels) for labels in self._labels)))

    def on(self, alias: str) -> Filter:
        """The filter on the database behind ``alias``."""
        return Filter(keys.below(logical_name(alias), self._table), self.label)

    def is_member(self, name: str) -> bool:
        """Whether ``name`` is that of a member: of a row's key or of a unique set, and not of anything else."""
        return tuple(part.partition("=")[0] for part in name.split(",")) in self._labels

    def members_of(self, row: Sequence[Any]) -> Iterator[str]:
        """The members that a row adds, whose values come in the order of ``fields``."""
        at = 0
        for by in self.bys:
            name = by.name(row[at : at + len(by.columns)])
            at += len(by.columns)
            if name is not None:
                yield name

    @property
    def fields(self) -> list[str]:
        """The attributes of the model that members are named by; one that is in two sets comes twice."""
        return [field.attname for by in self.bys for field in by.fields]


def absence_of(table: str, pk: Any, bys: Iterable[Any], declared: Sequence[tuple[Any, Bloom]]) -> Absence | None:
    """The filter that models declare for their table; None if none does, or if its key names no stamps."""
    if not declared or pk is None:
        return None
    wanted = {columns_of(model, names) for model, bloom in declared for names in bloom.sets}
    chosen = [by for by in bys if by.unique and frozenset(by.columns) in wanted]
    return Absence(table, (pk, *chosen), [bloom for _, bloom in declared])


def columns_of(model: Any, names: Iterable[str]) -> frozenset[str]:
    """The columns of fields of ``model``; nothing, which a system check speaks of, if one of them is none."""
    try:
        return frozenset(str(model._meta.get_field(name).column) for name in names)
    except (FieldDoesNotExist, AttributeError):
        return frozenset()


def drops(stamps: Iterable[str]) -> list[bytes]:
    """The calls that drop the filters of all tables which these stamps belong to, known to this process or not.

    1. Redis is away for a writer  2. its stamps go into the outbox, and its rows into the table  3. Redis is back, and
    has heard of no new row. So who drops the stamps drops the filter.
    """
    tables = {tuple(keys.parts_of(stamp)[1:_STEM]) for stamp in stamps}
    return [Filter(keys.below(*table), "").drop() for table in sorted(tables) if len(table) == _STEM - 1]
