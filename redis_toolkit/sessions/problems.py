"""What is wrong with sessions, as system check messages, in a project whose ``SESSION_ENGINE`` is ours."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import Final

from django.core import checks
from django.utils.module_loading import import_string

from redis_toolkit.conf import settings
from redis_toolkit.sessions.store import SessionStore

__all__ = ["is_ours", "of_deployment", "of_settings"]

_OURS: Final = "redis_toolkit.sessions.middleware.SessionMiddleware"
_DJANGOS: Final = "django.contrib.sessions.middleware.SessionMiddleware"
#: How pickles begin: by the protocols from 2 on, and by those that are text. (JSON begins with a brace.)
_PICKLES: Final = (b"\x80", b"(dp", b"}q")


def is_ours() -> bool:
    """Whether the project's sessions are ours, or of an engine made of ours."""
    try:
        store = import_module(settings.django("SESSION_ENGINE")).SessionStore
    except (ImportError, AttributeError):
        # Django says so itself, on the first request.
        return False
    return isinstance(store, type) and issubclass(store, SessionStore)


def of_settings() -> Iterator[checks.CheckMessage]:
    """Settings that cannot be, each by itself, and what does not go with our sessions."""
    if is_ours():
        yield from _seal()
        yield from _serializer()
        yield from _saving()
        yield from _middleware()


def _seal() -> Iterator[checks.CheckMessage]:
    if settings.SESSION_SEAL == "encrypted" and find_spec("cryptography") is None:
        yield checks.Error(
            "REDIS_TOOLKIT_SESSION_SEAL is 'encrypted', and the package cryptography is not installed.",
            hint="Install it (pip install cryptography), or let the seal be 'signed'.",
            id="redis_toolkit.E091",
        )


def _serializer() -> Iterator[checks.CheckMessage]:
    name = settings.django("SESSION_SERIALIZER")
    try:
        written = import_string(name)().dumps({"a": 1})
    except (ImportError, TypeError, ValueError):
        # Django says so itself, on the first request.
        return
    if "pickle" in name.lower() or bytes(written[:3]).startswith(_PICKLES):
        yield checks.Warning(
            f"SESSION_SERIALIZER is {name!r}, which makes pickles: who can write to Redis can run what he likes here.",
            hint="Use 'django.contrib.sessions.serializers.JSONSerializer', or see to it that nobody can make up what"
            " is loaded: REDIS_TOOLKIT_SESSION_SEAL = 'signed'.",
            id="redis_toolkit.W091",
        )


def _saving() -> Iterator[checks.CheckMessage]:
    if settings.django("SESSION_SAVE_EVERY_REQUEST") and settings.SESSION_RENEW_SHARE == 0:
        yield checks.Warning(
            "SESSION_SAVE_EVERY_REQUEST is True and REDIS_TOOLKIT_SESSION_RENEW_SHARE is 0: each request writes to its"
            " session, be it unchanged.",
            hint="With a share of 0.1 a session is made longer when a tenth of its life has gone.",
            id="redis_toolkit.W092",
        )


def _middleware() -> Iterator[checks.CheckMessage]:
    if _DJANGOS in settings.middleware():
        yield checks.Warning(
            "MIDDLEWARE has Django's SessionMiddleware: while Redis is away, what it reads and saves is a 500, not a"
            " 503.",
            hint=f"Put {_OURS!r} in its place.",
            id="redis_toolkit.W094",
        )


def of_deployment() -> Iterator[checks.CheckMessage]:
    """What matters where sessions are real: their age, and their cookie. For ``check --deploy``."""
    if not is_ours():
        return
    if not settings.django("SESSION_COOKIE_SECURE") and not _is_asked_by_django():
        yield checks.Warning(
            "SESSION_COOKIE_SECURE is False: the cookie of a session goes over plain HTTP as well, where it can be"
            " stolen.",
            hint="Set it to True.",
            id="redis_toolkit.W096",
        )
    if settings.SESSION_ABSOLUTE_AGE is None:
        yield checks.Warning(
            "Sessions have no end (REDIS_TOOLKIT_SESSION_ABSOLUTE_AGE is None): one that was stolen lasts for as"
            " long as it is used.",
            hint="Say after how many seconds one has to log in again: 30 * 24 * 3600, or 12 * 3600 where much is at"
            " stake.",
            id="redis_toolkit.W093",
        )


def _is_asked_by_django() -> bool:
    """Whether Django's own check of the cookie knows that there are sessions: by its app, or by its middleware."""
    from django.apps import apps  # noqa: PLC0415 - needs configured settings

    return apps.is_installed("django.contrib.sessions") or _DJANGOS in settings.middleware()
