"""The kinds of answers a queryset gives, each as a question to the cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import chain
from typing import Any, Final

from django.db import connections, router
from django.db.models import QuerySet
from django.db.models.query import (
    FlatValuesListIterable,
    ModelIterable,
    NamedValuesListIterable,
    ValuesIterable,
    ValuesListIterable,
)

from redis_toolkit.cache import transcripts
from redis_toolkit.cache.asking import ask
from redis_toolkit.cache.databases import logical_name, primary_of
from redis_toolkit.cache.instances import link_known
from redis_toolkit.cache.locations import Location, NoQuestion, locate
from redis_toolkit.cache.plans import Shape
from redis_toolkit.cache.reading import NO_COLUMNS, Loaded, Question, Source
from redis_toolkit.cache.telling import alone
from redis_toolkit.conf import settings
from redis_toolkit.core.codecs import decode_value, encode_value
from redis_toolkit.exceptions import CodecError
from redis_toolkit.signals import cache_read

__all__ = ["execute", "pack_rows", "read_rows", "rows", "source_of", "value"]

_ITERABLES: Final = frozenset(
    {ModelIterable, ValuesIterable, ValuesListIterable, NamedValuesListIterable, FlatValuesListIterable}
)


_sources: dict[str, Source] = {}


def source_of(model: Any, using: str | None, hints: Mapping[str, Any], read: str) -> Source | None:
    """Where a read goes and whose writes it depends on; None for a replica that may lag by nobody knows how much.

    None as well for an alias that no setting names: Django says what is wrong with it.
    """
    if read not in connections.settings:
        return None
    write = router.db_for_write(model, **hints) if using is None and router.routers else primary_of(read)
    if write == read or logical_name(write) == logical_name(read):
        return _sources.get(read) or _sources.setdefault(read, Source(read, read))
    return Source(read, write) if settings.REPLICA_LAG else None


def _source(queryset: Any) -> Source | None:
    """The source of ``queryset``; None if this queryset must be answered by the database."""
    if not _may_be_answered(queryset):
        return None
    return source_of(queryset.model, queryset._db, queryset._hints, queryset.db)


def _may_be_answered(queryset: Any) -> bool:
    """Whether the cache is asked at all."""
    if queryset._cache_mode == "off" or queryset._for_write:
        return False
    # If not: refresh_from_db() through a cached base manager. It is there to see what the database has.
    return type(queryset._hints.get("instance")) is not queryset.model


def _alone(kind: str, queryset: Any) -> AbstractContextManager[None]:
    """Around a question to the database: for watchers, if the cache should have answered it."""
    if not cache_read.is_heard or not _may_be_answered(queryset):
        return nullcontext()
    return alone(kind, queryset.model, queryset.db)


def rows(queryset: Any) -> list[Any]:
    """What iterating ``queryset`` gives: instances, dictionaries, tuples or single values."""
    source = _source(queryset) if queryset._iterable_class in _ITERABLES else None
    try:
        location = None if source is None else locate("rows", queryset, source)
    except NoQuestion:
        return list(queryset._iterable_class(queryset))
    if source is None or location is None or location.plan.shape is None:
        with _alone("rows", queryset):
            return list(queryset._iterable_class(queryset))
    shape = location.plan.shape

    def read(payload: bytes | None) -> list[Any]:
        return _finish(queryset, shape, source.read, read_rows(shape, payload or b"", source.read))

    def load() -> Loaded:
        with transcripts.listening(source.read) as heard:
            found, payload, error = pack_rows(shape, execute(queryset.traced_query(), source.read), source.read)
        stamps, brief = _complete(location, len(found))
        transcript = transcripts.of_rows(heard, queryset, location, source, shape.codec.columns, len(found))
        return Loaded(_finish(queryset, shape, source.read, found), payload, stamps, error, brief, transcript)

    answer: list[Any] = _ask("rows", queryset, location, source, shape.codec.fingerprint, read, load)
    return answer


def value(kind: str, queryset: Any, compute: Callable[[], Any], *further: Any) -> Any:
    """A count, an aggregate, whether anything exists: ``compute`` asks the database for it."""
    source = _source(queryset)
    try:
        location = None if source is None else locate(kind, queryset, source, *further)
    except NoQuestion:
        return compute()
    if source is None or location is None:
        with _alone(kind, queryset):
            return compute()

    def read(payload: bytes | None) -> Any:
        return decode_value(payload or b"")

    def load() -> Loaded:
        with transcripts.listening(source.read) as heard:
            answer = compute()
        try:
            payload = encode_value(answer)
        except CodecError as error:
            return Loaded(answer, None, error=error)
        transcript = transcripts.of_value(heard, kind, queryset, location, source, answer, further)
        return Loaded(answer, payload, transcript=transcript)

    return _ask(kind, queryset, location, source, NO_COLUMNS, read, load)


def _ask(
    kind: str, queryset: Any, location: Location, source: Source, fingerprint: bytes,
    read: Callable[[bytes | None], Any], load: Callable[[], Loaded],
) -> Any:  # fmt: skip
    recipe, terms = location.plan.recipe, queryset._cache_terms

    def pins() -> tuple[str, ...]:
        return () if recipe is None else recipe.pins(queryset.traced_query(), source.read)

    tables = () if recipe is None else recipe.tables
    question = Question(
        kind, queryset.model, location.key, location.stamps, tables, terms, fingerprint, read, load, pins=pins
    )
    return ask(question, source, refresh=queryset._cache_mode == "refresh")


def _complete(location: Location, found: int) -> tuple[int | None, bool]:
    """How many of the stamps the rows depend on (all but ``new`` if no key lacks its row), and whether some lack."""
    wanted, recipe = location.keys, location.plan.recipe
    if wanted is None or recipe is None:
        return None, False
    # Joins may give one row twice, which must not make up for one that is missing.
    if found >= wanted and recipe.is_row_for_row and (wanted == 1 or len(recipe.tables) == 1):
        return len(location.stamps) - 1, False
    return None, not found


def execute(query: Any, alias: str) -> Iterator[Sequence[Any]]:
    """The driver's rows for ``query``."""
    results = query.get_compiler(using=alias).execute_sql(chunked_fetch=False)
    return chain.from_iterable(results)


