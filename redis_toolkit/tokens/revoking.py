"""``tokens_for``, ``revoke`` and ``revoke_all``: a user's tokens, listed and ended by their handles."""

from __future__ import annotations

from typing import Any

from asgiref.sync import sync_to_async

from redis_toolkit.signals import token_revoked
from redis_toolkit.tokens import records, rows
from redis_toolkit.tokens.entries import Token, is_handle, is_in_redis_alone, owner

__all__ = ["arevoke", "arevoke_all", "atokens_for", "revoke", "revoke_all", "tokens_for"]


def tokens_for(user: Any) -> list[Token]:
    """The tokens of ``user`` that have not ended, the oldest first. Raises StoreUnavailable (store ``redis``)."""
    whose = owner(user)
    if is_in_redis_alone():
        return sorted(records.mend(whose), key=lambda token: (token.created, token.handle))
    return rows.listed(whose)


def revoke(user: Any, handle: str) -> bool:
    """End a token of ``user`` at once. Whether there was one with that handle.

    Raises StoreUnavailable (store ``redis``). With ``db+redis`` its row is gone even while Redis is away; who does
    reach Redis may be let in for ``REDIS_TOOLKIT_TOKEN_CACHE_TTL`` seconds more then, and the log says so.
    """
    return is_handle(handle) and bool(_revoke(user, {handle}, None))


def revoke_all(user: Any, *, keep: Token | str | None = None) -> int:
    """End all tokens of ``user``, but for ``keep`` (a token or its handle). How many there were. Raises as above.

    One that is put in the place of another meanwhile ends, too.
    """
    return len(_revoke(user, None, keep.handle if isinstance(keep, Token) else keep))


def _revoke(user: Any, handles: set[str] | None, keep: str | None) -> tuple[str, ...]:
    whose = owner(user)
    end = records.revoke if is_in_redis_alone() else rows.revoke
    gone = end(whose, handles, keep=keep)
    if gone:
        token_revoked.send_robust(sender=None, user=whose, handles=gone)
    return gone


atokens_for = sync_to_async(tokens_for)
arevoke = sync_to_async(revoke)
arevoke_all = sync_to_async(revoke_all)
