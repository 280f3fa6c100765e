"""Specimens: entries that can be asked for again, each with its stamps and the way to what the database has now."""

from __future__ import annotations

from contextlib import closing
from typing import Any, Final, Protocol

from django.apps import apps
from django.db import connections
from django.db.models import Model, QuerySet

from redis_toolkit.cache import selections, transcripts
from redis_toolkit.cache.answers import execute
from redis_toolkit.cache.differences import Difference, between_rows, between_values, misplaced
from redis_toolkit.cache.entries import peek
from redis_toolkit.cache.reading import NO_COLUMNS, Source
from redis_toolkit.cache.rows import Place, Rows, rows_of
from redis_toolkit.cache.statements import may_write
from redis_toolkit.cache.transcripts import Transcript
from redis_toolkit.core import keys
from redis_toolkit.core.codecs import RowsCodec, decode_value
from redis_toolkit.exceptions import CodecError

__all__ = ["OTHER_CODE", "Incomparable", "Specimen", "of_row", "of_transcript"]


OTHER_CODE: Final = "other code stored it, with other columns"


class Incomparable(Exception):
    """The entry cannot be asked for again; the message says why."""


class Specimen(Protocol):
    """An entry: where it lies, what it depends on, the fingerprint it must have."""

    key: str
    model: str
    stamps: list[str]
    fingerprint: bytes
    about: str

    def difference(self, payload: bytes | None) -> Difference | None:
        """How what is cached differs from what the database has now. Raises CodecError for an unreadable payload."""


class _Row:
    """The entry of one row, or of its absence."""

    about = ""

    def __init__(self, key: str, place: Place, rows: Rows, alias: str) -> None:
        self.key = key
        self.model = rows.model._meta.label_lower
        self.stamps = place.stamps
        self.fingerprint = rows.shape.codec.fingerprint
        self._place = place
        self._rows = rows
        self._alias = alias

    def difference(self, payload: bytes | None) -> Difference | None:
        codec = self._rows.shape.codec
        cached = None if payload is None else codec.decode(payload)
        if cached is not None and self._place.key != self.key:
            return misplaced(cached)
        query = QuerySet(model=self._rows.model, using=self._alias).filter(**self._place.asked).query
        stored = codec.convert(execute(query, self._alias), connections[self._alias])
        return between_rows(codec, cached, stored or None, is_ordered=False)


class _Answer:
    """The entry of a query, by its transcript."""

    def __init__(self, key: str, transcript: Transcript, alias: str) -> None:
        if may_write(transcript.sql.lstrip("(")):
            raise Incomparable("its statement does not only read")
        self.key = key
        self.model = transcript.model
        self.stamps = transcript.stamps
        self.about = transcript.sql
        self._transcript = transcript
        self._connection = connections[alias]
        try:
            columns = selections.read(transcript.columns, self._connection)
        except LookupError as error:
            raise Incomparable(f"its columns are no more: {error}") from error
        self._codec = RowsCodec(columns)
        self.fingerprint = self._codec.fingerprint if transcript.kind == "rows" else NO_COLUMNS

    def difference(self, payload: bytes | None) -> Difference | None:
        transcript, codec = self._transcript, self._codec
        if transcript.kind == "rows":
            cached = codec.decode(payload or b"")
            return between_rows(codec, cached, self._rows(), is_ordered=transcript.is_ordered)
        known = decode_value(payload or b"")
        found = self._ask()
        now: Any = bool(found)
        if transcript.kind == "count":
            now = found[0][0]
        elif transcript.kind == "aggregate":
            now = dict(zip(transcript.names, codec.convert(found, self._connection)[0], strict=True))
        return between_values(transcript.kind, known, now)

    def _rows(self) -> list[tuple[Any, ...]]:
        # Under DISTINCT Django selects what rows are ordered by as well, and leaves it out again.
        width = sum(len(column.parts) or 1 for column in self._codec.columns)
        return self._codec.convert([row[:width] for row in self._ask()], self._connection)

    def _ask(self) -> list[tuple[Any, ...]]:
        with closing(self._connection.cursor()) as cursor:
            cursor.execute(self._transcript.sql, self._transcript.params)
            found: list[tuple[Any, ...]] = cursor.fetchall()
        return found


def of_row(key: str, entry: bytes, alias: str) -> Specimen:
    """The specimen of a row's ``entry``. Raises Incomparable, CodecError."""
    _, _, label, name = keys.parts_of(key)
    model = _model(label)
    rows = rows_of(model, alias)
    body = peek(entry, rows.shape.codec.fingerprint)
    if body is None:
        raise Incomparable(OTHER_CODE)
    found = None if body.payload is None else rows.shape.codec.decode(body.payload)
    if found is not None and len(found) != 1:
        raise CodecError("A stored row is not one row.")
    place = rows.place_named(name, found[0] if found else None, Source(alias, alias))
    if place is None:
        raise Incomparable("it says that a row is missing, and its key holds only a digest of which")
    return _Row(key, place, rows, alias)


def of_transcript(key: str, data: bytes, alias: str) -> Specimen:
    """The specimen of the entry beside the transcript ``key``. Raises Forged, Incomparable."""
    try:
        transcript = transcripts.read(key, data, alias)
    except CodecError as error:
        raise Incomparable(str(error)) from error
    _model(transcript.model)
    return _Answer(transcripts.entry_key(key), transcript, alias)


def _model(label: str) -> type[Model]:
    try:
        return apps.get_model(label)
    except (LookupError, ValueError) as error:
        raise Incomparable(f"there is no model {label}") from error
