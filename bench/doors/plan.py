"""Who takes part, and in what."""

from __future__ import annotations

from dataclasses import dataclass

from bench.contestants import Contestant

__all__ = [
    "BEGIN", "CASES", "CHANGE", "CONTESTANTS", "FLOORS", "GOOD", "KINDS", "LIBRARIES", "LOAD", "PACKAGES", "THREADS",
    "UNKNOWN", "VIEW_SECONDS", "Pace", "Row", "chosen", "named",
]  # fmt: skip

LOAD, CHANGE, BEGIN = "load", "load and save", "begin"
GOOD, UNKNOWN = "good", "unknown"

#: What is done with each of the kinds.
CASES = {"session": (LOAD, CHANGE, BEGIN), "text": (GOOD, UNKNOWN), "class": (GOOD, UNKNOWN)}
#: Titles of the tables, and by whom each is measured.
KINDS = {
    "session": "A session engine",
    "text": "Whose token a text is",
    "class": "A token authentication of Django REST framework, the user included",
}
FLOORS = {"session": "floor-session", "text": "floor-text", "class": "floor-class"}
PACKAGES = ("djangorestframework", "django-qsessions", "django-rest-knox")

#: Requests that overlap: threads that serve them, and what a view takes for what it does.
THREADS = 32
VIEW_SECONDS = 0.002


@dataclass(frozen=True, slots=True)
class Pace:
    """How long to measure; how many sessions or tokens there are, and how many requests overlap."""

    rounds: int
    batch_seconds: float
    entries: int
    requests: int


@dataclass(frozen=True, slots=True)
class Row:
    """One way to keep a door: a line of the report. ``library``: whose process it is played in."""

    name: str
    title: str
    library: str
    kind: str

    @property
    def is_floor(self) -> bool:
        """Whether the others are measured by it."""
        return self.name in FLOORS.values()


def _library(name: str, title: str, reader: str, *needs: str) -> Contestant:
    return Contestant(name, title, reader, "postgres", needs=("psycopg", *needs))


LIBRARIES = (
    _library("floor", "redis-py, Django", "bare"),
    _library("ours", "redis_toolkit", "sessions"),
    _library("ours-signed", "redis_toolkit", "sessions"),
    _library("ours-encrypted", "redis_toolkit", "sessions", "cryptography"),
    _library("django-cache", "Django", "sessions"),
    _library("django-cached-db", "Django", "sessions"),
    _library("django-db", "Django", "sessions"),
    _library("qsessions", "django-qsessions", "sessions", "qsessions"),
    _library("ours-redis", "redis_toolkit", "tokens", "rest_framework"),
    _library("ours-rows", "redis_toolkit", "tokens", "rest_framework"),
    _library("ours-rows-due", "redis_toolkit", "tokens", "rest_framework"),
    _library("drf", "Django REST framework", "tokens", "rest_framework"),
    _library("knox", "django-rest-knox", "tokens", "rest_framework", "knox"),
)

CONTESTANTS = (
    Row("floor-session", "redis-py: GET, and SET", "floor", "session"),
    Row("ours", "redis_toolkit", "ours", "session"),
    Row("ours-signed", "redis_toolkit, signed", "ours-signed", "session"),
    Row("ours-encrypted", "redis_toolkit, encrypted", "ours-encrypted", "session"),
    Row("django-cache", "Django, cache", "django-cache", "session"),
    Row("django-cached-db", "Django, cached_db", "django-cached-db", "session"),
    Row("django-db", "Django, db", "django-db", "session"),
    Row("qsessions", "django-qsessions, cached_db", "qsessions", "session"),
    Row("floor-text", "redis-py: GET", "floor", "text"),
    Row("ours-redis-text", "authenticate(), store redis", "ours-redis", "text"),
    Row("ours-rows-text", "authenticate(), store db+redis", "ours-rows", "text"),
    Row("floor-class", "Django: one query for the user", "floor", "class"),
    Row("ours-redis", "redis_toolkit, store redis", "ours-redis", "class"),
    Row("ours-rows", "redis_toolkit, store db+redis", "ours-rows", "class"),
    Row("ours-rows-due", "store db+redis, a use that is written down", "ours-rows-due", "class"),
    Row("ours-rows-ten", "store db+redis, ten tokens of each user", "ours-rows", "class"),
    Row("drf", "Django REST framework", "drf", "class"),
    Row("knox", "django-rest-knox", "knox", "class"),
    Row("knox-ten", "django-rest-knox, ten tokens of each user", "knox", "class"),
)


def chosen(kinds: tuple[str, ...], only: str | None) -> list[Row]:
    """The contestants of these kinds that are named in a comma-separated list, and floors; without one all of them.

    Raises ``ValueError`` on a name unknown.
    """
    rows = [row for row in CONTESTANTS if row.kind in kinds]
    if only is None:
        return rows
    names = {name.strip() for name in only.split(",")}
    if unknown := names - {row.name for row in rows}:
        there = ", ".join(row.name for row in rows)
        raise ValueError(f"nobody at the door is called {', '.join(sorted(unknown))}; there are {there}")
    wanted = {row.kind for row in rows if row.name in names}
    return [row for row in rows if row.name in names or (row.is_floor and row.kind in wanted)]


def named(library: str) -> Contestant:
    """The library of that name."""
    return next(each for each in LIBRARIES if each.name == library)
