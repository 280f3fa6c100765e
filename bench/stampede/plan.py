"""Who takes part in which scenario, and the times all of them are given."""

from __future__ import annotations

from dataclasses import dataclass

from bench.contestants import Contestant

__all__ = [
    "BOUND", "CONTESTANTS", "LIFE", "LOAD", "MEASURE", "OURS", "PACKAGES", "PROCESSES", "ROW", "SCENARIOS", "SOFT",
    "Pace", "chosen", "plays",
]  # fmt: skip

PROCESSES = 4
ROW = 7  # the lesson everybody asks for
LOAD = 0.05  # seconds its query takes
LIFE = 60  # seconds an entry may live: longer than any stampede lasts
SOFT = 2  # seconds it is fresh, where it has two times
BOUND = 2  # seconds nobody should wait longer than when the loader dies, and a lock stands if one may say
MEASURE = "ours"  # whose times the others' are compared with
OURS = (MEASURE, "ours-function")
SCENARIOS = ("present", "expired", "invalidated", "servable", "killed")
PACKAGES = ("dogpile.cache", "cashews")


@dataclass(frozen=True, slots=True)
class Pace:
    """How many callers each process has, how often everything is played, and when a caller is given up (seconds)."""

    callers: int
    rounds: int
    patience: float


_OF_THE_ORM = ("present", "expired", "invalidated", "killed")
_OF_KEYS = ("present", "expired", "servable", "killed")

CONTESTANTS = tuple(
    Contestant(name, title, reader, "postgres", scenarios, needs)
    for name, title, reader, scenarios, needs in (
        (MEASURE, "redis_toolkit", "Ours", SCENARIOS, ("redis_toolkit.cache",)),
        ("ours-function", "redis_toolkit, @cached", "OursFunction", SCENARIOS, ("redis_toolkit.cache",)),
        ("cacheops", "django-cacheops", "Cacheops", _OF_THE_ORM, ("cacheops",)),
        ("cacheops-lock", "django-cacheops, lock=True", "CacheopsLock", _OF_THE_ORM, ("cacheops",)),
        ("cachalot", "django-cachalot", "Cachalot", _OF_THE_ORM, ("cachalot",)),
        ("dogpile", "dogpile.cache, distributed lock", "Dogpile", _OF_KEYS, ("dogpile",)),
        ("cashews", "cashews, lock=True", "Cashews", _OF_KEYS, ("cashews",)),
        ("floor", "a bare GET by redis-py", "Floor", ("present",), ()),
        ("django", "Django, get_or_set", "GetOrSet", ("present", "expired", "killed"), ()),
    )
)


def chosen(only: str | None) -> list[Contestant]:
    """The contestants named in a comma-separated list; without one all of them.

    Raises ``ValueError`` on a name unknown.
    """
    names = None if only is None else {name.strip() for name in only.split(",")}
    if names is not None and (unknown := names - {contestant.name for contestant in CONTESTANTS}):
        there = ", ".join(contestant.name for contestant in CONTESTANTS)
        raise ValueError(f"no contestant of the stampede is called {', '.join(sorted(unknown))}; there are {there}")
    return [contestant for contestant in CONTESTANTS if names is None or contestant.name in names]


def plays(only: str | None) -> list[str]:
    """The scenarios named in a comma-separated list; without one all of them. Raises ``ValueError`` likewise."""
    names = set(SCENARIOS) if only is None else {name.strip() for name in only.split(",")}
    if unknown := names - set(SCENARIOS):
        raise ValueError(f"no scenario is called {', '.join(sorted(unknown))}; there are {', '.join(SCENARIOS)}")
    return [scenario for scenario in SCENARIOS if scenario in names]
