"""Rows by key: ``get(pk=7)`` and ``get(slug="x")``, without building a queryset on a hit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, cast

from django.db.models import Field, Model, QuerySet
from django.db.models.sql.query import Query

from redis_toolkit.cache.answers import execute, pack_rows, read_rows
from redis_toolkit.cache.asking import ask
from redis_toolkit.cache.columns import plain_type, stored_field, value_named
from redis_toolkit.cache.databases import logical_name
from redis_toolkit.cache.freshness import Terms
from redis_toolkit.cache.plans import Shape
from redis_toolkit.cache.reading import Absent, Loaded, Question, Source
from redis_toolkit.cache.tables import ANY, NEW, By, Table, tables, tables_with_key_of
from redis_toolkit.conf import settings
from redis_toolkit.core import keys
from redis_toolkit.exceptions import CodecError

__all__ = ["ABSENT", "Place", "Rows", "rows_of"]


class _Absent:
    def __repr__(self) -> str:
        return "ABSENT"


#: The answer *there is no such row*.
ABSENT: Final = _Absent()


class Place:
    """Where the entry of one row lies and which stamps it depends on; ``new`` comes last, for its absence only."""

    __slots__ = ("_values", "by", "key", "name", "stamps")

    def __init__(self, key: str, stamps: list[str], by: By, values: Sequence[Any], name: str) -> None:
        self.name = name
        self.key = key
        self.stamps = stamps
        self.by = by
        self._values = values

    @property
    def asked(self) -> dict[str, Any]:
        """The row's unique columns by attribute name."""
        return dict(zip(self.by.attnames, self._values, strict=True))


