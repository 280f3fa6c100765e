"""Whose a token is, as a user: one that may still log in, asked on every use."""

from __future__ import annotations

from typing import Any

from asgiref.sync import sync_to_async
from django.views.decorators.debug import sensitive_variables

from redis_toolkit.tokens.authenticating import aauthenticate, authenticate, refuse
from redis_toolkit.tokens.entries import Token

__all__ = ["aauthenticate_user", "authenticate_user", "user_of"]


@sensitive_variables("text", "given", "rest")
def authenticate_user(text: str) -> Any | None:
    """The user whose token ``text`` is, if they may log in (``is_active``); else None, and ``token_refused`` says why.

    One query beyond :func:`authenticate`, whose errors it raises.
    """
    token = authenticate(text)
    return None if token is None else user_of(token)


@sensitive_variables("text", "given", "rest")
async def aauthenticate_user(text: str) -> Any | None:
    """:func:`authenticate_user` for coroutines."""
    token = await aauthenticate(text)
    return None if token is None else await sync_to_async(user_of)(token)


def user_of(token: Token) -> Any | None:
    """The user of a token, if there is one who may log in; else None. One query."""
    from django.contrib.auth import get_user_model  # noqa: PLC0415 - needs configured settings
    from django.core.exceptions import ValidationError  # noqa: PLC0415

    users = get_user_model()._default_manager
    try:
        user = users.filter(pk=token.user_id).first()
    except (TypeError, ValueError, ValidationError):
        # A token of another kind of users: the model's primary keys are not written like this.
        user = None
    if user is None or not getattr(user, "is_active", True):
        refuse("inactive")
        return None
    return user
