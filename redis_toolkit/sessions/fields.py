"""A session as fields of a hash, one for each of its keys: bytes by the project's ``SESSION_SERIALIZER``."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["AUTH", "AUTH_USER", "HASH_FIELD", "Fields", "dumped", "loaded", "normal"]

#: The keys of Django's log-in (``django.contrib.auth``, which needs configured apps). They are one thing: who reads the
#: user of one log-in and the hash of another is logged out.
AUTH_USER: Final = "_auth_user_id"
AUTH: Final = (b"_auth_user_id", b"_auth_user_backend", b"_auth_user_hash")
HASH_FIELD: Final = b"_auth_user_hash"

#: What stands before a key that is not text, or begins with NUL as the record's own fields do.
_ODD: Final = b"\0k"

#: Serialised values by field.
Fields = dict[bytes, bytes]


def dumped(session: dict[Any, Any], serializer: Any) -> Fields:
    """The fields of a session. Raises what the serializer raises (TypeError)."""
    dumps = serializer.dumps
    found: Fields = {}
    for key, value in session.items():
        if type(key) is str and not key.startswith("\0"):
            found[key.encode("utf-8", "surrogatepass")] = dumps(value)
        else:
            _dump_odd(found, key, value, serializer)
    return found


def _dump_odd(found: Fields, key: Any, value: Any, serializer: Any) -> None:
    """JSON has no keys but text: what it makes of another becomes the key, as with Django's engines."""
    [key] = serializer.loads(serializer.dumps({key: None}))
    if isinstance(key, str) and not key.startswith("\0"):
        found[key.encode("utf-8", "surrogatepass")] = serializer.dumps(value)
    else:
        found[_ODD + bytes(serializer.dumps(key))] = serializer.dumps(value)


def loaded(fields: Fields, serializer: Any) -> dict[Any, Any]:
    """Undo :func:`dumped`. Raises what the serializer raises for what is none of its own."""
    loads = serializer.loads
    return {
        loads(name[len(_ODD) :]) if name.startswith(_ODD) else name.decode("utf-8", "surrogatepass"): loads(value)
        for name, value in fields.items()
    }


def normal(value: bytes, serializer: Any) -> bytes:
    """``value`` as it is written again: a serializer may have two ways to write one thing (pickle has)."""
    return bytes(serializer.dumps(serializer.loads(value)))
