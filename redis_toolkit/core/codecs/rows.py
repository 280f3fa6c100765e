"""The rows of a query <-> bytes: positional values, typed by column, read by one call into msgspec."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from msgspec.msgpack import Decoder, Encoder

from redis_toolkit.core.codecs.columns import Column
from redis_toolkit.core.codecs.kinds import ANY
from redis_toolkit.core.codecs.values import MALFORMED, revive, tag
from redis_toolkit.exceptions import CodecError

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

__all__ = ["VERSION", "RowsCodec"]

#: Part of every fingerprint. Another number makes all that is stored unreadable, which is a miss.
VERSION = 1

# The one byte that begins no MessagePack document: rows whose values say themselves what they are.
_TAGGED = b"\xc1"

_EMPTY = b"\x90"

_encoder = Encoder(decimal_format="string", uuid_format="bytes")
_tagged_decoder: Decoder[list[tuple[Any, ...]]] = Decoder(list[tuple[Any, ...]], ext_hook=revive)


class RowsCodec:
    """Typed rows <-> bytes, for queries that select ``columns``. Build one per query shape and keep it.

    On a miss ``encode(convert(raw))`` is stored and ``finish(decode(payload))`` answered; on a hit the latter alone.
    What ``decode(encode(rows))`` gives equals ``rows`` in values and in types, or ``encode`` raises.

    ``fingerprint`` (8 bytes) changes with the kinds, the order and the names of the columns and with the version of the
    format, and is the same in every process. It belongs into what is stored, beside the payload.
    """

    __slots__ = ("_columns", "_decode", "_kinds", "_late", "fingerprint")

    fingerprint: bytes

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = tuple(columns)
        self._kinds = tuple(column.kind for column in self._columns)
        self._late = any(leaf.late for leaf in self._leaves())
        self.fingerprint = _fingerprint(self._columns)
        row: Any = tuple[tuple(kind.type for kind in self._kinds)]  # type: ignore[misc]
        self._decode = Decoder(list[row], ext_hook=revive).decode

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns, in the order of the query's SELECT."""
        return self._columns

    @property
    def is_plain(self) -> bool:
        """Whether decoded rows are finished: no column has a conversion of the project's own."""
        return not self._late

    def encode(self, rows: Sequence[tuple[Any, ...]]) -> bytes:
        """Return ``rows`` (in stored form, see :meth:`convert`) as bytes.

        Raises ``CodecError`` for a value that would not come back the same, naming its column.
        """
        if not rows:
            return _EMPTY
        try:
            values = list(zip(*rows, strict=True))
            if len(values) != len(self._kinds):
                raise CodecError(f"Rows of {len(values)} values cannot be stored as {len(self._kinds)} columns.")
            try:
                typed = self._typed(values)
                if typed is not None:
                    return _encoder.encode(rows if typed is values else list(zip(*typed, strict=True)))
            except (OverflowError, UnicodeEncodeError):
                pass  # An int beyond 64 bits, a lone surrogate: MessagePack has neither, a tag has both.
            tagged = [self._tagged(place, column) for place, column in enumerate(values)]
            return _TAGGED + _encoder.encode(list(zip(*tagged, strict=True)))
        except (RecursionError, ValueError) as error:
            raise CodecError("Rows of uneven length, or nested too deeply, or too large, cannot be cached.") from error

    def decode(self, payload: bytes | memoryview) -> list[tuple[Any, ...]]:
        """Return the rows in ``payload``, in stored form. Raise ``CodecError`` if it is not what ``encode`` wrote."""
        try:
            return self._decode(payload)
        except MALFORMED as error:
            if payload[:1] != _TAGGED:
                raise CodecError("A stored payload is damaged or of other columns.") from error
        try:
            rows = _tagged_decoder.decode(payload[1:])
        except MALFORMED as error:
            raise CodecError("A stored payload is damaged.") from error
        width = len(self._kinds)
        if any(len(row) != width for row in rows):
            raise CodecError("A stored payload is of other columns.")
        return rows

    def convert(self, rows: Iterable[Sequence[Any]], connection: BaseDatabaseWrapper) -> list[tuple[Any, ...]]:
        """Return the driver's raw ``rows`` in stored form: what Django makes of them, up to the project's own code."""
        steps = []
        for place, leaf in enumerate(self._leaves()):
            if early := leaf.early(connection):
                steps.append((place, early, leaf.expression))
        # As Django does it, left to right: each group shrinks to one value, so positions before it are final.
        groups = [slice(place, place + len(column.parts)) for place, column in enumerate(self._columns) if column.parts]
        if not steps and not groups:
            return list(map(tuple, rows))
        stored = []
        for row in map(list, rows):
            for place, converters, expression in steps:
                value = row[place]
                for convert in converters:
                    value = convert(value, expression, connection)
                row[place] = value
            for group in groups:
                row[group] = [tuple(row[group])]
            stored.append(tuple(row))
        return stored

    def finish(self, rows: list[tuple[Any, ...]], connection: BaseDatabaseWrapper) -> list[tuple[Any, ...]]:
        """Return stored ``rows`` as Django gives them, running the project's own converters; ``rows`` if none are."""
        if not self._late:
            return rows
        readers = [
            (place, read)
            for place, column in enumerate(self._columns)
            if (read := column.reader(connection)) is not None
        ]
        finished = []
        for row in map(list, rows):
            for place, read in readers:
                row[place] = read(row[place])
            finished.append(tuple(row))
        return finished

    def _leaves(self) -> list[Column]:
        return [leaf for column in self._columns for leaf in column.parts or (column,)]

    def _typed(self, values: list[tuple[Any, ...]]) -> list[tuple[Any, ...]] | None:
        """Return the columns as they can be encoded, themselves if nothing is to do; None if one is not of its kind."""
        misfits = [place for place, kind in enumerate(self._kinds) if not kind.exact(values[place])]
        if not misfits:
            return values
        if any(self._kinds[place] is not ANY for place in misfits):
            return None
        typed = values.copy()
        for place in misfits:
            typed[place] = self._tagged(place, values[place])
        return typed

    def _tagged(self, place: int, values: tuple[Any, ...]) -> tuple[Any, ...]:
        try:
            return tuple(map(tag, values))
        except CodecError as error:
            raise CodecError(f"Column {self._columns[place].name}: {error}") from error


def _fingerprint(columns: Sequence[Column]) -> bytes:
    lines = [str(VERSION), *(column.identity for column in columns)]
    return blake2b("\n".join(lines).encode(), digest_size=8).digest()
