"""Who takes part: a contestant is a line of this table, a reader (``readers.py``) and settings (``settings.py``)."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

__all__ = ["CASES", "CONTESTANTS", "HITS", "REFERENCE", "Contestant", "chosen"]

HITS = ("get", "week", "count", "in_bulk")
CASES = (*HITS, "miss", "save")
REFERENCE = "django-sqlite"  # its answers are the right ones, so it always takes part


@dataclass(frozen=True, slots=True)
class Contestant:
    """One way of reading lessons, to be run in a process of its own."""

    name: str
    title: str
    reader: str
    database: str = "sqlite"
    cases: tuple[str, ...] = CASES
    needs: tuple[str, ...] = ()
    caches: bool = True

    @property
    def absent(self) -> list[str]:
        """The modules it needs and this environment lacks."""
        return [module for module in self.needs if find_spec(module) is None]

    @property
    def weighed(self) -> bool:
        """Whether what it keeps in Redis is measured: once for each cache, whatever database is behind it."""
        return self.caches and "get" in self.cases


_EXTRAS = ("miss", "save")

CONTESTANTS = (
    Contestant("ours", "redis_toolkit", "CachedReader", needs=("redis_toolkit.cache",)),
    Contestant("redis-get", "redis-py GET", "BareReader", cases=HITS),
    Contestant("redis-pickle", "redis-py GET + pickle.loads", "PickleReader"),
    Contestant("django-redis", "django-redis cache.get", "DjangoRedisReader"),
    Contestant("cacheops", "django-cacheops", "Reader", needs=("cacheops",)),
    Contestant("cachalot", "django-cachalot", "Reader", needs=("cachalot",)),
    Contestant(REFERENCE, "Django, SQLite", "Reader", caches=False),
    Contestant("django-postgres", "Django, PostgreSQL", "Reader", "postgres", needs=("psycopg",), caches=False),
    Contestant(
        "ours-postgres", "redis_toolkit, PostgreSQL", "CachedReader", "postgres", _EXTRAS, ("redis_toolkit.cache",)
    ),
    Contestant("cacheops-postgres", "django-cacheops, PostgreSQL", "Reader", "postgres", _EXTRAS, ("cacheops",)),
    Contestant("cachalot-postgres", "django-cachalot, PostgreSQL", "Reader", "postgres", _EXTRAS, ("cachalot",)),
)


def chosen(only: str | None, *, brief: bool = False) -> list[Contestant]:
    """The contestants named in a comma-separated list; without one all of them, or if ``brief`` those who do hits.

    Raises ``ValueError`` on a name unknown.
    """
    if only is None:
        return [contestant for contestant in CONTESTANTS if not brief or contestant.cases != _EXTRAS]
    names = {name.strip() for name in only.split(",")}
    unknown = names - {contestant.name for contestant in CONTESTANTS}
    if unknown:
        known = ", ".join(contestant.name for contestant in CONTESTANTS)
        message = f"no contestant is called {', '.join(sorted(unknown))}; there are {known}"
        raise ValueError(message)
    return [contestant for contestant in CONTESTANTS if contestant.name in names | {REFERENCE}]
