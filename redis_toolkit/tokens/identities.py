"""Who is counted where a throttle counts by token."""

from __future__ import annotations

from typing import Any

from django.views.decorators.debug import sensitive_variables

from redis_toolkit.conf import settings
from redis_toolkit.tokens import texts
from redis_toolkit.tokens.entries import Token

__all__ = ["text_of", "token_identity"]


def text_of(header: str) -> str | None:
    """The token in an ``Authorization`` header; None: there is none, or something else's. Nobody is asked."""
    # (Blanks alone: of what else counts as one in Python a header may have bytes of its own.)
    scheme, _, text = header.strip(" ").partition(" ")
    text = text.lstrip(" ")
    if scheme.lower() != "bearer" or not text.startswith(settings.TOKEN_PREFIX + "_"):
        return None
    return text


@sensitive_variables("text", "header", "given", "rest")
def token_identity(request: Any) -> str | None:
    """Who is counted of a request that comes with a token; None: it comes with none. Nobody is asked.

    The handle, once the token is authenticated; before that half of the text's digest, which anybody can have made up
    (36 characters with a right checksum): count by address as well there.
    """
    whole = getattr(request, "_request", request)
    token = getattr(whole, "auth", None)
    if isinstance(token, Token):
        return token.handle
    text = text_of(whole.META.get("HTTP_AUTHORIZATION", ""))
    if text is None or not texts.is_whole(text, settings.TOKEN_PREFIX):
        return None
    return texts.digest(text)[:32]
