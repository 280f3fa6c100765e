"""What a statement writes, read off the statement itself.

Django's own single-table writes (``save``, ``create``, ``delete``, ``bulk_create``, ``bulk_update``, and ``update``
pinned to primary keys) have few shapes; from these we learn which rows they touch and, from their parameters, which
new values they store. Everything else that may write is *coarse*: it is taken to change each watched table it names.
A shape that is not understood is coarse too, so a mistake here costs precision, never exactness.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

__all__ = ["UNKNOWN", "Coarse", "Delete", "Insert", "Update", "Write", "analyse", "identifiers", "may_write"]


class _Unknown:
    """A value only the database knows."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = _Unknown()
#: Where a value comes from: the index of its parameter, several (one of them, else NULL), or unknown.
Source = int | tuple[int, ...] | _Unknown

_WRITING: Final = re.compile(
    r"\b(?:insert|update|delete|merge|replace|truncate|alter|drop|create|copy|call|do|execute|import|load|refresh"
    r"|rename|exchange|attach|detach)\b",
    re.IGNORECASE,
)
#: Comments, and what begins or escapes a literal in other ways than Django's.
_HIDING: Final = re.compile(r"--|/\*|\\|\$")
_IDENTIFIER: Final = re.compile(r'"((?:[^"]|"")+)"|`((?:[^`]|``)+)`')
_NAME: Final = r'["`](?P<table>[^"`]+)["`]'
# ruff: noqa: S608 - these patterns recognise SQL, none is run
_INSERT: Final = re.compile(
    rf"INSERT (?:OR IGNORE |IGNORE )?INTO {_NAME} \((?P<columns>[^()]+)\) (?P<how>VALUES |SELECT \* FROM UNNEST)"
)
_INSERT_END: Final = re.compile(r"(?: ON CONFLICT(?: ?\([^()]*\))? DO NOTHING)?(?: RETURNING [^;%]*)?\Z")
_UPDATE: Final = re.compile(rf"UPDATE {_NAME} SET ")
_DELETE: Final = re.compile(rf"DELETE FROM {_NAME} WHERE ")
_BY_KEY: Final = re.compile(
    r'["`](?P<table>[^"`]+)["`]\.["`](?P<column>[^"`]+)["`] (?:= %s|IN \(%s(?:, %s)*\))(?: RETURNING [^;%]*)?\Z'
)
#: What begins so changes this one table, whatever others it reads: no statement inside it may write.
_TARGET: Final = re.compile(r'(?:UPDATE "([^"]+)" SET |DELETE FROM "([^"]+)"(?: WHERE |\Z)|INSERT INTO "([^"]+)" \()')
#: Statements that change tables which they do not name, or spell otherwise.
_ELSEWHERE: Final = re.compile(
    r"""(?<!["`.\w])(?:(?:execute|call)\b(?!["`])|do\b(?!["`]|\s+(?:nothing|update)\b)|u&"|drop\s+(?:schema|owned)\b)"""
    r"|\btruncate\b.*\bcascade\b",
    re.IGNORECASE | re.DOTALL,
)
_WORD: Final = re.compile(r"[^\W\d][\w$]*")
_BETWEEN_QUOTES: Final = re.compile(r'(?="([^"]+)")|(?=`([^`]+)`)')
_COLUMN: Final = re.compile(r'["`]([^"`]+)["`]')
_ASSIGNMENT: Final = re.compile(r'["`](?P<column>[^"`]+)["`] = (?P<value>.+)\Z', re.DOTALL)
_CASES: Final = re.compile(
    r'\(?CASE(?: WHEN \(?["`][^"`]+["`]\.["`][^"`]+["`] = %s\)? THEN (?:%s|NULL))+ ELSE NULL END\)?(?:::[\w ()]+)?\Z'
)
_WHEN: Final = re.compile(r'WHEN \(?["`]([^"`]+)["`]\.["`]([^"`]+)["`] = %s')
_THEN: Final = re.compile(r"= %s\)? THEN (%s|NULL)")
_UNNEST_VALUE: Final = re.compile(r"\(?%s\)?(?:::[\w \[\]]+(?:\(\d+(?:, ?\d+)?\))?(?:\[\])*)?\Z")
_TOKEN: Final = re.compile(r"""%%|%s|[(),]|"(?:[^"]|"")*"|`[^`]*`|'(?:[^']|'')*'|\bWHERE\b""")


