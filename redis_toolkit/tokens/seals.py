"""Seals: that what Redis has of a token was written by who knows ``SECRET_KEY``.

A digest is all it takes to find a token, so who may write to Redis could write one down for themselves, of any user and
with any scope. So a record ends with a MAC of what it says: whose it is, its scopes, when it was made, how long it may
live; of a row's copy also till when it is good. A record that is not sealed is nobody's token.

What is not sealed is what the scripts write: the last use, and the end, which is believed up to what the seal allows.
Who writes to Redis can still put a record back that was there before: a copy of a row is good for
``REDIS_TOOLKIT_TOKEN_CACHE_TTL`` then, a token that Redis alone keeps for as long as it would have lived. And they can
take away what is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from hmac import compare_digest
from operator import itemgetter
from typing import Final

from django.core.signals import setting_changed
from django.utils.crypto import salted_hmac

from redis_toolkit.conf import settings
from redis_toolkit.tokens.entries import Token, read

__all__ = ["FIELDS", "seal", "unseal"]

#: Of a record, in their order: see token_take.lua.
FIELDS: Final = ("u", "h", "n", "s", "c", "e", "l", "t", "a", "g", "m")
_SEALED: Final = itemgetter(0, 1, 2, 3, 4, 7, 8, 9)
_derived: tuple[bytes, ...] = ()


def seal(digest: str, fields: Sequence[str]) -> str:
    """The seal of a record's fields up to ``g``: 32 hexadecimal digits."""
    # (None of the fields may have a NUL in it, so a text with eight can be parted in one way: CVE-2026-6873.)
    return _mac(_keys()[0], b"\0".join([digest.encode(), *(each.encode() for each in _SEALED(fields))]))


def unseal(digest: str, fields: Sequence[bytes | None], *, is_copy: bool) -> Token | None:
    """The token of which these are the fields: of a row's copy, or of a record that Redis alone keeps.

    None: they are not sealed, by ``SECRET_KEY`` or one of ``SECRET_KEY_FALLBACKS``.
    """
    known = [each for each in fields if each is not None]
    if len(known) != len(FIELDS) or not _is_sealed(digest, known, is_copy=is_copy):
        return None
    try:
        return read(known)
    except ValueError:
        # (The last use, or the end: somebody else has written it.)
        return None


def _is_sealed(digest: str, known: Sequence[bytes], *, is_copy: bool) -> bool:
    message = b"\0".join([digest.encode(), *_SEALED(known)])
    for key in _keys():
        if compare_digest(_mac(key, message).encode(), known[10]):
            break
    else:
        return False
    if is_copy:
        return known[9] != b"0"
    return known[9] == b"0" and _is_in_time(known)


def _is_in_time(fields: Sequence[bytes]) -> bool:
    """Whether a record ends when it may, which scripts have written: after its ttl, or its absolute age."""
    made, ends, life, latest = (int(fields[at]) if fields[at].isdigit() else 0 for at in (4, 5, 7, 8))
    return 0 < ends <= max(made + life, latest)


def _mac(key: bytes, message: bytes) -> str:
    return blake2b(message, digest_size=16, key=key).hexdigest()


def _keys() -> tuple[bytes, ...]:
    global _derived  # noqa: PLW0603 - one process, one SECRET_KEY
    if not _derived:
        secrets = settings.django("SECRET_KEY"), *settings.django("SECRET_KEY_FALLBACKS")
        # Keys of their own: SECRET_KEY signs other things as well.
        _derived = tuple(
            salted_hmac("redis_toolkit.tokens", "seals", secret=each, algorithm="sha256").digest() for each in secrets
        )
    return _derived


def _forget(*, setting: str, **_: object) -> None:
    global _derived  # noqa: PLW0603
    if setting in {"SECRET_KEY", "SECRET_KEY_FALLBACKS"}:
        _derived = ()


setting_changed.connect(_forget, dispatch_uid="redis_toolkit.tokens.seals")
