"""What happens to tokens when rows are written: users who may not log in any more lose theirs; copies are dropped."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, Final

from redis_toolkit.conf import settings
from redis_toolkit.exceptions import StoreUnavailable
from redis_toolkit.tokens import barring, rows
from redis_toolkit.tokens.revoking import revoke_all

__all__ = ["connect"]

_ID: Final = "redis_toolkit.tokens"
_log = logging.getLogger("redis_toolkit.tokens")


def connect() -> None:
    """Follow the rows of tokens, and of users where there are any. When the apps are ready."""
    from django.contrib.auth import get_user_model  # noqa: PLC0415 - needs configured settings
    from django.core.exceptions import ImproperlyConfigured  # noqa: PLC0415
    from django.db.models.signals import post_delete, post_save  # noqa: PLC0415

    from redis_toolkit.models import Token  # noqa: PLC0415

    for model in _kinds_of(Token):
        post_save.connect(_on_token_saved, sender=model, dispatch_uid=_ID)
        post_delete.connect(_on_token, sender=model, dispatch_uid=_ID)
    try:
        users = get_user_model()
    except ImproperlyConfigured:
        return
    for model in _kinds_of(users):
        post_save.connect(_on_user_saved, sender=model, dispatch_uid=_ID)
        post_delete.connect(_on_user_gone, sender=model, dispatch_uid=_ID)


def _kinds_of(model: type[Any]) -> Iterator[type[Any]]:
    """The model, and those made of it: what is saved as one of them is told of under its name alone.

    (Receivers for any model would take from Django its fast way to delete rows of all others.)
    """
    from django.apps import apps  # noqa: PLC0415

    yield from (each for each in apps.get_models() if issubclass(each, model))


def _on_token(*, instance: Any, using: str, **_: object) -> None:
    """A row was changed or deleted by other means than ours: in the admin, in a shell."""
    barring.drop_copies([instance.digest], using)


def _on_token_saved(*, instance: Any, created: bool, using: str, **_: object) -> None:
    if created:
        barring.note_new(instance.digest, using)
    else:
        _on_token(instance=instance, using=using)


def _on_user_saved(*, instance: Any, created: bool, using: str, raw: bool = False, **_: object) -> None:
    if not created and not raw and (not getattr(instance, "is_active", True) or _has_new_password(instance)):
        _end(instance, using)


def _has_new_password(user: Any) -> bool:
    """Whether ``set_password`` was called since it was saved last. Not by login, which makes old hashes anew."""
    return settings.TOKEN_ENDS_WITH_PASSWORD and getattr(user, "_password", None) is not None


def _on_user_gone(*, instance: Any, using: str, **_: object) -> None:
    # (The tokens have no foreign key to follow; and a primary key may be given to another user one day.)
    _end(instance, using)


def _end(user: Any, using: str) -> None:
    from django.db import DatabaseError  # noqa: PLC0415 - needs configured settings

    try:
        revoke_all(user)
    except (StoreUnavailable, DatabaseError) as error:
        if isinstance(error, DatabaseError) and rows.are_in(using):
            # What is done to the user and what is done to the tokens are one transaction.
            raise
        # No reason to keep the account: whether it may log in is asked on every use of a token.
        _log.error(
            "The tokens of user %s, who may not log in any more or has a new password, could not be revoked (store %r):"
            " %s",
            user.pk,
            settings.TOKEN_STORE,
            error,
        )
