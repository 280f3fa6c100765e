"""Sessions end when a password changes or a user is shut out; after the commit, and at no cost for other saves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client

from redis_toolkit.sessions import SessionStore, current, passwords, sessions_for
from redis_toolkit.testing import ValkeyServer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def connected() -> None:
    passwords.connect()


@pytest.fixture
def ada() -> Any:
    return User.objects.create_user("ada", password="pw")


def log_in(user: Any) -> SessionStore:
    store = SessionStore()
    store.update(
        {
            "_auth_user_id": str(user.pk),
            "_auth_user_backend": "django.contrib.auth.backends.ModelBackend",
            "_auth_user_hash": user.get_session_auth_hash(),
        }
    )
    store.save()
    current.forget()
    return store


@pytest.mark.parametrize("seal", [None, "signed", "encrypted"])
def test_a_password_is_changed(seal: str | None, ada: Any, settings: Any, ended: list[Any]) -> None:
    """All of his end, those of others do not; and not before it is certain."""
    settings.REDIS_TOOLKIT_SESSION_SEAL = seal
    bob = User.objects.create_user("bob", password="pw")
    for user in (ada, ada, bob):
        log_in(user)
    with transaction.atomic():
        ada.set_password("another")
        ada.save()
        assert len(sessions_for(ada)) == 2
    assert (len(sessions_for(ada)), len(sessions_for(bob))) == (0, 1)
    assert [(user, reason) for user, _, reason in ended] == [(str(ada.pk), "password")] * 2


def test_what_is_taken_back_ends_nothing(ada: Any) -> None:
    """A transaction that fails."""
    log_in(ada)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        ada.set_password("another")
        ada.save()
        raise ZeroDivisionError
    assert len(sessions_for(ada)) == 1


def test_other_saves(ada: Any, trips: Callable[[Callable[[], Any]], int]) -> None:
    """Cost nothing where they say what they write; two looks where they do not; and end nothing."""
    log_in(ada)
    assert trips(lambda: ada.save(update_fields=["last_login"])) == 0
    assert trips(ada.save) == 2
    assert len(sessions_for(ada)) == 1
    ada.set_password("another")
    ada.save(update_fields=["password"])
    assert sessions_for(ada) == []


def test_a_user_who_is_shut_out(ada: Any) -> None:
    """Has no sessions, whatever his password."""
    log_in(ada)
    ada.is_active = False
    ada.save(update_fields=["is_active"])
    assert sessions_for(ada) == []


@pytest.mark.parametrize("how", ["one", "many"])
def test_a_user_who_is_deleted(how: str, ada: Any, ended: list[Any]) -> None:
    """Has no sessions, when it is certain; others have."""
    bob = User.objects.create_user("bob", password="pw")
    name = str(ada.pk)
    for user in (ada, ada, bob):
        log_in(user)
    with transaction.atomic():
        (ada if how == "one" else User.objects.filter(pk=ada.pk)).delete()
        assert len(sessions_for(name)) == 2
    assert (len(sessions_for(name)), len(sessions_for(bob))) == (0, 1)
    assert [(user, reason) for user, _, reason in ended] == [(name, "revoked")] * 2


def test_a_secret_key_that_is_replaced(ada: Any, settings: Any) -> None:
    """Ends nothing: Django takes the old one too."""
    log_in(ada)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another"
    ada.save()
    assert len(sessions_for(ada)) == 1


def test_the_session_in_use_is_left(ada: Any) -> None:
    """It will have the new hash in a moment."""
    store = log_in(ada)
    log_in(ada)
    current.use(store)
    ada.set_password("another")
    ada.save()
    assert store.exists(store.session_key)
    assert len(sessions_for(ada)) == 1


def test_the_session_in_use_of_who_is_shut_out(ada: Any) -> None:
    """Ends with the others: he would come back by it when he may again."""
    current.use(log_in(ada))
    ada.is_active = False
    ada.save()
    assert sessions_for(ada) == []


def test_no_session_is_in_use_after_its_request(ada: Any, settings: Any) -> None:
    """What comes in the same thread, a task or a command, leaves none."""
    settings.ROOT_URLCONF = "tests.integration.sessions.views"
    client = Client()
    client.get("/enter/")
    ada.set_password("another")
    ada.save()
    assert sessions_for(ada) == []


def test_another_engine(ada: Any, settings: Any, trips: Callable[[Callable[[], Any]], int]) -> None:
    """Is not looked at."""
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
    ada.set_password("another")
    assert trips(ada.save) == 0
    assert trips(ada.delete) == 0


def test_redis_is_away(valkey: ValkeyServer, caplog: pytest.LogCaptureFixture) -> None:
    """The password is changed all the same, and it is told."""
    user = User.objects.create_user("ada", password="pw")
    valkey.kill()
    user.set_password("another")
    user.save()
    assert User.objects.get().check_password("another")
    assert "could not be ended" in caplog.text
    user.delete()
    assert not User.objects.exists()
    assert "who was deleted could not be ended" in caplog.text