class Coarse:
    """Changes something in each of ``tables`` (names in lower case, as they stand in the statement), or in any.

    ``sets``: the columns, in lower case, of which it may store new values; None if it may add rows, or who knows.
    """

    __slots__ = ("everything", "sets", "tables")

    def __init__(
        self, tables: Collection[str], *, everything: bool = False, sets: Collection[str] | None = None
    ) -> None:
        self.tables = frozenset(tables)
        self.everything = everything
        self.sets = sets


class Insert:
    """Adds rows to ``table``; ``sources`` has, for each row, where the value of each column comes from."""

    __slots__ = ("columns", "sources", "table", "unnest")

    def __init__(
        self, table: str, columns: Sequence[str], sources: Sequence[Sequence[Source]], *, unnest: bool
    ) -> None:
        self.table = table
        self.columns = columns
        self.sources = sources
        self.unnest = unnest

    def rows(self, params: Sequence[Any]) -> Iterator[Mapping[str, Any]]:
        """The new rows by column; what is not written or not known is absent or ``UNKNOWN``.

        Raises ValueError for parameters that are not a list for each column, all of one length.
        """
        if self.unnest:
            columns = [params[source] for source in self.sources[0] if isinstance(source, int)]
            if not all(isinstance(values, list | tuple) for values in columns):
                raise ValueError("The text of an array is for the database to read.")
            for values in zip(*columns, strict=True):
                yield dict(zip(self.columns, values, strict=True))
            return
        for sources in self.sources:
            yield {
                column: params[source] if isinstance(source, int) else UNKNOWN
                for column, source in zip(self.columns, sources, strict=True)
            }


class Update:
    """Changes the rows of ``table`` whose primary key is among the parameters from ``keys_at``; ``sets`` by column."""

    __slots__ = ("key_column", "keys_at", "keys_end", "sets", "table")

    def __init__(self, table: str, key_column: str, sets: Mapping[str, Source], keys: tuple[int, int]) -> None:
        self.table = table
        self.key_column = key_column
        self.sets = sets
        self.keys_at, self.keys_end = keys


class Delete:
    """Removes the rows of ``table`` whose primary key is among the parameters."""

    __slots__ = ("key_column", "keys_at", "keys_end", "table")

    def __init__(self, table: str, key_column: str, keys: tuple[int, int]) -> None:
        self.table = table
        self.key_column = key_column
        self.keys_at, self.keys_end = keys


Write = Coarse | Insert | Update | Delete


def may_write(sql: str) -> bool:
    """Whether a statement can write at all. This is all that a SELECT pays."""
    return not sql.startswith("SELECT ") or ";" in sql or "set_config" in sql


def identifiers(sql: str) -> set[str]:
    """Every name in ``sql``, quoted or not, in lower case (and words that are no names: too many does no harm)."""
    names = {(quoted or ticked).lower() for quoted, ticked in _IDENTIFIER.findall(sql)}
    # A quote inside a literal puts us out of step with the quotes behind it, so what stands between any two counts too.
    names |= {(quoted or ticked).lower() for quoted, ticked in _BETWEEN_QUOTES.findall(sql)}
    return names | {word.lower() for word in _WORD.findall(sql)}


def analyse(sql: str) -> Write | None:
    """What ``sql`` writes; None if it writes nothing. Placeholders must be ``%s``."""
    return _analyse_kept(sql) if len(sql) < 4096 else _analyse(sql)


def _analyse(sql: str) -> Write | None:
    if _WRITING.search(sql) is None:
        return None
    if _ELSEWHERE.search(sql) is not None:
        return Coarse(identifiers(sql), everything=True)
    if _HIDING.search(sql) is not None:
        # What is commented out may look like a shape we know, and a quote that is none may hide one.
        return Coarse(identifiers(sql))
    return _insert(sql) or _update(sql) or _delete(sql) or _of_one_table(sql) or Coarse(identifiers(sql))


_analyse_kept = lru_cache(maxsize=2048)(_analyse)


def _of_one_table(sql: str) -> Coarse | None:
    match = _TARGET.match(sql)
    if match is None or not match.lastindex or ";" in sql:
        return None
    sets: set[str] | None = set() if sql.startswith("DELETE") else None
    if sql.startswith("UPDATE"):
        assigned = [_ASSIGNMENT.match(part) for part, _, _, _ in _split(sql, match.end())]
        if None not in assigned:
            sets = {each["column"].lower() for each in assigned if each is not None}
    return Coarse({match[match.lastindex].lower()}, sets=sets)


