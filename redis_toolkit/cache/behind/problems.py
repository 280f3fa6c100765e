"""What is wrong with counters, as system check messages: their declarations, the servers that gather, the ledger."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from django.core import checks

from redis_toolkit.cache.behind import ledger
from redis_toolkit.cache.behind.counters import declared
from redis_toolkit.cache.databases import each_once
from redis_toolkit.core.aliases import told_by
from redis_toolkit.exceptions import RedisToolkitError

__all__ = ["of_databases", "of_declarations", "of_server", "of_servers"]


def of_declarations() -> Iterator[checks.CheckMessage]:
    """Counters that cannot work as they are declared."""
    for counter in declared():
        problem = counter.problem()
        if problem is not None:
            yield problem


def of_servers() -> Iterator[checks.CheckMessage]:
    """Servers that may lose what is gathered. One that does not answer is passed over."""
    for alias in dict.fromkeys(counter.link.alias for counter in declared() if counter.problem() is None):
        try:
            yield from of_server(alias, told_by(alias, "memory", "persistence"))
        except RedisToolkitError:
            continue


def of_server(alias: str, told: Mapping[str, str]) -> Iterator[checks.CheckMessage]:
    """The same of one server, by what INFO has told."""
    if told.get("maxmemory_policy", "").startswith("allkeys"):
        yield checks.Warning(
            f"The server {alias!r} gathers for WriteBehind, and may evict what was not flushed yet (allkeys-…).",
            hint="Give WriteBehind(alias=…) a server of its own with maxmemory-policy noeviction, or a volatile one:"
            " what is gathered never expires.",
            id="redis_toolkit.W030",
        )
    if told.get("aof_enabled") == "0":
        yield checks.Warning(
            f"The server {alias!r} gathers for WriteBehind, and keeps no append-only file.",
            hint="Set appendonly yes: without it a restart loses what was not flushed yet.",
            id="redis_toolkit.W031",
        )


def of_databases(aliases: list[str]) -> Iterator[checks.CheckMessage]:
    """Databases to which somebody flushes and that have no ledger."""
    needed = set(each_once(counter.database for counter in declared() if counter.problem() is None))
    for alias in aliases:
        if needed & set(each_once([alias])) and not ledger.is_there(alias):
            yield checks.Warning(
                f"The database {alias!r} has no ledger, so no WriteBehind can be flushed to it.",
                hint=f"Run manage.py migrate redis_toolkit --database={alias}.",
                id="redis_toolkit.W032",
            )
