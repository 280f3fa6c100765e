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
from django.core.exceptions import FieldDoesNotExist
from django.db import connections
from django.db.models import Field, Model, UniqueConstraint

from redis_toolkit.cache import databases
from redis_toolkit.cache.absence import Absence, Bloom, absence_of
from redis_toolkit.cache.cascades import tables_below
from redis_toolkit.cache.columns import Namer, namer_of
from redis_toolkit.cache.databases import logical_name
from redis_toolkit.conf import settings
from redis_toolkit.core import keys
from redis_toolkit.exceptions import Misconfigured

__all__ = [
    "ANY", "NEW", "NOT_INSTALLED", "By", "Table", "Tables", "by_of", "cached_managers", "forget", "models_named",
    "tables", "tables_with_key_of", "unique_sets",
]  # fmt: skip

NOT_INSTALLED: Final = (
    "There is a CacheManager, but 'redis_toolkit' is not in INSTALLED_APPS, so no write would ever end what is cached."
)
ANY: Final = "*"
NEW: Final = "new"


class By:
    """Columns whose values together name a stamp: the primary key, a unique set, or one declared by a manager."""

    __slots__ = ("_labels", "attnames", "columns", "fields", "namers", "names", "unique")

    def __init__(self, fields: Sequence[Field[Any, Any]], namers: Sequence[Namer], *, unique: bool) -> None:
        self.fields = tuple(fields)
        self.columns = tuple(str(field.column) for field in fields)
        self.attnames = tuple(field.attname for field in fields)
        self.names = tuple(field.name for field in fields)
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
        #: Its Bloom filter, if a manager declares one.
        self.absence: Absence | None = None
        #: Tables whose rows the database itself changes when rows of this one are deleted.
        self.below: tuple[str, ...] = ()
        self._whole: dict[tuple[str, str], tuple[str, str]] = {}
        #: Columns whose old values a writer must read, the primary key first.
        self.read = tuple(dict.fromkeys(column for by in (self.pk, *self.bys) if by for column in by.columns))

    def _wanted(self, wanted: Wanted, vendor: str) -> By | None:
        # Names are the declaring model's: another model may call the same column otherwise.
        fields = [field for name in wanted.names if (field := _field(wanted.model, name)) is not None]
        if not fields or len(fields) < len(wanted.names):
            return None
        if any(field.model._meta.db_table != self.name for field in fields):
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


def unique_sets(model: type[Model]) -> list[Sequence[str]]:
    """The fields of a model's own table that are unique, and the tuples of them that always are."""
    options = model._meta
    sets: list[Sequence[str]] = [(field.name,) for field in options.local_concrete_fields if field.unique]
    sets += [tuple(names) for names in options.unique_together]
    return sets + [
        constraint.fields
        for constraint in options.constraints
        if isinstance(constraint, UniqueConstraint)
        and constraint.fields
        and constraint.condition is None
        and constraint.deferrable is None
    ]


def _wanted_by(model: type[Model]) -> Iterator[Wanted]:
    """The unique sets of a model, and what its cached managers declare."""
    for names in unique_sets(model):
        yield Wanted(model, names, unique=True)
    for names in by_of(model):
        yield Wanted(model, names, unique=False)


def by_of(model: type[Model]) -> list[tuple[str, ...]]:
    """What the cached managers of ``model`` declare in ``by``, each as a tuple of field names."""
    return [names for manager in cached_managers(model) for names in getattr(manager, "by", ())]


def _blooms_of(model: type[Model]) -> list[tuple[type[Model], Bloom]]:
    return [(model, bloom) for each in cached_managers(model) if (bloom := getattr(each, "bloom", None)) is not None]


def cached_managers(model: type[Model]) -> list[Any]:
    """The managers of ``model`` that answer from the cache, the first one declared first."""
    return [
        manager
        for manager in model._meta.managers
        if getattr(getattr(manager, "_queryset_class", None), "answers_from_cache", False)
    ]


class Tables:
    """Every watched table, by name, for databases of one vendor."""

    def __init__(self, vendor: str) -> None:
        if not apps.is_installed("redis_toolkit"):
            raise Misconfigured(NOT_INSTALLED)
        cached = [model for model in apps.get_models(include_auto_created=True) if cached_managers(model)]
        wanted = _wanted_by_table(cached)
        self.by_name: dict[str, Table] = {}
        for model in _watched_by(cached):
            name = model._meta.db_table
            self.by_name.setdefault(name, Table(model, vendor, wanted.get(name, ())))
        for name, table in self.by_name.items():
            declared = [pair for model in cached if model._meta.db_table == name for pair in _blooms_of(model)]
            table.absence = absence_of(name, table.pk, table.bys, declared)
        for name, below in tables_below().items():
            if name in self.by_name:
                self.by_name[name].below = tuple(each for each in below if each in self.by_name)
        #: Watched tables by the last part of their name in lower case, as it stands in a statement.
        self.named: dict[str, list[str]] = {}
        for name in self.by_name:
            self.named.setdefault(re.split(r'"\."|\.', name)[-1].strip('"`').lower(), []).append(name)


def _watched_by(cached: Iterable[type[Model]]) -> dict[type[Model], None]:
    """Every model whose writes matter to what is cached of these, and those that the project names."""
    watched: dict[type[Model], None] = {}
    for model in cached:
        _reach(model, watched)
        for relation in model._meta.related_objects:
            _reach(relation.related_model, watched)
    for name in settings.WATCH:
        for model in models_named(name):
            _reach(model, watched, named=True)
    return watched


def _wanted_by_table(models: Iterable[type[Model]]) -> dict[str, list[Wanted]]:
    wanted: dict[str, list[Wanted]] = {}
    for model in models:
        for each in _wanted_by(model):
            wanted.setdefault(_owner(model, each.names)._meta.db_table, []).append(each)
    return wanted


def _owner(model: type[Model], names: Sequence[str]) -> type[Model]:
    field = _field(model, names[0]) if names else None
    return model if field is None else field.model


def _field(model: type[Model], name: str) -> Field[Any, Any] | None:
    """The field of this name; None, which a system check speaks of, if there is none or it has no column."""
    try:
        field = model._meta.get_field(name)
    except FieldDoesNotExist:
        return None
    return field if isinstance(field, Field) else None


def models_named(name: object) -> list[type[Model]]:
    """The models that an entry of ``REDIS_TOOLKIT_WATCH`` means."""
    if not isinstance(name, str):
        return []
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
    databases.forget()
