"""What an entry has and what the database has, compared as they would be stored. Pure: it asks nobody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from redis_toolkit.core.codecs import RowsCodec, encode_value
from redis_toolkit.exceptions import CodecError

__all__ = ["Difference", "between_rows", "between_values", "misplaced"]

_LONGEST: Final = 60
#: Values shown of one column.
_MOST: Final = 3
Row = tuple[Any, ...]


class Difference(NamedTuple):
    """What differs: ``columns`` (or what else) by name; how much ``cached`` and ``stored`` hold; values by column."""

    columns: tuple[str, ...]
    cached: str
    stored: str
    values: tuple[tuple[str, str, str], ...] = ()


def between_rows(
    codec: RowsCodec, cached: Sequence[Row] | None, stored: Sequence[Row] | None, *, is_ordered: bool
) -> Difference | None:
    """How rows in stored form differ; None if they do not. ``is_ordered``: whether their order was asked for.

    Without it a database may give equal rows in another order each time, so only which rows there are, and how often
    each, is compared.
    """
    if cached is None or stored is None:
        return None if cached is stored else Difference(("the row's existence",), _amount(cached), _amount(stored))
    ours, theirs = [_spelled(codec, row) for row in cached], [_spelled(codec, row) for row in stored]
    if ours == theirs or (not is_ordered and Counter(ours) == Counter(theirs)):
        return None
    columns, values = [], []
    for at, column in enumerate(codec.columns):
        here, there = (Counter(_spelling(row[at]) for row in rows) for rows in (cached, stored))
        if here == there:
            continue
        columns.append(column.name)
        sides = (_shown(cached, at, here - there), _shown(stored, at, there - here))
        values.append((column.name, *sides))
    if len(ours) != len(theirs):
        # Of rows that one side has not, every column differs: the first, which is the key most times, tells them apart.
        columns, values = ["which rows"], values[:1]
    if not columns:
        columns.append("the order" if Counter(ours) == Counter(theirs) else "which values go together")
    return Difference(tuple(columns), _amount(cached), _amount(stored), tuple(values))


def between_values(name: str, cached: Any, stored: Any) -> Difference | None:
    """How two answers that are no rows differ."""
    if _spelling(cached) == _spelling(stored):
        return None
    if isinstance(cached, dict) and isinstance(stored, dict) and cached.keys() == stored.keys():
        names = [each for each in cached if _spelling(cached[each]) != _spelling(stored[each])]
        return Difference(
            tuple(names), "one value", "another", tuple((n, _short(cached[n]), _short(stored[n])) for n in names)
        )
    return Difference((name,), "one value", "another", ((name, _short(cached), _short(stored)),))


def misplaced(cached: Sequence[Row]) -> Difference:
    """The rows of an entry are not those that its key is for."""
    return Difference(("the key",), _amount(cached), "not looked for")


def _amount(rows: Sequence[Row] | None) -> str:
    if rows is None:
        return "no such row"
    return "1 row" if len(rows) == 1 else f"{len(rows)} rows"


def _spelled(codec: RowsCodec, row: Row) -> bytes:
    try:
        return codec.encode([row])
    except CodecError:
        # What the database has now cannot be stored, so it is not what is.
        return repr(row).encode("utf-8", "backslashreplace")


def _spelling(value: Any) -> bytes:
    try:
        return encode_value(value)
    except CodecError:
        return repr(value).encode("utf-8", "backslashreplace")


def _shown(rows: Sequence[Row], at: int, only: Counter[bytes]) -> str:
    """The first of the values in a column that only one side has."""
    found = [row[at] for row in rows if only[_spelling(row[at])]]
    shown = ", ".join(_short(value) for value in found[:_MOST])
    return shown + (", …" if len(found) > _MOST else "") if found else "nothing else"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
