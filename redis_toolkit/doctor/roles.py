"""What the toolkit keeps on which server."""

from __future__ import annotations

from typing import Final

from redis_toolkit.cache.behind.counters import declared as counters
from redis_toolkit.conf import settings
from redis_toolkit.otp import problems as codes
from redis_toolkit.sessions import problems as sessions
from redis_toolkit.tokens import problems as tokens

__all__ = ["LASTING", "lasting", "roles"]

#: What is lost with a server that forgets, and cannot be loaded again.
LASTING: Final = ("sessions", "codes", "tokens")


def lasting() -> list[str]:
    """What of this project must last in Redis: "sessions", "codes", "tokens"."""
    needed = {"sessions": sessions.is_ours, "codes": codes.are_used, "tokens": tokens.are_in_redis_alone}
    return [name for name, asked in needed.items() if asked()]


def roles() -> dict[str, tuple[str, ...]]:
    """The aliases of CACHES that this project's settings send the toolkit to, each with what is kept there."""
    found: dict[str, list[str]] = {settings.ALIAS: ["cache"]}

    def keep(alias: str | None, *names: str) -> None:
        found.setdefault(alias or settings.ALIAS, []).extend(names)

    if settings.THROTTLES or settings.THROTTLE_ALIAS:
        keep(settings.THROTTLE_ALIAS, "throttles")
    if kept := lasting():
        keep(settings.DURABLE_ALIAS, *kept)
    elif settings.DURABLE_ALIAS:
        keep(settings.DURABLE_ALIAS)
    for alias in dict.fromkeys(each.link.alias for each in counters() if each.problem() is None):
        keep(alias, "write-behind")
    if getattr(settings, "STATS", False):
        keep(getattr(settings, "STATS_ALIAS", None), "stats")
    return {alias: tuple(names) for alias, names in found.items()}
