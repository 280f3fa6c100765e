"""System checks of the settings. Every check has a stable id, a hint, a test and a line in the docs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import Any, Final

from django.apps import AppConfig, apps
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's name
from django.core.exceptions import ImproperlyConfigured
from django.db import connections, router
from django.utils.module_loading import import_string

from redis_toolkit.cache import memos, outbox
from redis_toolkit.cache.behind import problems
from redis_toolkit.cache.declarations import why_never_cached
from redis_toolkit.cache.tables import models_named
from redis_toolkit.conf import PREFIX, Settings, settings
from redis_toolkit.core.connections import link, pack, pool_of
from redis_toolkit.exceptions import Misconfigured, RedisToolkitError
from redis_toolkit.throttling import problems as throttles

__all__ = ["check_databases", "check_models", "check_server", "check_settings"]

#: The table of a database on which anything was ever migrated.
_MIGRATIONS: Final = "django_migrations"
#: Seconds. A transaction of a web request may well take this long.
SHORTEST_MARK: Final = 5


def check_settings(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:  # noqa: ARG001 - Django's signature
    """Unknown names, values that cannot be, and settings that do not go together."""
    return [
        *_unknown(),
        *_invalid(),
        *_alias(),
        *_names(),
        *_lives(),
        *_sqlite(),
        *_replicas(),
        *throttles.of_settings(),
    ]


def check_models(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """Managers and functions that are asked for cached answers and can give none."""
    if _invalid() or _names():
        # First these have to be right: what is cached, and of which tenant, cannot be told with them.
        return []
    return [*_managers(app_configs), *_functions(), *_warm(), *_refresher(), *problems.of_declarations()]


def check_databases(
    app_configs: Sequence[AppConfig] | None,  # noqa: ARG001 - Django's signature
    databases: Sequence[str] | None = None,
    **_: Any,
) -> list[CheckMessage]:
    """Databases without the toolkit's tables. Run by ``check --database``, as all that looks into databases."""
    # (`migrate` asks this, too, ahead of its first run.)
    migrated = [
        alias for alias in databases or () if _MIGRATIONS in connections[alias].introspection.table_names()
    ]  # fmt: skip
    found: list[CheckMessage] = [
        Warning(
            f"The database {alias!r} has no outbox.",
            hint=f"Run manage.py migrate redis_toolkit --database={alias}. Without it, what was written while Redis was"
            " away is known to the writing process alone.",
            id="redis_toolkit.W003",
        )
        for alias in migrated
        if not outbox.is_there(connections[alias])
    ]
    return [*found, *problems.of_databases(migrated)]


def check_server(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:  # noqa: ARG001 - Django's signature
    """What servers evict, and whether they keep it. Run by ``check --deploy``, for it asks them."""
    try:
        info = link().ask(pack(("INFO", "memory"))).decode()
    except RedisToolkitError as error:
        return [Warning(f"Redis does not answer: {error}", hint="Is LOCATION right?", id="redis_toolkit.W006")]
    if "maxmemory_policy:volatile-ttl" not in info:
        return [*problems.of_servers(), *throttles.of_servers()]
    return [
        *problems.of_servers(),
        *throttles.of_servers(),
        Warning(
            "The server evicts what expires first (volatile-ttl), and marks expire before anything else.",
            hint="Set maxmemory-policy to allkeys-lru or allkeys-lfu: a lost mark is one of the two faults that"
            " together make old answers possible.",
            id="redis_toolkit.W007",
        ),
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


def _names() -> list[CheckMessage]:
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


def _warm() -> list[CheckMessage]:
    found: list[CheckMessage] = []
    for name in settings.WARM if Settings.WARM.valid(settings.WARM) else ():
        try:
            reason = "" if callable(import_string(name)) else "it is no callable"
        except ImportError as error:
            reason = str(error)
        if reason:
            message = f"REDIS_TOOLKIT_WARM names {name!r}, which cannot be called: {reason}"
            hint = "It is the dotted path of a callable without arguments that returns or yields cached querysets."
            found.append(Error(message, hint=hint, id="redis_toolkit.E060"))
    return found


def _refresher() -> list[CheckMessage]:
    reason = ""
    if settings.REFRESHER is not None and Settings.REFRESHER.valid(settings.REFRESHER):
        try:
            reason = "" if callable(import_string(settings.REFRESHER)) else "it is no callable"
        except (ImportError, ImproperlyConfigured, ValueError) as error:
            reason = str(error)
    if not reason:
        return []
    message = f"REDIS_TOOLKIT_REFRESHER is {settings.REFRESHER!r}, which cannot be called: {reason}"
    hint = (
        "It is the dotted path of a callable that takes a text. django.tasks needs Django 6.0, ours for Celery Celery."
    )
    return [Error(message, hint=hint, id="redis_toolkit.E061")]


def _managers(app_configs: Sequence[AppConfig] | None) -> Iterator[CheckMessage]:
    told = set()
    for model in apps.get_models() if app_configs is None else (m for app in app_configs for m in app.get_models()):
        options = model._meta
        for manager in () if options.swapped else options.managers:
            reason = why_never_cached(manager)
            # A proxy has the managers of its model, and may have an ordering of its own.
            finding = options.concrete_model, manager.name, reason
            if reason is not None and finding not in told:
                told.add(finding)
                yield Warning(
                    f"What {options.label}.{manager.name} lists is never cached: {reason}.",
                    hint="Make the manager a CacheManager; name a table that is no database view in"
                    " REDIS_TOOLKIT_WATCH; or let Meta.ordering and get_queryset() ask for less.",
                    obj=model,
                    id="redis_toolkit.W008",
                )


def _functions() -> list[CheckMessage]:
    urls = Settings.urls()
    if urls:
        # Views bring their functions along; Django's own check of URLs, which does this too, may come after ours.
        import_module(urls)
    hint = "Its first call would raise this."
    return [Error(refusal, hint=hint, id="redis_toolkit.E008") for refusal in memos.refusals()]


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
