"""Every setting, once: name, type, default, meaning and validity; a file for each room.

Settings are read live: ``settings.<NAME>`` is ``REDIS_TOOLKIT_<NAME>`` of Django's settings, and ``override_settings``
is followed at once. No other package reads Django's settings.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.conf import settings as django_settings
from django.core.signals import setting_changed

from redis_toolkit.conf.cache import CacheSettings
from redis_toolkit.conf.codes import CodeSettings
from redis_toolkit.conf.events import EventSettings
from redis_toolkit.conf.sessions import SessionSettings
from redis_toolkit.conf.setting import PREFIX, Setting
from redis_toolkit.conf.stats import StatsSettings
from redis_toolkit.conf.throttling import ThrottleSettings
from redis_toolkit.conf.tokens import TokenSettings

__all__ = ["PREFIX", "Setting", "Settings", "settings"]


class Settings(
    CacheSettings, ThrottleSettings, SessionSettings, CodeSettings, TokenSettings, StatsSettings, EventSettings
):  # fmt: skip
    """The toolkit's settings, as attributes. Unknown names are an ``AttributeError`` here and a check error in use."""

    @staticmethod
    def declared() -> Iterator[Setting[object]]:
        """Every setting in the order of declaration, for checks and docs."""
        for room in Settings.__bases__:
            yield from (value for value in vars(room).values() if isinstance(value, Setting))

    @staticmethod
    def given() -> list[str]:
        """The names in Django's settings that begin like ours, known or not."""
        return sorted(name for name in dir(django_settings) if name.startswith(PREFIX))

    @staticmethod
    def caches() -> dict[str, Any]:
        """Django's ``CACHES``."""
        caches: dict[str, Any] = django_settings.CACHES
        return caches

    @staticmethod
    def databases() -> dict[str, Any]:
        """Django's ``DATABASES``."""
        databases: dict[str, Any] = django_settings.DATABASES
        return databases

    @staticmethod
    def uses_zones() -> bool:
        """Django's ``USE_TZ``."""
        return bool(django_settings.USE_TZ)

    @staticmethod
    def middleware() -> Sequence[str]:
        """Django's ``MIDDLEWARE``."""
        middleware: Sequence[str] = django_settings.MIDDLEWARE
        return middleware

    @staticmethod
    def is_behind_proxy() -> bool:
        """Whether Django is told to believe headers that a proxy sets."""
        return bool(django_settings.SECURE_PROXY_SSL_HEADER or django_settings.USE_X_FORWARDED_HOST)

    @staticmethod
    def urls() -> str | None:
        """Django's ``ROOT_URLCONF``; None in a project without one."""
        urls: str | None = getattr(django_settings, "ROOT_URLCONF", None)
        return urls

    @staticmethod
    def django(name: str) -> Any:
        """Django's own setting of that name, as it stands now."""
        return getattr(django_settings, name)


settings = Settings()


def _forget(*, setting: str, **_: object) -> None:
    if setting.startswith(PREFIX):
        vars(settings).clear()


setting_changed.connect(_forget, dispatch_uid="redis_toolkit.conf")
