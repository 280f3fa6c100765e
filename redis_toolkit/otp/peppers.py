"""The secrets with which codes are hashed, and all that is made of them: digests, tags, seals' keys.

A six-digit code has a million values: any hash without a secret is undone in a second. So each is an HMAC-SHA256 keyed
by a pepper, which Redis never sees. A record names the pepper of its digest, so that peppers can be rotated: put the
new one first, and drop the old one when the last code of it has run out. (Of several processes each has to know a
pepper before the first makes codes with it: deploy it as the last one, then as the first.) What is *counted* of a
subject (failures, sends) is filed under the first pepper, and begins anew with it.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from typing import Final

from redis_toolkit.conf import settings

__all__ = ["Pepper", "first_pepper", "lengthed", "peppers"]

_SALT: Final = b"redis_toolkit.otp"


def lengthed(*parts: str | bytes) -> bytes:
    """The parts in one, each with its length ahead of it: no two lists of parts are the same (CVE-2026-6873)."""
    made = []
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        made += [len(data).to_bytes(8), data]
    return b"".join(made)


@dataclass(frozen=True, slots=True)
class Pepper:
    """A secret, and the ``name`` under which records know it (8 hexadecimal digits, which tell nothing of it)."""

    name: str
    key: bytes = field(repr=False)

    def mac(self, use: str, *parts: str | bytes) -> bytes:
        """The HMAC-SHA256 of the parts for one use: 32 bytes."""
        return hmac.digest(self.key, lengthed(use, *parts), "sha256")


def peppers() -> tuple[Pepper, ...]:
    """All peppers: the first makes, and each is known."""
    given = list(settings.OTP_PEPPERS)
    return _made(tuple(given or [settings.django("SECRET_KEY"), *settings.django("SECRET_KEY_FALLBACKS")]))


def first_pepper() -> Pepper:
    """The pepper with which things are made."""
    return peppers()[0]


@lru_cache(8)
def _made(secrets: tuple[str | bytes, ...]) -> tuple[Pepper, ...]:
    made = []
    for secret in secrets:
        # A key of their own: SECRET_KEY signs other things as well.
        key = hmac.digest(_SALT, lengthed("key", secret), "sha256")
        made.append(Pepper(sha256(lengthed("name", key)).hexdigest()[:8], key))
    return tuple(made)