def read_rows(shape: Shape, payload: bytes, alias: str) -> list[tuple[Any, ...]]:
    """The rows of a payload, as Django gives them. Raises CodecError."""
    found = shape.codec.decode(payload)
    return found if shape.codec.is_plain else shape.codec.finish(found, connections[alias])


def pack_rows(
    shape: Shape, raw: Iterator[Sequence[Any]], alias: str
) -> tuple[list[tuple[Any, ...]], bytes | None, CodecError | None]:
    """Driver rows as Django's rows and as a payload. The rows come out of the payload, so nothing mutable is shared."""
    connection = connections[alias]
    stored = shape.codec.convert(raw, connection)
    try:
        payload = shape.codec.encode(stored)
        return read_rows(shape, payload, alias), payload, None
    except CodecError as error:
        return shape.codec.finish(stored, connection), None, error


def _finish(queryset: Any, shape: Shape, alias: str, found: list[tuple[Any, ...]]) -> list[Any]:
    if queryset._iterable_class is not ModelIterable:
        return list(queryset._iterable_class(_Replay(queryset, found)))
    if shape.builder is None:
        return []
    mode = getattr(queryset, "_fetch_mode", None)
    instances = shape.builder.build(found, alias, mode)
    if queryset._known_related_objects:
        link_known(queryset, instances)
    return instances


class _Replay:
    """Gives rows to Django's own ``values()`` iterables in the place of a queryset, its query and its compiler."""

    def __init__(self, queryset: QuerySet[Any], found: list[tuple[Any, ...]]) -> None:
        self._queryset = queryset
        self._found = found

    @property
    def query(self) -> _Replay:
        return self

    @property
    def db(self) -> str:
        return self._queryset.db

    @property
    def _fields(self) -> Any:
        return self._queryset._fields  # type: ignore[attr-defined]

    def get_compiler(self, *_: Any, **__: Any) -> _Replay:
        return self

    def results_iter(self, **_: Any) -> Iterator[tuple[Any, ...]]:
        return iter(self._found)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queryset.query, name)
