"""What sessions are called: by the browser, in Redis, and in a list of devices. None can be made of another.

The browser's id is 32 letters and digits, and stands nowhere in Redis: a record is named by half of its SHA-256. The
first three go with a session when it gets another id, and are its hash tag: so RENAME, which alone takes along what
others write meanwhile, finds both names in one Cluster slot. The 29 that are new are 149 random bits.
"""

from __future__ import annotations

from hashlib import sha256
from secrets import choice, token_hex
from string import ascii_lowercase, digits
from typing import Final

from redis_toolkit.core import keys
from redis_toolkit.core.clock import frozen, now

__all__ = [
    "CREATED",
    "DEVICE",
    "HANDLE",
    "HANDLE_SIZE",
    "LAST",
    "USER",
    "digest",
    "fresh_handle",
    "fresh_id",
    "index_key",
    "is_place",
    "member",
    "moment",
    "place_for",
    "record_key",
    "still",
    "told_of",
    "user_digest",
]

#: Fields of a record that are no keys of the session.
CREATED: Final = b"\0c"
DEVICE: Final = b"\0d"
HANDLE: Final = b"\0h"
LAST: Final = b"\0l"
USER: Final = b"\0u"

#: The rooms of records and of users' lists. (``s`` is that of the cache's stamps.)
_RECORDS: Final = "d"
_USERS: Final = "u"
_ALPHABET: Final = ascii_lowercase + digits
_LENGTH: Final = 32
_TAG: Final = 3
_PLACE: Final = "~"
#: A handle: its moment in milliseconds, 12 hexadecimal digits, and 12 random ones.
HANDLE_SIZE: Final = 24


def fresh_id(before: str = "") -> str:
    """A new id, of the hash tag of the session's id ``before``, if it has one."""
    tag = before[:_TAG]
    return tag + "".join(choice(_ALPHABET) for _ in range(_LENGTH - len(tag)))


def digest(session_id: str) -> str:
    """By what a record is known: 128 bits of SHA-256, 32 hexadecimal digits."""
    return sha256(session_id.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def record_key(tag: str, known: str) -> str:
    """The key of the record with the digest ``known``, of a session whose id begins with ``tag``."""
    return keys.tagged(_RECORDS, tag[:_TAG], known)


def user_digest(user: str) -> str:
    """By what a user is known: a primary key may be an email address."""
    return keys.digest(user.encode("utf-8", "surrogatepass"))


def index_key(user: str) -> str:
    """The key of the list of a user's sessions, by :func:`user_digest`."""
    return keys.make(_USERS, user)


def moment() -> int:
    """Milliseconds since the epoch: where time stands still that time."""
    stands = frozen()
    return round(now() * 1000) if stands is None else stands // 1000


def still() -> str | int:
    """The time as scripts take it: nothing for the server's."""
    stands = frozen()
    return "" if stands is None else -stands


def fresh_handle() -> str:
    """What a session is called where people see it. Handles sort by the moment they were made."""
    return format(moment(), "012x") + token_hex(6)


def member(handle: str, session_id: str) -> str:
    """A session in its user's list: its handle, its record's digest, and its hash tag."""
    return handle + digest(session_id) + session_id[:_TAG]


def place_for(entry: str) -> str:
    """A place in the list that is kept for the session ``entry`` while nobody can know whether it is there."""
    return _PLACE + entry


def is_place(entry: bytes) -> bool:
    """Whether that is all it is."""
    return entry.startswith(_PLACE.encode())


def told_of(entry: bytes) -> tuple[str, str, str]:
    """Undo :func:`member` or :func:`place_for`: the handle, the digest, and the record's key."""
    text = entry.decode("utf-8", "surrogatepass").removeprefix(_PLACE)
    handle, known, tag = text[:HANDLE_SIZE], text[HANDLE_SIZE : HANDLE_SIZE + 32], text[HANDLE_SIZE + 32 :]
    return handle, known, record_key(tag, known)
