"""What servers evict, and whether they keep it. Run by ``check --deploy``, for it asks them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Warning  # noqa: A004 - Django's name

from redis_toolkit.cache.behind import problems
from redis_toolkit.conf import settings
from redis_toolkit.core.aliases import told_by
from redis_toolkit.exceptions import RedisToolkitError
from redis_toolkit.throttling import problems as throttles

__all__ = ["check_server"]


def check_server(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:  # noqa: ARG001 - Django's signature
    """Servers that do not answer, or do not suit what they are used for."""
    return [
        *_cache(),
        *problems.of_servers(),
        *throttles.of_servers(),
    ]


def _cache() -> Iterator[CheckMessage]:
    try:
        policy = told_by(settings.ALIAS, "memory").get("maxmemory_policy")
    except RedisToolkitError as error:
        yield Warning(f"Redis does not answer: {error}", hint="Is LOCATION right?", id="redis_toolkit.W006")
        return
    if policy == "volatile-ttl":
        yield Warning(
            "The server evicts what expires first (volatile-ttl), and marks expire before anything else.",
            hint="Set maxmemory-policy to allkeys-lru or allkeys-lfu: a lost mark is one of the two faults that"
            " together make old answers possible.",
            id="redis_toolkit.W007",
        )
