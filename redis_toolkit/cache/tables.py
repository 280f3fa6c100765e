"""Watched tables: which tables' writes are marked, and what stamps each has.

Watched are the tables of models with a ``CacheManager``, everything their relations reach, and ``REDIS_TOOLKIT_WATCH``.
Every process derives the same set from the code, so a writer marks what any reader may depend on.

=========================  ==========================================================
stamp of a table           changes when
=========================  ==========================================================
``lesson``                 something changed that could not be said more finely
``lesson:*``               any row was written
``lesson:new``             a row was inserted
``lesson:id=7``            the row with this primary key was written
``lesson:group_id=5``      a row that has, or had, this declared value was written
=========================  ==========================================================
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from django.apps import apps
from django.db import connections
from django.db.models import Field, Model, UniqueConstraint
from django.utils.module_loading import import_string

from redis_toolkit.cache.cascades import tables_below
from redis_toolkit.cache.columns import Namer, namer_of
from redis_toolkit.conf import settings
from redis_toolkit.core import keys

__all__ = [
    "ANY",
    "NEW",
    "By",
    "Table",
    "Tables",
    "by_of",
    "forget",
    "logical_name",
    "primary_of",
    "tables",
    "tables_with_key_of",
]

ANY: Final = "*"
NEW: Final = "new"


class By:
    """Columns whose values together name a stamp: the primary key, a unique set, or one declared by a manager."""

    __slots__ = ("_labels", "columns", "fields", "namers", "unique")

    def __init__(self, fields: Sequence[Field[Any, Any]], namers: Sequence[Namer], *, unique: bool) -> None:
        self.fields = tuple(fields)
        self.columns = tuple(str(field.column) for field in fields)
        self.namers = tuple(namers)
        self.unique = unique
        self._labels = tuple(keys.escape(column) + "=" for column in self.columns)

    def name(self, values: Sequence[Any]) -> str | None:
        """``group_id=5`` for these values, or None if one is NULL. Raises ValueError or TypeError."""
        if None in values:
            return None
        if len(values) == 1:
            return self._labels[0] + self.namers[0](values[0])
        parts = zip(self._labels, self.namers, values, strict=True)
        return ",".join([label + namer(value) for label, namer, value in parts])

    def name_in(self, row: Mapping[str, Any]) -> str | None:
        """The same from a row given by column names."""
        return self.name([row[column] for column in self.columns])


class Wanted(NamedTuple):
    """Fields of ``model`` that shall name stamps."""

    model: type[Model]
    names: Sequence[str]
    unique: bool


class Table:
    """A watched table on databases of one vendor. ``pk`` is None where the key makes no stamps; ``bys`` has no pk."""

    def __init__(self, model: type[Model], vendor: str, wanted: Iterable[Wanted]) -> None:
        self.name = model._meta.db_table
        self.model = model
        self.pk = self._by(list(model._meta.pk_fields), vendor, unique=True)
        self.bys: tuple[By, ...] = ()
        if self.pk is not None:
            found = {by.columns: by for each in wanted if (by := self._wanted(each, vendor)) is not None}
            found.pop(self.pk.columns, None)
            self.bys = tuple(found.values())
        #: Tables whose rows the database itself changes when rows of this one are deleted.
        self.below: tuple[str, ...] = ()
        self._whole: dict[tuple[str, str], tuple[str, str]] = {}
        #: Columns whose old values a writer must read, the primary key first.
        self.read = tuple(dict.fromkeys(column for by in (self.pk, *self.bys) if by for column in by.columns))

    def _wanted(self, wanted: Wanted, vendor: str) -> By | None:
        # Names are the declaring model's: another model may call the same column otherwise.
        fields = [field for name in wanted.names if isinstance(field := wanted.model._meta.get_field(name), Field)]
        if len(fields) < len(wanted.names) or any(field.model._meta.db_table != self.name for field in fields):
            return None
        return self._by(fields, vendor, unique=wanted.unique)

    def _by(self, fields: list[Field[Any, Any]], vendor: str, *, unique: bool) -> By | None:
        namers = [namer for field in fields if (namer := namer_of(field, vendor))]
        return By(fields, namers, unique=unique) if fields and len(namers) == len(fields) else None

    def stamps(self, alias: str, names: Iterable[str]) -> list[str]:
        """The keys of this table's stamps ``names`` on database ``alias``; the empty name is the generation."""
        stem = self.whole(alias)[0]
        return [keys.below(stem, name) if name else stem for name in names]

    def whole(self, alias: str) -> tuple[str, str]:
        """The keys of the generation and of ``*``: what an answer depends on that any row may change."""
        place = logical_name(alias)
        found = self._whole.get((settings.PREFIX, place))
        if found is None:
            stem = keys.make("s", place, keys.escape(self.name))
            found = stem, keys.below(stem, ANY)
            if settings.TENANT is None:
                self._whole[settings.PREFIX, place] = found
        return found


def tables_with_key_of(model: type[Model]) -> set[str]:
    """The tables of the parents whose primary key is that of their child, all the way up."""
    found: set[str] = set()
    link: Any = model._meta.pk
    while link is not None and link.remote_field is not None and link.remote_field.parent_link:
        parent = link.remote_field.model
        if link.target_field is not parent._meta.pk:
            break
        found.add(parent._meta.db_table)
        link = parent._meta.pk
    return found