class Rows:
    """The rows of one model on one database, each an entry of its own."""

    def __init__(self, model: type[Model], alias: str) -> None:
        watched = tables(alias).by_name
        query = Query(model)
        compiler = query.get_compiler(using=alias)
        compiler.as_sql()
        self.model = model
        self.shape = Shape(compiler, alias)
        self.tables = list(dict.fromkeys(each.table_name for each in query.alias_map.values()))
        self._table: Table | None = watched.get(model._meta.db_table)
        self._parents = [watched[name] for name in self.tables if name != model._meta.db_table and name in watched]
        self._same_key = tables_with_key_of(model)
        self._stems: dict[tuple[str, str], str] = {}
        self._doors: dict[tuple[str, ...], _Door] = {}
        if self._table is not None and len(self._parents) == len(self.tables) - 1:
            for by in (self._table.pk, *self._table.bys):
                # (Another model of the same table may have declared it.)
                if by is not None and by.unique and set(by.fields) <= set(model._meta.concrete_fields):
                    door = _Door(by)
                    self._doors |= dict.fromkeys(_spellings(by.fields), door)

    def place(self, asked: Mapping[str, Any], source: Source) -> Place | None:
        """The place of the row that ``asked`` names; None if these are no unique fields or no plain values."""
        names = tuple(asked) if len(asked) == 1 else tuple(sorted(asked))
        door = self._doors.get(names)
        values = None if door is None else door.values(asked)
        if door is None or values is None:
            return None
        by = door.by
        try:
            name = by.name(values)
        except (TypeError, ValueError):
            return None
        if name is None:
            return None
        key = keys.below(self._stem(source), name)
        return Place(key, self._stamps(by, name, values[0], source), by, values, name)

    def place_named(self, name: str, row: Sequence[Any] | None, source: Source) -> Place | None:
        """The place of the entry whose key ends in ``name``, found by the values in ``name``, or in ``row`` for text.

        Its ``key`` is another than that entry's if ``row`` is not the row which that is for. None if no unique set is
        named, or if its values cannot be told.
        """
        columns = [part.partition("=") for part in name.split(",")]
        labels = tuple(label for label, _, _ in columns)
        for door in dict.fromkeys(self._doors.values()):
            by = door.by
            if tuple(map(keys.escape, by.columns)) != labels:
                continue
            try:
                values = tuple(
                    self._value(field, written, row) for field, (_, _, written) in zip(by.fields, columns, strict=True)
                )
                key = keys.below(self._stem(source), str(by.name(values)))
                return Place(key, self._stamps(by, name, values[0], source), by, values, name)
            except (TypeError, ValueError):
                return None
        return None

    def _value(self, field: Field[Any, Any], written: str, row: Sequence[Any] | None) -> Any:
        """A value by its name. Raises ValueError for text, of which a name has only a digest, if there is no row."""
        try:
            return value_named(field, written)
        except ValueError:
            if row is None:
                raise
            return row[[each.attname for each in self.model._meta.concrete_fields].index(field.attname)]

    def places(self, wanted: Iterable[Any], source: Source) -> dict[Any, Place] | None:
        """The places of the rows with these primary keys, by key; None if Django must look at one of them."""
        door, table = self._doors.get(("pk",)), self._table
        if door is None or table is None:
            return None
        values: dict[Any, tuple[Any, ...]] = {}
        for key in wanted:
            found = door.values({"pk": key})
            if found is None:
                return None
            values[found[0] if len(found) == 1 else found] = found
        try:
            names = [str(door.by.name(found)) for found in values.values()]
            above = [self._names_in(parent, values.values()) for parent in self._parents]
        except (TypeError, ValueError):
            return None
        generation, new, *own = table.stamps(source.logical, ("", NEW, *names))
        over = [each.stamps(source.logical, ("", *theirs)) for each, theirs in zip(self._parents, above, strict=True)]
        stem = self._stem(source)
        places = {}
        for at, (key, found) in enumerate(values.items()):
            stamps = [stamp for stamps in over for stamp in (stamps[0], stamps[at + 1])]
            under = [*stamps, generation, own[at], new]
            places[key] = Place(keys.below(stem, names[at]), under, door.by, found, names[at])
        return places

    def places_by(self, attname: str, wanted: Iterable[Any], source: Source) -> dict[Any, Place] | None:
        """The places of the rows with these values of a unique column; None if Django must look at one of them."""
        places: dict[Any, Place] = {}
        for value in wanted:
            place = self.place({attname: value}, source)
            if place is None:
                return None
            places[value] = place
        return places

    def _names_in(self, parent: Table, values: Iterable[tuple[Any, ...]]) -> list[str]:
        """The names of the parent's stamps for rows with these keys."""
        pk = parent.pk if parent.name in self._same_key else None
        return [ANY if pk is None else str(pk.name(found)) for found in values]

    def get(self, asked: Mapping[str, Any], source: Source, terms: Terms) -> Any:
        """The row that ``asked`` names, or ABSENT; None if Django must look at what is asked."""
        question = self.question(asked, source, terms)
        return None if question is None else ask(question, source)

    def question(self, asked: Mapping[str, Any], source: Source, terms: Terms) -> Question | None:
        """The question for the row that ``asked`` names, or ABSENT; None if Django must look at what is asked."""
        place = self.place(asked, source)
        if place is None:
            return None

        def read(payload: bytes | None) -> Any:
            if payload is None:
                return ABSENT
            found = read_rows(self.shape, payload, source.read)
            if len(found) != 1:
                raise CodecError("A stored row is not one row.")
            return self.build(found, source)[0]

        def load() -> Loaded:
            query = QuerySet(model=self.model, using=source.read).filter(**place.asked).query
            found, payload, error = pack_rows(self.shape, execute(query, source.read), source.read)
            if not found:
                return Loaded(ABSENT, None)
            if len(found) > 1:
                # A constraint that is checked only at the commit. Django says what it has to say to that.
                return Loaded(QuerySet(model=self.model, using=source.read).get(**place.asked), None)
            return Loaded(self.build(found, source)[0], payload, len(place.stamps) - 1, error)

        def told() -> list[Any]:
            return ["get", self.model._meta.label_lower, place.asked, list(source), list(terms)]

        fingerprint, absent = self.shape.codec.fingerprint, self.absent([place], source)
        return Question(
            "get", self.model, place.key, place.stamps, self.tables, terms, fingerprint, read, load, absent, told, "",
            lambda: place.by.names,
        )  # fmt: skip

    def absent(self, places: Iterable[Place], source: Source) -> Absent | None:
        """The filter that may rule out these rows, and what they are in it; None if it knows nothing of them."""
        absence = None if self._table is None else self._table.absence
        names = [place.name for place in places]
        if absence is None or not all(map(absence.is_member, names)):
            return None
        return absence.on(source.logical), names

    def build(self, found: Sequence[tuple[Any, ...]], source: Source) -> list[Any]:
        """The instances of rows."""
        builder = self.shape.builder
        return [] if builder is None else builder.build(found, source.read)

    def _stem(self, source: Source) -> str:
        place = logical_name(source.logical)
        stem = self._stems.get((settings.PREFIX, place))
        if stem is None:
            stem = keys.make("r", place, self.model._meta.label_lower)
            if settings.TENANT is None:
                self._stems[settings.PREFIX, place] = stem
        return stem

    def _stamps(self, by: By, name: str, value: Any, source: Source) -> list[str]:
        table = self._table
        if table is None:
            return []
        own = table.stamps(source.logical, ("", name, NEW))
        if not self._parents:
            return own
        found: list[str] = []
        for parent in self._parents:
            shared = by is table.pk and parent.name in self._same_key and parent.pk is not None
            finest = parent.pk.name([value]) if shared and parent.pk is not None else None
            found += parent.stamps(source.logical, ("", finest or ANY))
        return found + own


