"""What is wrong with throttles, as system check messages: the rules of the settings, names, proxies, the server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from redis_toolkit.conf import Settings, settings
from redis_toolkit.core.addresses import Proxies
from redis_toolkit.core.aliases import told_by, why_unusable
from redis_toolkit.exceptions import Misconfigured, StoreUnavailable
from redis_toolkit.throttling.rules import declared

__all__ = ["of_server", "of_servers", "of_settings"]

_MIDDLEWARE = "redis_toolkit.throttling.middleware.ThrottleMiddleware"


def of_settings(*, others_count: bool = False) -> Iterator[checks.CheckMessage]:
    """Settings that cannot be, each by itself, and rules that nobody asks.

    ``others_count``: whether addresses are counted by others as well.
    """
    yield from _rules()
    yield from _alias()
    yield from _view()
    yield from _proxies(others_count=others_count)


def _rules() -> Iterator[checks.CheckMessage]:
    if not Settings.THROTTLES.valid(settings.THROTTLES):
        return
    for name, words in settings.THROTTLES.items():
        try:
            declared({name: words})
        except Misconfigured as error:
            hint = "See docs/how-to/throttle.md for what a rule may have."
            yield checks.Error(str(error), hint=hint, id="redis_toolkit.E070")
    if settings.THROTTLES and _MIDDLEWARE not in settings.middleware():
        yield checks.Warning(
            "REDIS_TOOLKIT_THROTTLES has rules, and nobody asks them.",
            hint=f"Put {_MIDDLEWARE!r} into MIDDLEWARE, near the top.",
            id="redis_toolkit.W070",
        )


def _alias() -> Iterator[checks.CheckMessage]:
    alias = settings.THROTTLE_ALIAS
    if alias is None or not Settings.THROTTLE_ALIAS.valid(alias):
        return
    hint = "Add it with BACKEND 'django_redis.cache.RedisCache', or name another in REDIS_TOOLKIT_THROTTLE_ALIAS."
    if reason := why_unusable(alias):
        message = f"REDIS_TOOLKIT_THROTTLE_ALIAS is {alias!r}, {reason}."
        yield checks.Error(message, hint=hint, id="redis_toolkit.E072")


def _view() -> Iterator[checks.CheckMessage]:
    reason = ""
    if settings.THROTTLE_VIEW is not None and Settings.THROTTLE_VIEW.valid(settings.THROTTLE_VIEW):
        try:
            reason = "" if callable(import_string(settings.THROTTLE_VIEW)) else "it is no callable"
        except (ImportError, ImproperlyConfigured, ValueError) as error:
            reason = str(error)
    if reason:
        message = f"REDIS_TOOLKIT_THROTTLE_VIEW is {settings.THROTTLE_VIEW!r}, which cannot be called: {reason}"
        hint = "It is the dotted path of a callable that takes the request and the Decision, and returns a response."
        yield checks.Error(message, hint=hint, id="redis_toolkit.E073")


def _proxies(*, others_count: bool) -> Iterator[checks.CheckMessage]:
    try:
        if Settings.TRUSTED_PROXIES.valid(settings.TRUSTED_PROXIES):
            Proxies(tuple(settings.TRUSTED_PROXIES))
    except ValueError as error:
        hint = "A network as 10.0.0.0/8, an address, or 'unix' for a web server at a socket."
        yield checks.Error(f"REDIS_TOOLKIT_TRUSTED_PROXIES: {error}", hint=hint, id="redis_toolkit.E071")
    header = settings.CLIENT_HEADER
    if Settings.CLIENT_HEADER.valid(header) and "_" in header:
        # It would be looked for as HTTP_HTTP_…, or, with underscores alone, not be read as the list that it is.
        name = header.upper().removeprefix("HTTP_").replace("_", "-").title()
        yield checks.Error(
            f"REDIS_TOOLKIT_CLIENT_HEADER is {header!r}, which is no header's name but a key of request.META.",
            hint=f"Write {name!r}.",
            id="redis_toolkit.E074",
        )
    if (settings.THROTTLES or others_count) and not settings.TRUSTED_PROXIES and settings.is_behind_proxy():
        yield checks.Warning(
            "Django is told to believe a proxy's headers, and REDIS_TOOLKIT_TRUSTED_PROXIES names none: all clients"
            " have the proxy's address, and are counted as one.",
            hint="Name the addresses of your proxies in it.",
            id="redis_toolkit.W071",
        )


def of_servers() -> Iterator[checks.CheckMessage]:
    """A server that may forget what was counted. One that does not answer is passed over."""
    if not settings.THROTTLES:
        return
    try:
        told = told_by(settings.THROTTLE_ALIAS or settings.ALIAS, "memory")
    except (Misconfigured, StoreUnavailable):
        return
    yield from of_server(told)


def of_server(told: Mapping[str, str]) -> Iterator[checks.CheckMessage]:
    """The same of the throttles' server, by what INFO has told."""
    if told.get("maxmemory_policy", "").startswith("allkeys"):
        yield checks.Warning(
            "The server of the throttles may evict what was counted (maxmemory-policy allkeys-…), which is what a flood"
            " of new clients makes it do.",
            hint="Give the throttles a server that evicts nothing (noeviction), by REDIS_TOOLKIT_THROTTLE_ALIAS.",
            id="redis_toolkit.W072",
        )