def logical_name(alias: str) -> str:
    """The part of a key that says which data it speaks of: the database, and the tenant if there are several.

    Two aliases of one database have one name, that of the first.
    """
    name = _logical.get(alias) or _logical.setdefault(alias, keys.escape(_first_alias(alias)))
    if settings.TENANT is None:
        return name
    tenant: str = import_string(settings.TENANT)(alias)
    return keys.escape(f"{name}@{tenant}")


_logical: dict[str, str] = {}
_ADDRESS: Final = ("ENGINE", "HOST", "PORT", "NAME")


def primary_of(alias: str) -> str:
    """The alias that ``alias`` copies: one of the same engine and name elsewhere, or the one its tests mirror."""
    primary = _primaries.get(alias)
    if primary is None:
        mirrored = connections.settings[alias].get("TEST", {}).get("MIRROR")
        primary = _primaries.setdefault(alias, mirrored or _first_alias(alias, ("ENGINE", "NAME")))
    return primary


_primaries: dict[str, str] = {}


def _first_alias(alias: str, address: Sequence[str] = _ADDRESS) -> str:
    own = [connections.settings[alias].get(part) for part in address]
    return next(
        other for other in connections.settings
        if other == alias or [connections.settings[other].get(part) for part in address] == own
    )  # fmt: skip


def _wanted_by(model: type[Model]) -> Iterator[Wanted]:
    """The unique sets of a model, and what its cached managers declare."""
    options = model._meta
    sets: list[Sequence[str]] = [(field.name,) for field in options.local_concrete_fields if field.unique]
    sets += [tuple(names) for names in options.unique_together]
    sets += [
        constraint.fields
        for constraint in options.constraints
        if isinstance(constraint, UniqueConstraint)
        and constraint.fields
        and constraint.condition is None
        and constraint.deferrable is None
    ]
    for names in sets:
        yield Wanted(model, names, unique=True)
    for names in by_of(model):
        yield Wanted(model, names, unique=False)


def by_of(model: type[Model]) -> list[tuple[str, ...]]:
    """What the cached managers of ``model`` declare in ``by``, each as a tuple of field names."""
    return [names for manager in _cached_managers(model) for names in getattr(manager, "by", ())]


def _cached_managers(model: type[Model]) -> list[Any]:
    return [
        manager
        for manager in model._meta.managers
        if getattr(getattr(manager, "_queryset_class", None), "answers_from_cache", False)
    ]


class Tables:
    """Every watched table, by name, for databases of one vendor."""

    def __init__(self, vendor: str) -> None:
        cached = [model for model in apps.get_models(include_auto_created=True) if _cached_managers(model)]
        watched: dict[type[Model], None] = {}
        for model in cached:
            _reach(model, watched)
            for relation in model._meta.related_objects:
                _reach(relation.related_model, watched)
        for name in settings.WATCH:
            for model in _named(name):
                _reach(model, watched, named=True)
        wanted = _wanted_by_table(cached)
        self.by_name: dict[str, Table] = {}
        for model in watched:
            name = model._meta.db_table
            if name not in self.by_name:
                self.by_name[name] = Table(model, vendor, wanted.get(name, ()))
        for name, below in tables_below().items():
            if name in self.by_name:
                self.by_name[name].below = tuple(each for each in below if each in self.by_name)
        #: Watched tables by the last part of their name in lower case, as it stands in a statement.
        self.named: dict[str, list[str]] = {}
        for name in self.by_name:
            self.named.setdefault(re.split(r'"\."|\.', name)[-1].strip('"`').lower(), []).append(name)


def _wanted_by_table(models: Iterable[type[Model]]) -> dict[str, list[Wanted]]:
    wanted: dict[str, list[Wanted]] = {}
    for model in models:
        for each in _wanted_by(model):
            wanted.setdefault(_owner(model, each.names)._meta.db_table, []).append(each)
    return wanted


def _owner(model: type[Model], names: Sequence[str]) -> type[Model]:
    field = model._meta.get_field(names[0])
    return field.model if isinstance(field, Field) else model


def _named(name: str) -> list[type[Model]]:
    models = apps.get_models(include_auto_created=True)
    return [model for model in models if name.lower() in (model._meta.label_lower, model._meta.db_table.lower())]


def _reach(model: type[Model], found: dict[type[Model], None], *, named: bool = False) -> None:
    """Add ``model`` and all that its own fields and parents lead to.

    What Django does not manage may be a view, which changes with tables that are not its own: it must be ``named``.
    """
    if model._meta.proxy:
        model = model._meta.concrete_model or model
    if model in found or model._meta.swapped or not (model._meta.managed or named):
        return
    found[model] = None
    options = model._meta
    for parent in options.all_parents if hasattr(options, "all_parents") else options.get_parent_list():
        _reach(parent, found)
    for field in options.get_fields(include_hidden=False):
        if field.auto_created or not field.is_relation:
            continue
        through = getattr(getattr(field, "remote_field", None), "through", None)
        for target in (field.related_model, through):
            if isinstance(target, type) and issubclass(target, Model):
                _reach(target, found)


_known: dict[str, Tables] = {}


def tables(alias: str) -> Tables:
    """The watched tables as seen on database ``alias``."""
    vendor = connections[alias].vendor
    try:
        return _known[vendor]
    except KeyError:
        apps.check_models_ready()
        return _known.setdefault(vendor, Tables(vendor))


def forget() -> None:
    """Derive the watched tables anew (settings or models changed: only tests do that)."""
    _known.clear()
    _logical.clear()
    _primaries.clear()
