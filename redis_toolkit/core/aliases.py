"""Where an alias of ``CACHES`` leads: whether it can be used, to which server and database, and what that one says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from redis.connection import parse_url

from redis_toolkit.conf import Settings
from redis_toolkit.core.connections import link, pack
from redis_toolkit.core.pools import pool_of
from redis_toolkit.exceptions import Misconfigured

__all__ = ["place_of", "told_by", "why_unusable"]

Place = tuple[Any, ...]


def why_unusable(alias: str) -> str:
    """Why Redis cannot be reached through ``alias``, as a clause that begins with "which"; empty: it can."""
    cache = Settings.caches().get(alias)
    if cache is None:
        return "which is not in CACHES"
    if "django_redis" not in str(cache.get("BACKEND", "")):
        return "which is not a django-redis cache"
    try:
        pool_of(alias)
    except Misconfigured as error:
        return f"which cannot be used: {error}".rstrip(".")
    return ""


def place_of(alias: str) -> Place | None:
    """Server and database of a cache in Redis, by its address; None for another, and for one without an address."""
    cache = Settings.caches().get(alias) or {}
    backend, location = str(cache.get("BACKEND", "")), cache.get("LOCATION")
    try:
        if "django_redis" in backend:
            found = dict(pool_of(alias).connection_kwargs)
        elif "RedisCache" in backend:
            # Django's own takes several, the first of which it writes to.
            first = location if isinstance(location, str) else next(iter(location or ()), "")
            found = dict(parse_url(first.partition(",")[0]))
        else:
            return None
    except (Misconfigured, ValueError):
        return None
    host = {"localhost": "127.0.0.1", "::1": "127.0.0.1"}.get(str(found.get("host")), found.get("host"))
    where = (found["path"],) if "path" in found else (host or "127.0.0.1", int(found.get("port") or 6379))
    return (*where, int(found.get("db") or 0))


def told_by(alias: str, *sections: str) -> dict[str, str]:
    """What INFO says in these sections, in one round trip. Raises Misconfigured, StoreUnavailable."""
    answers = link(alias).ask_many(b"".join(pack(("INFO", section)) for section in sections), len(sections))
    return dict(_pairs(answers))


def _pairs(answers: list[bytes]) -> Iterator[tuple[str, str]]:
    for line in b"\r\n".join(answers).decode("utf-8", "replace").splitlines():
        name, colon, value = line.partition(":")
        if colon:
            yield name, value
