"""Cursors: where a page ended, as text for an address. Signed, so that only what was given out comes back.

A cursor is the values by which a list is sorted, of the last row of a page: whoever holds it may read them, and they
stood on the page. The signature (HMAC by ``SECRET_KEY``) names the model and the columns, so that a cursor of another
list, or of the same one before its columns changed, is refused as any forged one is.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any, Final

from django.core.signing import BadSignature, Signer

from redis_toolkit.cache.orderings import Ordering
from redis_toolkit.core.codecs import decode_value, encode_value
from redis_toolkit.core.keys import digest
from redis_toolkit.exceptions import BadCursor, CodecError

__all__ = ["read", "write"]

_SALT: Final = "redis_toolkit.cursor"


def write(ordering: Ordering, point: list[Any]) -> str:
    """The cursor for ``point``: letters, digits and ``- _ .`` only."""
    body = urlsafe_b64encode(encode_value(point)).rstrip(b"=").decode()
    return _signer(ordering).sign(body)


def read(ordering: Ordering, cursor: str) -> list[Any]:
    """The point that :func:`write` wrote down. Raises BadCursor."""
    try:
        body = _signer(ordering).unsign(cursor)
        point = decode_value(urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (BadSignature, CodecError, ValueError, AttributeError, TypeError) as error:
        raise BadCursor from error
    if type(point) is not list or len(point) != len(ordering.columns):
        raise BadCursor
    return point


def _signer(ordering: Ordering) -> Signer:
    return Signer(salt=f"{_SALT}.{digest(ordering.signature.encode())}", sep=".")
