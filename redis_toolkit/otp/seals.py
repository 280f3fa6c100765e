"""What a challenge carries (whose it is, where its code goes, the payload), sealed: none of it is in Redis as it is.

The key is made of a pepper *and* of the challenge's id, whose 128 random bits are not in Redis (a record's name is a
digest of them): neither a dump of Redis nor a dump and the peppers open a seal; it takes the id that the client holds.

Encrypt-then-MAC of the standard library's parts, for no package that encrypts is required: the stream is SHAKE-256 of a
32-byte key and a fresh 16-byte nonce (a sponge keyed by its prefix is a pseudo-random function: Bertoni, Daemen,
Peeters, Van Assche, *On the security of the keyed sponge construction*, 2011; KMAC of NIST SP 800-185 is another such),
the MAC is HMAC-SHA256 cut to 16 bytes. Limits: the length of what is sealed can be seen; who knows a pepper and a
challenge's id can open and forge; nobody has reviewed it but who wrote it. It is meant for small things that live for
minutes, behind a server that is not public. For anything else use a library.
"""

from __future__ import annotations

import hmac
import json
from hashlib import shake_256
from secrets import token_bytes
from typing import Any, Final

from redis_toolkit.otp.peppers import Pepper, first_pepper, lengthed, peppers

__all__ = ["MOST_BYTES", "seal", "unseal"]

_NONCE: Final = 16
_MAC: Final = 16
_NAME: Final = 8
#: Bytes of JSON that a challenge may carry: it is kept in memory, for whoever asks.
MOST_BYTES: Final = 16_384


def seal(contents: Any, *context: str | bytes) -> bytes:
    """``contents`` (what JSON can say) under the first pepper and the ``context``. Raises TypeError, ValueError."""
    data = json.dumps(contents, separators=(",", ":"), allow_nan=False).encode()
    if len(data) > MOST_BYTES:
        raise ValueError(f"A challenge carries {MOST_BYTES} bytes at most, and this is {len(data)}: keep it elsewhere.")
    pepper, nonce = first_pepper(), token_bytes(_NONCE)
    hidden = _crossed(data, pepper, nonce, context)
    return pepper.name.encode() + nonce + _mac(pepper, nonce + hidden, context) + hidden


def unseal(sealed: bytes, *context: str | bytes) -> Any:
    """What :func:`seal` was given; None: of no pepper that is known, of another context, or tampered with."""
    name, nonce = sealed[:_NAME], sealed[_NAME : _NAME + _NONCE]
    mac, hidden = sealed[_NAME + _NONCE : _NAME + _NONCE + _MAC], sealed[_NAME + _NONCE + _MAC :]
    for pepper in peppers():
        if pepper.name.encode() == name and hmac.compare_digest(mac, _mac(pepper, nonce + hidden, context)):
            return json.loads(_crossed(hidden, pepper, nonce, context))
    return None


def _mac(pepper: Pepper, data: bytes, context: tuple[str | bytes, ...]) -> bytes:
    return pepper.mac("seal's mac", lengthed(*context), data)[:_MAC]


def _crossed(data: bytes, pepper: Pepper, nonce: bytes, context: tuple[str | bytes, ...]) -> bytes:
    """``data`` and the stream, bit by bit: the way there and back."""
    stream = shake_256(pepper.mac("seal's key", lengthed(*context)) + nonce).digest(len(data))
    return (int.from_bytes(data) ^ int.from_bytes(stream)).to_bytes(len(data))
