"""API tokens: ``rtk_live_…``, of which nobody but their owner has the text.

    made = make_token(user, name="laptop", scopes=("read",))
    made.text                                        # shown once
    token = authenticate(text)                       # a Token, or None
    rotate(user, token.handle, overlap=3600); revoke(user, token.handle); revoke_all(user); tokens_for(user)

See ``redis_toolkit.contrib.drf_tokens`` for Django REST framework.
"""

from __future__ import annotations

from redis_toolkit.exceptions import TokenLimitReached, UnknownScope
from redis_toolkit.tokens.authenticating import aauthenticate, authenticate
from redis_toolkit.tokens.entries import Made, Token
from redis_toolkit.tokens.identities import token_identity
from redis_toolkit.tokens.making import amake_token, arotate, make_token, rotate
from redis_toolkit.tokens.owners import aauthenticate_user, authenticate_user, user_of
from redis_toolkit.tokens.revoking import arevoke, arevoke_all, atokens_for, revoke, revoke_all, tokens_for

__all__ = [
    "Made",
    "Token",
    "TokenLimitReached",
    "UnknownScope",
    "aauthenticate",
    "aauthenticate_user",
    "amake_token",
    "arevoke",
    "arevoke_all",
    "arotate",
    "atokens_for",
    "authenticate",
    "authenticate_user",
    "make_token",
    "revoke",
    "revoke_all",
    "rotate",
    "token_identity",
    "tokens_for",
    "user_of",
]
