"""Transcripts: the question of a stored answer, written down beside it, so that `redis_verify` can ask it again.

An entry does not say what was asked: its key is a digest. Of a share of all entries (``VERIFY_SAMPLE``) the SQL, its
parameters, the columns and the stamps are kept under a key of their own, signed with ``SECRET_KEY`` together with that
key. What was not signed by this project, or was signed for another key, is never run.

An answer gets none where the same rows might answer otherwise: a slice of rows whose order leaves some equal, a value
that depends on the order in which rows are added up, anything that reads its values by code of the project's own.
"""

from __future__ import annotations

import logging
import random
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import wraps
from typing import Any, Concatenate, Final, NamedTuple, ParamSpec, cast

from django.core.exceptions import FieldDoesNotExist, FieldError, ImproperlyConfigured
from django.core.signing import Signer
from django.db import connections
from django.utils.crypto import constant_time_compare

from redis_toolkit.cache import selections
from redis_toolkit.cache.locations import Location
from redis_toolkit.cache.reading import Source
from redis_toolkit.conf import settings
from redis_toolkit.core import keys
from redis_toolkit.core.codecs import Column, decode_value, encode_value
from redis_toolkit.exceptions import CodecError

__all__ = [
    "ROOM",
    "Forged",
    "Transcript",
    "entry_key",
    "listening",
    "of_rows",
    "of_value",
    "read",
    "seal",
]

#: The room of transcripts in keys; that of the entries is ``q``.
ROOM: Final = "t"
_VERSION: Final = 1
#: A longer one is not worth its memory.
_MOST_BYTES: Final = 16 * 1024
_SALT: Final = "redis_toolkit.transcript"

_QUOTED: Final = re.compile(r"\"[^\"]*\"|`[^`]*`|'[^']*'")
_LIMIT: Final = re.compile(r"\b(?:LIMIT|FETCH FIRST)\b")
_OFFSET: Final = re.compile(r"\bOFFSET\b")
#: Whether there is any row does not depend on which one is found.
_EXISTS: Final = re.compile(r"\bEXISTS ?\(SELECT (?:1|%s) AS ")
#: What depends on the order in which rows are met, and sums of floats.
_UNSETTLED: Final = re.compile(
    r"\b(?:\w+_AGG\w*|ANY_VALUE|GROUP_CONCAT|\w*GROUP_ARRAY|\w*GROUP_OBJECT|STDDEV\w*|VAR\w*|REGR\w+|CORR|COVAR\w+)\("
    r"|\bOVER ?\(|\bDISTINCT ON\b",
    re.IGNORECASE,
)

_log = logging.getLogger("redis_toolkit.cache")
#: What may be raised where Django or a project keeps other things in a query than were thought of here.
_SURPRISES: Final = (
    AttributeError, FieldDoesNotExist, FieldError, ImproperlyConfigured, LookupError, TypeError, ValueError,
)  # fmt: skip

_DEAF: Final = nullcontext()
Heard = list[tuple[Any, Any]]


class Forged(Exception):
    """What lies where a transcript should was not signed by this project for this key."""


class Transcript(NamedTuple):
    """A question to the database: ``sql`` and ``params``, run on the database whose writes it depends on.

    In what is stored ``params`` are pairs, a name of their type and a value. ``columns`` are those of
    :mod:`~redis_toolkit.cache.selections`, ``names`` those of aggregates, ``stamps`` the keys the answer depends on.
    ``is_ordered`` says whether the order of the rows follows from what was asked.
    """

    kind: str
    model: str
    sql: str
    params: list[Any]
    columns: list[Any]
    names: list[str]
    stamps: list[str]
    is_ordered: bool


def listening(alias: str) -> AbstractContextManager[Heard | None]:
    """Gives the statements that ``alias`` runs in the block; None for most answers: they get no transcript."""
    # The dice need not be unpredictable: they only choose a sample.
    if not settings.VERIFY_SAMPLE or random.random() >= settings.VERIFY_SAMPLE:  # noqa: S311
        return _DEAF
    return _listening(alias)


