"""What is known of a session that was loaded or saved: how it stood, to tell what has changed since."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any, Final

from redis_toolkit.conf import settings
from redis_toolkit.core.clock import frozen, monotonic
from redis_toolkit.sessions import names
from redis_toolkit.sessions.fields import AUTH_USER, Fields, loaded
from redis_toolkit.sessions.sealing import Seal, seal

__all__ = ["Held", "read"]

#: Where Django tells of sessions that somebody has tampered with.
_log = logging.getLogger("django.security.SuspiciousSession")
#: Fields of every record: created, handle, size, last.
_ALWAYS: Final = 4


@dataclass(slots=True)
class Held:
    """A record as this process knows it. ``values`` by field, ``raw`` as they are stored."""

    values: Fields = field(default_factory=dict)
    raw: Fields = field(default_factory=dict)
    #: Fields that were sealed with a secret that is on its way out.
    stale: set[bytes] = field(default_factory=set)
    handle: str = ""
    #: The user's digest, and his primary key.
    user: str = ""
    name: str | None = None
    device: bytes = b""
    #: When it was asked for, and when it will end, on this process's monotonic clock; when it began, on the server's.
    asked: float = 0.0
    ends: float = 0.0
    created: int = 0
    #: Whether its values cannot be read.
    is_broken: bool = False

    @property
    def width(self) -> int:
        """How many fields the record has, if nobody else has written."""
        return len(self.raw) + _ALWAYS + bool(self.user) + bool(self.device)


def read(answers: list[Any], known: str, serializer: Any) -> tuple[Held, dict[Any, Any]] | None:
    """The record with the digest ``known`` from HGETALL and PTTL, and the session in it; None where there is none."""
    [flat, ttl] = answers
    if not flat:
        return None
    record = dict(zip(flat[::2], flat[1::2], strict=True))
    moment = monotonic()
    held = Held(
        handle=record.get(names.HANDLE, b"").decode(),
        user=record.get(names.USER, b"").decode(),
        device=record.get(names.DEVICE, b""),
        asked=moment,
        ends=moment + ttl / 1000,
        created=int(record.get(names.CREATED, 0)),
    )
    if _is_over(held.created):
        return None
    held.raw = {name: value for name, value in record.items() if not name.startswith(b"\0") or name[1:2] == b"k"}
    way = seal()
    try:
        session = _open(held, known, way, serializer)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - a serializer raises what it likes; Django's engines take the same for no data
        _log.warning("Session data corrupted")
        held.values, held.stale, held.is_broken = {}, set(), True
        return held, {}
    user = session.get(AUTH_USER)
    held.name = None if user is None else str(user)
    return held, session


def _open(held: Held, known: str, way: Seal, serializer: Any) -> dict[Any, Any]:
    for name, stored in held.raw.items():
        held.values[name], is_first = way.open(known, name, stored)
        if not is_first:
            held.stale.add(name)
    return loaded(held.values, serializer)


def _is_over(created: int) -> bool:
    """Whether it has ended by a time that stands still (in tests): Redis goes by its own, and has it still."""
    moment, oldest = frozen(), settings.SESSION_ABSOLUTE_AGE
    return moment is not None and oldest is not None and created + oldest * 1000 <= moment // 1000
