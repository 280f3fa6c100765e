"""Values that nobody can make up who can write to Redis (``signed``), or read either (``encrypted``).

A value is bound to its record and its field: moved to another, it does not open. What is old can be put back.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from hashlib import blake2b, sha256
from typing import Any, Final, Protocol

from django.core.signals import setting_changed

from redis_toolkit.conf import settings
from redis_toolkit.exceptions import CodecError, Misconfigured

__all__ = ["Plain", "Seal", "seal"]

_MAC: Final = 32
_BINDING: Final = 16


class Seal(Protocol):
    """A way to keep values."""

    #: Whether a value belongs to the name of its record.
    binds: bool

    def close(self, record: str, field: bytes, value: bytes) -> bytes:
        """What is stored of ``value``."""

    def open(self, record: str, field: bytes, stored: bytes) -> tuple[bytes, bool]:
        """The value, and whether the first secret has sealed it. Raises CodecError for what none has sealed."""


class Plain:
    """Values as they are."""

    binds = False

    def close(self, record: str, field: bytes, value: bytes) -> bytes:  # noqa: ARG002
        """``value``."""
        return value

    def open(self, record: str, field: bytes, stored: bytes) -> tuple[bytes, bool]:  # noqa: ARG002
        """``stored``."""
        return stored, True


class _Signed:
    binds = True

    def __init__(self, secrets: Sequence[str]) -> None:
        self._keys = [_derive(secret, b"sign") for secret in secrets]

    def close(self, record: str, field: bytes, value: bytes) -> bytes:
        return self._mac(self._keys[0], record, field, value) + value

    def open(self, record: str, field: bytes, stored: bytes) -> tuple[bytes, bool]:
        mac, value = stored[:_MAC], stored[_MAC:]
        for at, key in enumerate(self._keys):
            if hmac.compare_digest(mac, self._mac(key, record, field, value)):
                return value, at == 0
        raise CodecError("A value of a session was not sealed by any of the secrets.")

    @staticmethod
    def _mac(key: bytes, record: str, field: bytes, value: bytes) -> bytes:
        return hmac.digest(key, _bound(record, field) + value, "sha256")


class _Encrypted:
    binds = True

    def __init__(self, secrets: Sequence[str]) -> None:
        try:
            from cryptography.fernet import Fernet, InvalidToken  # noqa: PLC0415 - an optional package
        except ImportError as error:
            message = "REDIS_TOOLKIT_SESSION_SEAL is 'encrypted', which needs the package cryptography."
            raise Misconfigured(message) from error
        self._invalid = InvalidToken
        # (MultiFernet does the same, and does not say which of the keys it was.)
        self._ways = [Fernet(urlsafe_b64encode(_derive(secret, b"encrypt"))) for secret in secrets]

    def close(self, record: str, field: bytes, value: bytes) -> bytes:
        return self._ways[0].encrypt(_binding(record, field) + value)

    def open(self, record: str, field: bytes, stored: bytes) -> tuple[bytes, bool]:
        for at, way in enumerate(self._ways):
            try:
                found = way.decrypt(stored)
            except self._invalid:
                continue
            if hmac.compare_digest(found[:_BINDING], _binding(record, field)):
                return found[_BINDING:], at == 0
            break
        raise CodecError("A value of a session was not sealed by any of the secrets, or not for this place.")


def _derive(secret: str, purpose: bytes) -> bytes:
    return hmac.digest(secret.encode("utf-8", "surrogatepass"), b"redis_toolkit.sessions " + purpose, sha256)


def _bound(record: str, field: bytes) -> bytes:
    # Each part with its length, so that no two places are written alike.
    name = record.encode()
    return len(name).to_bytes(4) + name + len(field).to_bytes(4) + field


def _binding(record: str, field: bytes) -> bytes:
    return blake2b(_bound(record, field), digest_size=_BINDING).digest()


_PLAIN: Final = Plain()
_ways: dict[str, Any] = {}


def seal() -> Seal:
    """The way of ``REDIS_TOOLKIT_SESSION_SEAL``. Raises Misconfigured."""
    kind = settings.SESSION_SEAL
    if kind is None:
        return _PLAIN
    found: Seal | None = _ways.get(kind)
    if found is None:
        secrets = list(settings.SESSION_KEYS)
        secrets = secrets or [settings.django("SECRET_KEY"), *settings.django("SECRET_KEY_FALLBACKS")]
        found = _ways[kind] = (_Encrypted if kind == "encrypted" else _Signed)(secrets)
    return found


def _forget(*, setting: str, **_: object) -> None:
    if setting.startswith(("SECRET_KEY", "REDIS_TOOLKIT_SESSION")):
        _ways.clear()


setting_changed.connect(_forget, dispatch_uid="redis_toolkit.sessions.sealing")
