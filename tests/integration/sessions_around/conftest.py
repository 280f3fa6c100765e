"""What the tests of what stands around the sessions share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore as RowStore

from redis_toolkit.sessions import current

DJANGOS = "django.contrib.sessions.middleware.SessionMiddleware"
OURS = "redis_toolkit.sessions.middleware.SessionMiddleware"


@pytest.fixture(autouse=True)
def engine(settings: Any) -> Iterator[None]:
    """The project's sessions are ours, its middleware too, and no request is being served."""
    settings.SESSION_ENGINE = "redis_toolkit.sessions"
    settings.MIDDLEWARE = [OURS if each == DJANGOS else each for each in settings.MIDDLEWARE]
    current.forget()
    yield
    current.forget()


@pytest.fixture
def ada(db: None) -> User:
    """A user."""
    return User.objects.create_user("ada", "ada@example.com", "secret")


@pytest.fixture
def in_table(db: None) -> Callable[..., str]:
    """Begin a session with Django's database engine, of ``user`` if one is given; its key."""

    def begin(user: User | None = None, *, age: int | None = None, **given: Any) -> str:
        store = RowStore()
        if user is not None:
            store[SESSION_KEY] = str(user.pk)
            store[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
            store[HASH_SESSION_KEY] = user.get_session_auth_hash()
        store.update(given)
        if age is not None:
            store.set_expiry(age)
        store.save()
        assert store.session_key
        return store.session_key

    return begin
