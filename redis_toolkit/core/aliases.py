"""Where an alias of ``CACHES`` leads: whether it can be used, and what its server says."""

from __future__ import annotations

from collections.abc import Iterator

from redis_toolkit.conf import Settings
from redis_toolkit.core.connections import link, pack
from redis_toolkit.core.pools import pool_of
from redis_toolkit.exceptions import Misconfigured

__all__ = ["told_by", "why_unusable"]


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


def told_by(alias: str, *sections: str) -> dict[str, str]:
    """What INFO says in these sections, in one round trip. Raises Misconfigured, StoreUnavailable."""
    answers = link(alias).ask_many(b"".join(pack(("INFO", section)) for section in sections), len(sections))
    return dict(_pairs(answers))


def _pairs(answers: list[bytes]) -> Iterator[tuple[str, str]]:
    for line in b"\r\n".join(answers).decode("utf-8", "replace").splitlines():
        name, colon, value = line.partition(":")
        if colon:
            yield name, value
