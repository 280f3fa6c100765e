"""System checks of the settings. Every check has a stable id, a hint, a test and a line in the docs."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's name

from redis_toolkit.conf import PREFIX, Settings, settings

__all__ = ["check_settings"]


def check_settings(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:  # noqa: ARG001 - Django's signature
    """Unknown names, values that cannot be, and settings that do not go together."""
    return [*_unknown(), *_invalid(), *_alias(), *_lives(), *_sqlite()]


def _unknown() -> list[CheckMessage]:
    known = [setting.attribute for setting in Settings.declared()]
    found: list[CheckMessage] = []
    for name in (name for name in Settings.given() if name.removeprefix(PREFIX) not in known):
        # With the prefix that all share, any two names would be alike.
        close = get_close_matches(name.removeprefix(PREFIX), known, n=1)
        hint = f"Did you mean {PREFIX}{close[0]}?" if close else "See the settings reference for the names there are."
        found.append(Error(f"{name} is not a setting of redis_toolkit.", hint=hint, id="redis_toolkit.E001"))
    return found


def _invalid() -> list[CheckMessage]:
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
    cache = Settings.caches().get(settings.ALIAS)
    if cache is not None and "django_redis" in str(cache.get("BACKEND", "")):
        return []
    what = "is not in CACHES" if cache is None else "is not a django-redis cache"
    return [
        Error(
            f"The alias {settings.ALIAS!r} {what}.",
            hint="Add it with BACKEND 'django_redis.cache.RedisCache', or name another in REDIS_TOOLKIT_ALIAS.",
            id="redis_toolkit.E003",
        )
    ]


def _lives() -> list[CheckMessage]:
    try:
        if settings.MARK_TTL <= settings.CACHE_TTL:
            return []
    except TypeError:
        return []
    return [
        Warning(
            "REDIS_TOOLKIT_MARK_TTL is longer than REDIS_TOOLKIT_CACHE_TTL.",
            hint="A writer that dies would keep its rows out of the cache for longer than they may live there.",
            id="redis_toolkit.W001",
        )
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
