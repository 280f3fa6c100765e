"""Managers and functions that are asked for cached answers and can give none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any

from django.apps import AppConfig, apps
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's name
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from redis_toolkit.cache import memos
from redis_toolkit.cache.behind import problems
from redis_toolkit.cache.declarations import why_never_cached
from redis_toolkit.checks.settings import invalid, misnamed
from redis_toolkit.conf import Settings, settings

__all__ = ["check_models"]


def check_models(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """Managers and functions that are asked for cached answers and can give none."""
    if invalid() or misnamed():
        # First these have to be right: what is cached, and of which tenant, cannot be told with them.
        return []
    return [*_managers(app_configs), *_functions(), *_warm(), *_workers(), *problems.of_declarations()]


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


def _workers() -> Iterator[CheckMessage]:
    """What is to tell a worker, and cannot be called."""
    hint = "It is the dotted path of a callable that takes {}. django.tasks needs Django 6.0, ours for Celery Celery."
    if message := _uncallable("REFRESHER"):
        yield Error(message, hint=hint.format("a text"), id="redis_toolkit.E061")
    if message := _uncallable("WARMER"):
        yield Error(message, hint=hint.format("names and models"), id="redis_toolkit.E062")


def _uncallable(name: str) -> str:
    path, reason = getattr(settings, name), ""
    if path is not None and getattr(Settings, name).valid(path):
        try:
            reason = "" if callable(import_string(path)) else "it is no callable"
        except (ImportError, ImproperlyConfigured, ValueError) as error:
            reason = str(error)
    return reason and f"REDIS_TOOLKIT_{name} is {path!r}, which cannot be called: {reason}"


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
