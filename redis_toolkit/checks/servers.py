"""What servers evict, whether they keep what they are told, and who else empties them. Run by ``check --deploy``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Warning  # noqa: A004 - Django's name

from redis_toolkit.cache.behind import problems
from redis_toolkit.conf import settings
from redis_toolkit.core.aliases import told_by
from redis_toolkit.doctor.lasting import evicts_marks, forgets
from redis_toolkit.doctor.roles import lasting
from redis_toolkit.exceptions import Misconfigured, RedisToolkitError, StoreUnavailable
from redis_toolkit.otp import problems as codes
from redis_toolkit.sessions import problems as sessions
from redis_toolkit.throttling import problems as throttles

__all__ = ["check_server"]


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
        told = told_by(settings.ALIAS, "memory")
    except RedisToolkitError as error:
        yield _silent(error)
        return
    yield from evicts_marks(told)


def _silent(error: Exception) -> CheckMessage:
    return Warning(f"Redis does not answer: {error}", hint="Is LOCATION right?", id="redis_toolkit.W006")


def _durable() -> Iterator[CheckMessage]:
    """The server of sessions, codes and tokens."""
    kept = lasting()
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
    yield from forgets(alias, kept, told)
