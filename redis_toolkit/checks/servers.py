"""What servers evict, whether they keep what they are told, and who else empties them. Run by ``check --deploy``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from django.apps import AppConfig
from django.core.checks import CheckMessage, Warning  # noqa: A004 - Django's name

from redis_toolkit.cache.behind import problems
from redis_toolkit.conf import Settings, settings
from redis_toolkit.core.aliases import place_of, told_by
from redis_toolkit.exceptions import Misconfigured, RedisToolkitError, StoreUnavailable
from redis_toolkit.otp import problems as codes
from redis_toolkit.sessions import problems as sessions
from redis_toolkit.throttling import problems as throttles
from redis_toolkit.tokens import problems as tokens

__all__ = ["check_server"]

#: What is lost with a server that forgets, by what it keeps.
_AT_STAKE: Final = {
    "sessions": "who was logged in is logged out",
    "codes": "codes that were sent are refused, and can be guessed at again",
    "tokens": "API tokens are refused",
}
_CURE: Final = (
    "Name a cache with a server of its own in REDIS_TOOLKIT_DURABLE_ALIAS, with maxmemory-policy noeviction and"
    " appendonly yes, and have nobody call clear() on it."
)


def check_server(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:  # noqa: ARG001 - Django's signature
    """Servers that do not answer, or do not suit what they are used for."""
    return [
        *_cache(),
        *problems.of_servers(),
        *throttles.of_servers(),
        *sessions.of_deployment(),
        *codes.of_deployment(),
        *_durable(),
    ]


def _cache() -> Iterator[CheckMessage]:
    try:
        policy = told_by(settings.ALIAS, "memory").get("maxmemory_policy")
    except RedisToolkitError as error:
        yield _silent(error)
        return
    if policy == "volatile-ttl":
        yield Warning(
            "The server evicts what expires first (volatile-ttl), and marks expire before anything else.",
            hint="Set maxmemory-policy to allkeys-lru or allkeys-lfu: a lost mark is one of the two faults that"
            " together make old answers possible.",
            id="redis_toolkit.W007",
        )


def _silent(error: Exception) -> CheckMessage:
    return Warning(f"Redis does not answer: {error}", hint="Is LOCATION right?", id="redis_toolkit.W006")


def _durable() -> Iterator[CheckMessage]:
    """The server of sessions, codes and tokens."""
    needed = {"sessions": sessions.is_ours, "codes": codes.are_used, "tokens": tokens.are_in_redis_alone}
    kept = [name for name, asked in needed.items() if asked()]
    if not kept:
        return
    alias = settings.DURABLE_ALIAS or settings.ALIAS
    try:
        told = told_by(alias, "memory", "persistence")
    except Misconfigured:
        return
    except StoreUnavailable as error:
        if alias != settings.ALIAS:
            yield _silent(error)
        return
    # A sentence, of which each clause begins small.
    stake = "; ".join(_AT_STAKE[name] for name in kept)
    stake = stake[:1].upper() + stake[1:]
    who = f"The server of {' and '.join(kept)} ({alias!r} in CACHES)"
    reasons = []
    if sharing := _sharing(alias):
        reasons.append(f"is emptied by clear() of {' and '.join(map(repr, sharing))} in CACHES")
    if (policy := told.get("maxmemory_policy", "noeviction")) != "noeviction":
        reasons.append(f"may evict what it holds (maxmemory-policy {policy})")
    if reasons:
        yield Warning(f"{who} {', and '.join(reasons)}. {stake}.", hint=_CURE, id="redis_toolkit.W090")
    if told.get("aof_enabled") == "0":
        yield Warning(
            f"{who} keeps no log of what is written to it. When it starts again, what it kept is gone, or as it was in"
            " the last snapshot: what was ended or revoked since comes back to life.",
            hint="Set appendonly yes in its configuration; and appendfsync always where not even what was ended in the"
            " last second may come back.",
            id="redis_toolkit.W095",
        )


def _sharing(alias: str) -> list[str]:
    """The caches whose clear() empties the database of ``alias``, itself among them where it is the toolkit's cache."""
    place = place_of(alias)
    named = [each for each in Settings.caches() if each != alias and place is not None and place_of(each) == place]
    return [alias, *named] if settings.DURABLE_ALIAS in {None, settings.ALIAS} else named
