"""``make_token`` and ``rotate``: tokens are made here, and their texts leave the toolkit here, once."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from types import EllipsisType
from typing import Any

from asgiref.sync import sync_to_async
from django.views.decorators.debug import sensitive_variables

from redis_toolkit.conf import settings
from redis_toolkit.signals import token_made, token_revoked
from redis_toolkit.tokens import records, rows, texts
from redis_toolkit.tokens.entries import Made, Token, draft, is_handle, is_in_redis_alone, life, owner
from redis_toolkit.tokens.moments import microseconds

__all__ = ["amake_token", "arotate", "make_token", "rotate"]


@sensitive_variables("text", "made")
def make_token(
    user: Any, *, name: str = "", scopes: Iterable[str] = (), ttl: float | timedelta | EllipsisType | None = ...
) -> Made:
    """A new token of ``user`` (or of whom that primary key is). Its text is shown once: it is not kept.

    ``ttl`` in seconds or a timedelta, None for ever (``db+redis`` alone); by default ``REDIS_TOOLKIT_TOKEN_TTL``.
    With ``db+redis`` it is there when the transaction commits, and with it; Redis alone knows no transactions: there,
    make tokens when yours has committed. Raises TokenLimitReached, UnknownScope, ValueError for what cannot be,
    StoreUnavailable.
    """
    whose = owner(user)
    text = texts.mint(settings.TOKEN_PREFIX)
    plan = draft(text, whose, name, scopes, life(ttl))
    token, gone = records.put(plan) if is_in_redis_alone() else rows.put(plan)
    if gone:
        token_revoked.send_robust(sender=None, user=whose, handles=gone)
    return _made(text, token)


@sensitive_variables("text", "made")
def rotate(user: Any, handle: str, *, overlap: float | timedelta = 0) -> Made | None:
    """A new token in the place of another of ``user``, with its name, scopes and ttl; None: there is none to replace.

    The old one goes on for ``overlap`` at most (seconds or a timedelta), not renewed any more, and cannot be replaced a
    second time. Till it ends both count for ``REDIS_TOOLKIT_TOKEN_LIMIT``, which may be passed by one for this. Raises
    TokenLimitReached, ValueError, StoreUnavailable.
    """
    whose = owner(user)
    left = microseconds(overlap, "The overlap", least=0)
    if not is_handle(handle):
        return None
    text = texts.mint(settings.TOKEN_PREFIX)
    rotated = _rotated_record if is_in_redis_alone() else _rotated_row
    token = rotated(whose, handle, left, text)
    return None if token is None else _made(text, token)


def _rotated_record(whose: str, handle: str, left: int, text: str) -> Token | None:
    old = records.find(whose, handle)
    if old is None or old.token is None:
        return None
    plan = draft(text, whose, old.token.name, old.token.scopes, old.life)
    return records.replace(plan, handle, left)


def _rotated_row(whose: str, handle: str, left: int, text: str) -> Token | None:
    old = rows.find(whose, handle)
    if old is None:
        return None
    token, its_life = old
    return rows.replace(draft(text, whose, token.name, token.scopes, its_life), handle, left)


def _made(text: str, token: Token) -> Made:
    token_made.send_robust(sender=None, user=token.user_id, handle=token.handle, scopes=token.scopes)
    return Made(text, token)


amake_token = sync_to_async(make_token)
arotate = sync_to_async(rotate)