def _split(text: str, at: int) -> Iterator[tuple[str, int, int, str]]:
    """The parts of ``text`` from ``at`` between commas: (part, index of its first placeholder, how many, its end).

    It ends at the closing parenthesis of the list, at WHERE, or at the end of the text; behind the word that ended a
    part stands where the next begins. Placeholders are counted from ``at``.
    """
    depth, begin, first, placeholders = 0, at, 0, 0
    for token in _TOKEN.finditer(text, at):
        word = token.group()
        if word == "%s":
            placeholders += 1
        elif word == "(":
            depth += 1
        elif word == ")" and depth:
            depth -= 1
        elif depth == 0 and word in {",", ")", "WHERE"}:
            yield text[begin : token.start()].strip(), first, placeholders - first, f"{word}{token.end()}"
            if word != ",":
                return
            begin, first = token.end(), placeholders
    yield text[begin:].strip(), first, placeholders - first, f"${len(text)}"


def _list(text: str, at: int, ending: str) -> tuple[list[tuple[str, int, int]], int] | None:
    """The parts of a list and where what follows it begins; None if it does not end in ``ending``."""
    parts = []
    for part, first, count, end in _split(text, at):
        parts.append((part, first, count))
        if not end.startswith(","):
            return (parts, int(end.removeprefix(ending))) if end.startswith(ending) else None
    return None


def _insert(sql: str) -> Insert | None:
    match = _INSERT.match(sql)
    if match is None:
        return None
    columns = _COLUMN.findall(match["columns"])
    unnest = match["how"].startswith("SELECT")
    at, offset = match.end(), 0
    rows: list[tuple[Source, ...]] = []
    while sql.startswith("(", at):
        listed = _list(sql, at + 1, ")")
        if listed is None or len(listed[0]) != len(columns):
            return None
        parts, at = listed
        known = [bool(_UNNEST_VALUE.match(part)) if unnest else part == "%s" for part, _, _ in parts]
        rows.append(tuple(offset + part[1] if plain else UNKNOWN for part, plain in zip(parts, known, strict=True)))
        offset += sum(count for _, _, count in parts)
        if not sql.startswith(", (", at):
            break
        at += 2
    if not rows or offset != sql.count("%s") or _INSERT_END.match(sql, at) is None or (unnest and UNKNOWN in rows[0]):
        return None
    return Insert(match["table"], columns, rows, unnest=unnest)


def _update(sql: str) -> Update | None:
    match = _UPDATE.match(sql)
    listed = _list(sql, match.end(), "WHERE") if match else None
    if match is None or listed is None:
        return None
    parts, at = listed
    sets: dict[str, tuple[str, int, int]] = {}
    placeholders = 0
    for part, first, count in parts:
        assignment = _ASSIGNMENT.match(part)
        if assignment is None:
            return None
        sets[assignment["column"]] = assignment["value"], first, count
        placeholders += count
    keys = _by_key(sql, at, match["table"], placeholders)
    if keys is None:
        return None
    key = match["table"], keys[0]
    return Update(*key, {column: _source(key, *value) for column, value in sets.items()}, keys[1])


def _source(key: tuple[str, str], value: str, first: int, count: int) -> Source:
    if value == "%s":
        return first
    if _CASES.match(value) is not None and set(_WHEN.findall(value)) == {key}:
        # bulk_update: WHEN key = %s THEN %s, and THEN NULL without a parameter for a row that is given none.
        at, found = first, []
        for then in _THEN.findall(value):
            at += 1
            if then == "%s":
                found.append(at)
                at += 1
        return tuple(found) if at == first + count else UNKNOWN
    # Django writes None so, without a parameter: none of none.
    return () if value == "NULL" else UNKNOWN


def _delete(sql: str) -> Delete | None:
    match = _DELETE.match(sql)
    keys = _by_key(sql, match.end(), match["table"], 0) if match else None
    return Delete(match["table"], keys[0], keys[1]) if match and keys else None


def _by_key(sql: str, at: int, table: str, before: int) -> tuple[str, tuple[int, int]] | None:
    match = _BY_KEY.match(sql[at:].strip())
    if match is None or match["table"] != table:
        return None
    end = before + match.group().count("%s")
    # Drivers count a placeholder in a literal, we do not: then we would take the wrong parameters for keys.
    return (match["column"], (before, end)) if end == sql.count("%s") else None