class _Door:
    """A unique set by which rows may be asked for, and the Python types that mean the same to its columns."""

    __slots__ = ("_fields", "by")

    def __init__(self, by: By) -> None:
        self.by = by
        self._fields: list[tuple[Field[Any, Any], frozenset[str], type, int]] = [
            (field, frozenset({field.name, field.attname}), *_kind_of(field)) for field in by.fields
        ]

    def values(self, asked: Mapping[str, Any]) -> tuple[Any, ...] | None:
        """The values asked for, in the order of the columns; None if Django must look at one of them."""
        values: list[Any] = []
        value: Any
        for field, names, kind, limit in self._fields:
            (value,) = asked.values() if len(asked) == 1 else [asked[name] for name in names if name in asked]
            if isinstance(value, Model):
                if not field.is_relation or type(value) is not field.related_model:
                    return None
                value = getattr(value, cast("Any", field).target_field.attname)
            if type(value) is not kind or not _fits(value, limit):
                return None
            values.append(value)
        return tuple(values)


def _fits(value: Any, limit: int) -> bool:
    return not limit or -limit <= value < limit


def _kind_of(field: Field[Any, Any]) -> tuple[type, int]:
    """The one Python type whose values mean the same to the column as they stand, and the bound of whole numbers."""
    kind = plain_type(field) or type(None)
    return kind, (2**63 if "Big" in stored_field(field).get_internal_type() else 2**31) if kind is int else 0


def _spellings(fields: Sequence[Field[Any, Any]]) -> list[tuple[str, ...]]:
    """How the lookup of a unique set may be written: by name, by attname, and ``pk``."""
    if len(fields) == 1:
        names = {fields[0].name, fields[0].attname}
        return [(name,) for name in (names | {"pk"} if fields[0].primary_key else names)]
    return list({tuple(sorted(field.name for field in fields)), tuple(sorted(field.attname for field in fields))})


_known: dict[tuple[type[Model], str], Rows] = {}


def rows_of(model: type[Model], alias: str) -> Rows:
    """The rows of ``model`` on database ``alias``; worked out once per process."""
    try:
        return _known[model, alias]
    except KeyError:
        return _known.setdefault((model, alias), Rows(model, alias))


def forget() -> None:
    """Work everything out anew (tests only)."""
    _known.clear()
