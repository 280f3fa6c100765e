"""Settings: unknown names, values that cannot be, and settings that do not go together."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, Final

from django.apps import AppConfig, apps
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's name
from django.db import router
from django.utils.module_loading import import_string

from redis_toolkit.cache.tables import models_named
from redis_toolkit.conf import PREFIX, Settings, settings
from redis_toolkit.core.aliases import why_unusable
from redis_toolkit.core.pools import pool_of
from redis_toolkit.exceptions import Misconfigured
from redis_toolkit.otp import problems as codes
from redis_toolkit.sessions import problems as sessions
from redis_toolkit.throttling import problems as throttles
from redis_toolkit.tokens import problems as tokens

__all__ = ["check_settings", "invalid", "misnamed"]

#: Seconds. A transaction of a web request may well take this long.
SHORTEST_MARK: Final = 5


def check_settings(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:  # noqa: ARG001 - Django's signature
    """Unknown names, values that cannot be, and settings that do not go together."""
    return [
        *_unknown(),
        *invalid(),
        *_alias(),
        *misnamed(),
        *_lives(),
        *_sqlite(),
        *_replicas(),
        *_durable(),
        *_statistics(),
        *throttles.of_settings(others_count=codes.are_used()),
        *sessions.of_settings(),
        *codes.of_settings(),
        *tokens.of_settings(),
    ]


def _unknown() -> list[CheckMessage]:
    known = [setting.attribute for setting in Settings.declared()]
    found: list[CheckMessage] = []
    for name in (name for name in Settings.given() if name.removeprefix(PREFIX) not in known):
        # With the prefix that all share, any two names would be alike.
        short = name.removeprefix(PREFIX)
        close = get_close_matches(short, known, n=1) or [each for each in known if each.endswith(f"_{short}")]
        hint = f"Did you mean {PREFIX}{close[0]}?" if close else "See the settings reference for the names there are."
        found.append(Error(f"{name} is not a setting of redis_toolkit.", hint=hint, id="redis_toolkit.E001"))
    return found


def invalid() -> list[CheckMessage]:
    """Settings of which each by itself cannot be what it is."""
    return [
        Error(
            f"{setting.name} is {getattr(settings, setting.attribute)!r}.",
            hint=f"It must be {setting.must}.",
            id="redis_toolkit.E002",
        )
        for setting in Settings.declared()
        if not setting.valid(getattr(settings, setting.attribute))
    ]


def _alias() -> list[CheckMessage]:
    hint = "Add it with BACKEND 'django_redis.cache.RedisCache', or name another in REDIS_TOOLKIT_ALIAS."
    cache = Settings.caches().get(settings.ALIAS)
    if cache is None or "django_redis" not in str(cache.get("BACKEND", "")):
        what = "is not in CACHES" if cache is None else "is not a django-redis cache"
        return [Error(f"The alias {settings.ALIAS!r} {what}.", hint=hint, id="redis_toolkit.E003")]
    try:
        pool_of(settings.ALIAS)
    except Misconfigured as error:
        hint = "An address is redis://host:6379/0, rediss://… with TLS, or unix:///path."
        return [Error(str(error), hint=hint, id="redis_toolkit.E007")]
    return []


def _durable() -> list[CheckMessage]:
    alias = settings.DURABLE_ALIAS
    reason = why_unusable(alias) if alias is not None and Settings.DURABLE_ALIAS.valid(alias) else ""
    if not reason:
        return []
    hint = "Add it with BACKEND 'django_redis.cache.RedisCache', or name another in REDIS_TOOLKIT_DURABLE_ALIAS."
    return [Error(f"REDIS_TOOLKIT_DURABLE_ALIAS is {alias!r}, {reason}.", hint=hint, id="redis_toolkit.E090")]


def misnamed() -> list[CheckMessage]:
    """Settings that name a model, or whose the rows are, and name nothing."""
    found: list[CheckMessage] = []
    if Settings.WATCH.valid(settings.WATCH):
        every = [model._meta.label for model in apps.get_models()]
        for name in settings.WATCH:
            if not models_named(name):
                close = get_close_matches(name, every, n=1)
                hint = f"Did you mean {close[0]!r}?" if close else "Name it as app.Model, or by the table of a model."
                message = f"REDIS_TOOLKIT_WATCH names {name!r}, which is no model and no model's table."
                found.append(Error(message, hint=hint, id="redis_toolkit.E005"))
    if settings.TENANT is not None and Settings.TENANT.valid(settings.TENANT):
        try:
            import_string(settings.TENANT)
        except ImportError as error:
            message = f"REDIS_TOOLKIT_TENANT cannot be imported: {error}"
            hint = "It is the dotted path of a callable that takes a database alias."
            found.append(Error(message, hint=hint, id="redis_toolkit.E006"))
    return found


def _statistics() -> list[CheckMessage]:
    alias = settings.STATS_ALIAS if settings.STATS else None
    reason = why_unusable(alias) if alias is not None and Settings.STATS_ALIAS.valid(alias) else ""
    if not reason:
        return []
    message = f"REDIS_TOOLKIT_STATS_ALIAS is {alias!r}, {reason}."
    hint = "Add it with BACKEND 'django_redis.cache.RedisCache', or name another in REDIS_TOOLKIT_STATS_ALIAS."
    return [Error(message, hint=hint, id="redis_toolkit.E009")]


def _lives() -> list[CheckMessage]:
    if not (Settings.MARK_TTL.valid(settings.MARK_TTL) and Settings.CACHE_TTL.valid(settings.CACHE_TTL)):
        return []
    found: list[CheckMessage] = []
    if settings.MARK_TTL > settings.CACHE_TTL:
        found.append(
            Warning(
                "REDIS_TOOLKIT_MARK_TTL is longer than REDIS_TOOLKIT_CACHE_TTL.",
                hint="A writer that dies would keep its rows out of the cache for longer than they may live there.",
                id="redis_toolkit.W001",
            )
        )
    if settings.MARK_TTL < SHORTEST_MARK:
        found.append(
            Warning(
                f"REDIS_TOOLKIT_MARK_TTL is under {SHORTEST_MARK} seconds.",
                hint="It must be longer than any transaction: a mark that runs out before the commit lets others store"
                " what was true before it.",
                id="redis_toolkit.W004",
            )
        )
    return found


def _replicas() -> list[CheckMessage]:
    by_place: dict[tuple[str, str], list[str]] = {}
    for alias, database in Settings.databases().items():
        place = str(database.get("ENGINE", "")), str(database.get("NAME", ""))
        by_place.setdefault(place, []).append(alias)
    copies = [aliases for (engine, _), aliases in by_place.items() if len(aliases) > 1 and "sqlite3" not in engine]
    if settings.REPLICA_LAG or not copies or not router.routers:
        return []
    return [
        Warning(
            f"A router chooses among {', '.join(map(repr, aliases))}, and REDIS_TOOLKIT_REPLICA_LAG is 0.",
            hint="Reads that go to a replica are not cached. Say by how many seconds it may lag.",
            id="redis_toolkit.W005",
        )
        for aliases in copies
    ]


def _sqlite() -> list[CheckMessage]:
    return [
        Warning(
            f"DATABASES[{alias!r}] is SQLite without transaction_mode IMMEDIATE.",
            hint="Add OPTIONS {'transaction_mode': 'IMMEDIATE'}: without its lock every save of a model that declares"
            " `by` invalidates all that is cached of its table.",
            id="redis_toolkit.W002",
        )
        for alias, database in Settings.databases().items()
        if str(database.get("ENGINE", "")).endswith("sqlite3")
        and str(database.get("OPTIONS", {}).get("transaction_mode", "")).upper() not in {"IMMEDIATE", "EXCLUSIVE"}
    ]
