"""What becomes of tokens when their owner's row is written, by whatever kind of it, and what that costs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, User
from django.db import DatabaseError, connections, router
from django.test.utils import CaptureQueriesContext, isolate_apps

from redis_toolkit.models import Token as Row
from redis_toolkit.tokens import authenticate, authenticate_user, make_token, receivers, tokens_for
from redis_toolkit.tokens.texts import mint

pytestmark = pytest.mark.django_db(databases="__all__")

only_rows = pytest.mark.parametrize("store", ["rows", "rows on postgres"], indirect=True)
one_store = pytest.mark.parametrize("store", ["rows"], indirect=True)


@pytest.fixture
def kinds(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[type[User], type[Row]]]:
    """A proxy of users and one of tokens, as a project's apps would have them."""
    with isolate_apps("tests.app"):

        class Staff(User):
            class Meta:
                app_label = "app"
                proxy = True

        class ShownToken(Row):
            class Meta:
                app_label = "app"
                proxy = True

    every = [*apps.get_models(), Staff, ShownToken]
    monkeypatch.setattr(apps, "get_models", lambda *_, **__: every)
    receivers.connect()
    yield Staff, ShownToken
    connect_no_more(Staff, ShownToken)


def connect_no_more(*models: type[Any]) -> None:
    from django.db.models.signals import post_delete, post_save

    for model in models:
        for signal in (post_save, post_delete):
            signal.disconnect(sender=model, dispatch_uid="redis_toolkit.tokens")


def test_deactivated_and_deleted_by_a_proxy(ada: User, kinds: Any) -> None:
    """Signals name the class that is saved: a proxy of the users ends tokens as well."""
    staff, _ = kinds
    made = make_token(ada)
    assert authenticate(made.text) is not None
    again = staff.objects.get(pk=ada.pk)
    again.is_active = False
    again.save()
    assert authenticate(made.text) is None
    assert tokens_for(ada) == []
    made = make_token(ada)
    assert authenticate(made.text) is not None
    staff.objects.get(pk=ada.pk).delete()
    assert authenticate(made.text) is None


@only_rows
def test_a_row_that_is_written_by_a_proxy(ada: User, kinds: Any) -> None:
    """Its copy is dropped at once."""
    _, shown = kinds
    made = make_token(ada)
    assert authenticate(made.text) is not None
    shown.objects.get().delete()
    assert authenticate(made.text) is None


def test_a_new_password_ends_tokens(ada: User, settings: Any) -> None:
    """By ``set_password``, as a form does it; by no other save, by no hash that login makes anew, nor if not wanted."""
    ada.set_password("first")
    ada.save()
    made = make_token(ada)
    ada.first_name = "Ada"
    ada.save()
    settings.PASSWORD_HASHERS = [
        "django.contrib.auth.hashers.ScryptPasswordHasher",
        "django.contrib.auth.hashers.MD5PasswordHasher",
    ]
    before = ada.password
    assert ada.check_password("first")
    assert ada.password != before
    assert authenticate(made.text) is not None
    settings.REDIS_TOOLKIT_TOKEN_ENDS_WITH_PASSWORD = False
    ada.set_password("second")
    ada.save()
    assert authenticate(made.text) is not None
    settings.REDIS_TOOLKIT_TOKEN_ENDS_WITH_PASSWORD = True
    ada.set_password("third")
    ada.save()
    assert authenticate(made.text) is None
    assert tokens_for(ada) == []


def test_what_it_costs(ada: User, store: str) -> None:
    """A save asks nobody; a deletion one query of who has no tokens; in Redis alone none."""
    bob = User.objects.create_user("bob")

    def queries(deed: Any) -> list[str]:
        with CaptureQueriesContext(connections[router.db_for_write(Row)]) as found:
            deed()
        return [each["sql"] for each in found if "redis_toolkit_token" in each["sql"]]

    assert queries(ada.save) == []
    assert len(queries(bob.delete)) == (store != "redis")
    assert queries(Group.objects.create(name="g").delete) == []


class TokensAtPostgres:
    """A router: tokens in a database of their own."""

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        return "postgres" if issubclass(model, Row) else None

    db_for_write = db_for_read


@one_store
@pytest.mark.django_db(databases="__all__", transaction=True)
def test_tokens_in_another_database(ada: User, settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    """They are made, known and ended there; if it is gone a user is deactivated all the same, and the log says so."""
    settings.DATABASE_ROUTERS = [TokensAtPostgres()]
    settings.REDIS_TOOLKIT_TOKEN_LIMIT = 2
    made = make_token(ada)
    assert authenticate_user(made.text) == ada
    assert Row.objects.using("postgres").count() == 1
    with connections["postgres"].schema_editor() as editor:
        editor.alter_db_table(Row, "redis_toolkit_token", "elsewhere")
    try:
        ada.is_active = False
        with caplog.at_level(logging.ERROR, "redis_toolkit.tokens"):
            ada.save()
    finally:
        with connections["postgres"].schema_editor() as editor:
            editor.alter_db_table(Row, "elsewhere", "redis_toolkit_token")
    assert "could not be revoked" in caplog.text
    assert not User.objects.get().is_active
    assert authenticate_user(made.text) is None


@only_rows
@pytest.mark.django_db(databases="__all__", transaction=True)
def test_in_the_same_database_both_or_neither(ada: User) -> None:
    """Where a user's row and the tokens' are in one database an error of the one undoes the other."""
    alias = router.db_for_write(Row)
    make_token(ada)
    with connections[alias].schema_editor() as editor:
        editor.alter_db_table(Row, "redis_toolkit_token", "elsewhere")
    try:
        with pytest.raises(DatabaseError):
            ada.delete()
    finally:
        with connections[alias].schema_editor() as editor:
            editor.alter_db_table(Row, "elsewhere", "redis_toolkit_token")
    assert User.objects.count() == 1


def test_whose(ada: User) -> None:
    """The row of something else has a primary key too: some user's. Nobody's token is made by mistake."""
    group = Group.objects.create(pk=ada.pk, name="g")
    with pytest.raises(ValueError, match="Whose token"):
        make_token(group)
    with pytest.raises(ValueError, match="Whose token"):
        make_token("a\0b")
    assert tokens_for(ada) == []
    assert authenticate(mint("rtk_live")) is None