@contextmanager
def _listening(alias: str) -> Iterator[Heard]:
    heard: Heard = []

    def hear(execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:  # noqa: FBT001 - Django's signature
        heard.append((sql, params))
        return execute(sql, params, many, context)

    with connections[alias].execute_wrapper(hear):
        yield heard


# Writing

P = ParamSpec("P")
Written = tuple[str, bytes] | None


def _harmless(write: Callable[Concatenate[Heard, P], Written]) -> Callable[Concatenate[Heard | None, P], Written]:
    """Write nothing if nothing was heard, and nothing where a query holds what is not expected: the read goes on."""

    @wraps(write)
    def written(heard: Heard | None, /, *args: P.args, **kwargs: P.kwargs) -> Written:
        if not heard:
            return None
        try:
            return write(heard, *args, **kwargs)
        except (CodecError, selections.Unwritable):
            return None
        except _SURPRISES as surprise:
            _log.info("The question of an answer was not written down: %s", str(surprise))
            return None

    return written


@_harmless
def of_rows(
    heard: Heard, queryset: Any, location: Location, source: Source, columns: Iterable[Column], found: int
) -> Written:
    """The key and the bytes of the transcript of a list of ``found`` rows; None if there is to be none."""
    query = queryset.traced_query()
    is_ordered = _is_totally_ordered(query)
    # A slice that was not filled, as that of get() mostly is not, has all rows there are.
    is_whole = not query.low_mark and query.high_mark is not None and found < query.high_mark
    slices = 1 if query.is_sliced and (is_ordered or is_whole) else 0
    selected = [column.expression for column in columns]
    return _written("rows", heard, queryset, location, source, selected, (), slices, is_ordered=is_ordered)


@_harmless
def of_value(
    heard: Heard, kind: str, queryset: Any, location: Location, source: Source, answer: Any, further: Sequence[Any]
) -> Written:
    """The same for aggregates, a count, or whether anything exists.

    ``further``: the names and the expressions of aggregates, as :func:`~redis_toolkit.cache.answers.value` is given.
    """
    query = queryset.traced_query()
    if kind != "aggregate":
        # Which rows a slice takes matters to neither.
        slices = 1 if kind == "exists" or query.is_sliced else 0
        return _written(kind, heard, queryset, location, source, (), (), slices)
    # As Query.get_aggregation() does, on a copy: it adds joins.
    copy = query.clone()
    named = _named(further)
    selected = [named[name].resolve_expression(copy, allow_joins=True, reuse=None, summarize=True) for name in answer]
    return _written(kind, heard, queryset, location, source, selected, list(answer), 0)


def _named(further: Sequence[Any]) -> dict[str, Any]:
    """Expressions by their names: those that were given come first, then all expressions, the unnamed before."""
    given = [each for each in further if isinstance(each, str)]
    expressions = [each for each in further if not isinstance(each, str)]
    unnamed = expressions[: len(expressions) - len(given)]
    named = dict(zip(given, expressions[len(unnamed) :], strict=True))
    return named | {each.default_alias: each for each in unnamed}


def _written(  # noqa: PLR0913, PLR0917 - what is written down
    kind: str, heard: Heard, queryset: Any, location: Location, source: Source, columns: Sequence[Any],
    names: Sequence[str], slices: int, *, is_ordered: bool = False,
) -> Written:  # fmt: skip
    connection = connections[source.logical]
    (sql, params), *more = heard
    # Something of the project's own ran as well, or a database of another kind was asked than would be asked again.
    if more or not isinstance(sql, str) or connections[source.read].vendor != connection.vendor:
        return None
    if _may_answer_otherwise(sql, slices):
        return None
    label = queryset.model._meta.label_lower
    _, place, digest = keys.parts_of(location.key)
    key = keys.make(ROOM, place, label, digest)
    selected = selections.write(columns, connection.vendor)
    spoken = [_spoken(param, connection) for param in params or ()]
    data = seal(key, Transcript(kind, label, sql, spoken, selected, list(names), list(location.stamps), is_ordered))
    return (key, data) if len(data) <= _MOST_BYTES else None


def seal(key: str, transcript: Transcript) -> bytes:
    """What is stored under ``key``. Raises CodecError for a parameter that cannot be written down."""
    body = encode_value([_VERSION, *transcript])
    return _signer().signature(_bound(key, body)).encode() + b"." + body


def _may_answer_otherwise(sql: str, slices: int) -> bool:
    """Whether the same rows may give another answer. ``slices``: how many there may be."""
    bare = _QUOTED.sub("?", sql)
    if _UNSETTLED.search(bare) is not None:
        return True
    limits = len(_LIMIT.findall(bare)) - len(_EXISTS.findall(bare))
    return max(limits, len(_OFFSET.findall(bare))) > slices


def _is_totally_ordered(query: Any) -> bool:
    """Whether the query is ordered by something that no two of its rows share."""
    if query.combinator or query.annotations or query.group_by is not None:
        return False
    options = query.get_meta()
    for alias, join in query.alias_map.items():
        relation = getattr(join, "join_field", None)
        # A row may come more than once by a relation that leads to many.
        if query.alias_refcount.get(alias) and relation is not None and not _leads_to_one(relation):
            return False
    order = query.order_by or (query.default_ordering and options.ordering) or ()
    unique = {"pk"} | {
        name
        for field in options.concrete_fields
        if field.unique and not field.null and not field.is_relation
        for name in (field.name, field.attname)
    }
    return any(isinstance(name, str) and name.removeprefix("-") in unique for name in order)


def _leads_to_one(relation: Any) -> bool:
    return bool(relation.many_to_one or relation.one_to_one)


def _spoken(param: Any, connection: Any) -> list[Any]:
    """A parameter, and by what class it tells a driver its type, if it does."""
    wrapper = type(param).__name__
    return [wrapper, int(cast("Any", param))] if _wrappers(connection).get(wrapper) is type(param) else ["", param]


def _wrappers(connection: Any) -> dict[str, type]:
    """The classes by which Django tells PostgreSQL how wide a number is, by name."""
    kinds = getattr(connection.ops, "integerfield_type_map", {})
    return {kind.__name__: kind for kind in kinds.values()}


# Reading


def entry_key(key: str) -> str:
    """The key of the entry beside which the transcript ``key`` lies."""
    _, place, _, digest = keys.parts_of(key)
    return keys.make("q", place, digest)


def read(key: str, data: bytes, alias: str) -> Transcript:
    """The transcript stored under ``key``, to be run on ``alias``. Raises Forged, or CodecError for another version."""
    signature, _, body = data.partition(b".")
    signer = _signer()
    bound = _bound(key, body)
    secrets = (signer.key, *signer.fallback_keys)
    if not any(constant_time_compare(signature, signer.signature(bound, secret)) for secret in secrets):
        raise Forged(key)
    version, *parts = decode_value(body)
    if version != _VERSION:
        raise CodecError("The transcript was written by another version.")
    transcript = Transcript(*parts)
    wrappers = _wrappers(connections[alias])
    params = [wrappers[name](value) if name else value for name, value in transcript.params]
    return transcript._replace(params=params)


def _signer() -> Signer:
    return Signer(salt=_SALT)


def _bound(key: str, body: bytes) -> bytes:
    """What is signed: a transcript and where it lies, so that it cannot be moved to another answer."""
    return key.encode() + b"\0" + body
