"""What the system checks say of sessions: each provoked, each with a hint, and nothing where nothing is wrong."""

from __future__ import annotations

import pickle
import sys
from importlib.machinery import ModuleSpec
from typing import Any

import pytest
from django.core.checks import CheckMessage, Warning  # noqa: A004 - Django's name

from redis_toolkit.sessions.problems import of_deployment, of_settings
from redis_toolkit.sessions.store import SessionStore

OTHERS = "django.contrib.sessions.backends.db"
DJANGOS = "django.contrib.sessions.middleware.SessionMiddleware"
OURS = "redis_toolkit.sessions.middleware.SessionMiddleware"


@pytest.fixture(autouse=True)
def engine(settings: Any) -> None:
    """The project's sessions are ours, and its middleware too."""
    settings.SESSION_ENGINE = "redis_toolkit.sessions"
    settings.MIDDLEWARE = [OURS if each == DJANGOS else each for each in settings.MIDDLEWARE]


class Pickling:
    """A serializer as some have it."""

    def dumps(self, value: Any) -> bytes:
        return pickle.dumps(value)

    def loads(self, data: bytes) -> Any:
        return pickle.loads(data)


class TextPickles(Pickling):
    def dumps(self, value: Any) -> bytes:
        return pickle.dumps(value, 0)


class Packing:
    """Bytes that begin as pickles nearly do."""

    def dumps(self, value: Any) -> bytes:
        return b"\x81" + repr(value).encode()


def ids(found: list[CheckMessage]) -> list[str]:
    assert all(each.hint and each.msg.endswith((".", "server.")) for each in found)
    return [each.id.removeprefix("redis_toolkit.") for each in found]


def by_settings() -> list[str]:
    return ids(list(of_settings()))


def test_nothing_is_wrong(settings):
    """Our engine and our middleware, and nothing else set."""
    assert by_settings() == []


def test_nothing_is_asked_of_others(settings):
    """A project with another engine, or with one that cannot be imported, hears nothing."""
    settings.MIDDLEWARE = [DJANGOS]
    settings.SESSION_SERIALIZER = f"{__name__}.Pickling"
    for engine in (OTHERS, "nowhere.at.all", "tests.urls"):
        settings.SESSION_ENGINE = engine
        assert (by_settings(), list(of_deployment())) == ([], [])


def test_an_engine_made_of_ours_is_ours(settings, monkeypatch):
    """The engine that moves sessions, and a project's own subclass."""
    settings.MIDDLEWARE = [DJANGOS]
    settings.SESSION_ENGINE = "redis_toolkit.sessions.moving"
    assert by_settings() == ["W094"]
    monkeypatch.setattr(sys.modules[__name__], "SessionStore", type("SessionStore", (SessionStore,), {}))
    settings.SESSION_ENGINE = __name__
    assert by_settings() == ["W094"]


def test_e091(settings, monkeypatch):
    """Encryption without the package that does it, and with it."""
    settings.REDIS_TOOLKIT_SESSION_SEAL = "encrypted"
    monkeypatch.setitem(sys.modules, "cryptography", None)
    monkeypatch.setattr("redis_toolkit.sessions.problems.find_spec", lambda name: None)
    assert by_settings() == ["E091"]
    monkeypatch.setattr("redis_toolkit.sessions.problems.find_spec", lambda name: ModuleSpec(name, None))
    assert by_settings() == []


@pytest.mark.parametrize(
    ("serializer", "wanted"),
    [
        (f"{__name__}.Pickling", ["W091"]),
        (f"{__name__}.TextPickles", ["W091"]),
        (f"{__name__}.Packing", []),
        ("django.contrib.sessions.serializers.JSONSerializer", []),
        ("nowhere.Serializer", []),
    ],
)
def test_w091(settings, serializer, wanted):
    """A serializer that pickles is known by what it writes, whatever it is called."""
    settings.SESSION_SERIALIZER = serializer
    assert by_settings() == wanted


def test_w092(settings):
    """To save with each request is fine, to write with each is not."""
    settings.SESSION_SAVE_EVERY_REQUEST = True
    assert by_settings() == []
    settings.REDIS_TOOLKIT_SESSION_RENEW_SHARE = 0
    assert by_settings() == ["W092"]
    settings.SESSION_SAVE_EVERY_REQUEST = False
    assert by_settings() == []


def test_w094(settings):
    """Django's middleware in the place of ours."""
    settings.MIDDLEWARE = [DJANGOS]
    [found] = of_settings()
    assert (found.id, type(found)) == ("redis_toolkit.W094", Warning)
    assert OURS in found.hint


def test_w093(settings):
    """Sessions without an end, told of where it matters; nobody minds with another engine."""
    [found] = of_deployment()
    assert (found.id, type(found)) == ("redis_toolkit.W093", Warning)
    settings.REDIS_TOOLKIT_SESSION_ABSOLUTE_AGE = 3600
    assert list(of_deployment()) == []
    settings.REDIS_TOOLKIT_SESSION_ABSOLUTE_AGE = None
    settings.SESSION_ENGINE = OTHERS
    assert list(of_deployment()) == []


def test_w096(settings):
    """A cookie that goes over plain HTTP, where Django does not say so itself, for it sees no sessions."""
    settings.REDIS_TOOLKIT_SESSION_ABSOLUTE_AGE = 3600
    assert list(of_deployment()) == []
    settings.INSTALLED_APPS = [each for each in settings.INSTALLED_APPS if each != "django.contrib.sessions"]
    [found] = of_deployment()
    assert (found.id, type(found)) == ("redis_toolkit.W096", Warning)
    settings.MIDDLEWARE = [DJANGOS]
    assert list(of_deployment()) == []
    settings.MIDDLEWARE, settings.SESSION_COOKIE_SECURE = [OURS], True
    assert list(of_deployment()) == []
