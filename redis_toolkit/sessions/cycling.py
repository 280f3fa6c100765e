"""Another id for a session, when who uses it becomes somebody: whoever knew the old one knows nothing now.

One script renames the record, so what other requests write meanwhile goes along, and what has ended stays ended. Sealed
values are bound to the record's name: they are sealed again, and the script sees that they are the same still.
"""

from __future__ import annotations

from typing import Any, Final

from redis_toolkit.core.connections import pack
from redis_toolkit.core.scripts import Script
from redis_toolkit.exceptions import SessionConflict
from redis_toolkit.sessions import members, names
from redis_toolkit.sessions.asking import Steps
from redis_toolkit.sessions.fields import dumped
from redis_toolkit.sessions.records import Held, read
from redis_toolkit.sessions.sealing import seal

__all__ = ["cycling", "reading"]

_CYCLE: Final = Script("session_cycle")
#: How often others may write between reading a sealed session and naming it anew.
_TRIES: Final = 50


def reading(session_id: str, serializer: Any) -> Steps[tuple[Held, dict[Any, Any]] | None]:
    """A session and how it stands, in one round trip; None: there is none."""
    known = names.digest(session_id)
    key = names.record_key(session_id, known)
    answers = yield [pack(("HGETALL", key)), pack(("PTTL", key))]
    return read(answers, known, serializer)


def cycling(
    old: str, new: str, held: Held, life: int, session: dict[Any, Any] | None, serializer: Any
) -> Steps[Held | None]:
    """Give the session ``old`` the id ``new``; how it stands then, or None: it is gone.

    What others have written to a sealed ``session`` is put into it; None: nothing of what it holds will be kept.
    """
    for _ in range(_TRIES):
        raw, sealed = _sealed(held, old, new) if seal().binds and session is not None else ({}, [])
        calls = [_CYCLE.call_on(_keys(old, new), held.width if raw else "", *sealed)]
        before, after = names.member(held.handle, old), names.member(held.handle, new)
        if held.user:
            noted = members.add(held.user, after, life)
            calls = [noted, *calls, noted, members.remove(held.user, before)]
        answers = yield calls
        answer = answers[1 if held.user else 0]
        if answer == b"moved":
            held.device = raw.pop(names.DEVICE, held.device)
            held.raw = raw or held.raw
            held.stale = set() if raw else held.stale
            return held
        if held.user:
            back = [] if answer == b"gone" else [members.add(held.user, before, life)]
            yield [*back, members.remove(held.user, after)]
        found = None if answer == b"gone" else (yield from reading(old, serializer))
        if found is None or session is None:
            return None
        held = _merge(session, held, *found, serializer)
    raise SessionConflict("The session is being written without a pause, and could not be given another id.")


def _keys(old: str, new: str) -> tuple[str, str]:
    return names.record_key(old, names.digest(old)), names.record_key(new, names.digest(new))


def _sealed(held: Held, old: str, new: str) -> tuple[dict[bytes, bytes], list[bytes]]:
    """The values as they are to be stored, and what to say to the script of them."""
    way, before, after = seal(), names.digest(old), names.digest(new)
    stored: dict[bytes, bytes] = {}
    said: list[bytes] = []
    for field, was in (*held.raw.items(), *([(names.DEVICE, held.device)] if held.device else ())):
        value = held.values[field] if field in held.values else way.open(before, field, was)[0]
        stored[field] = way.close(after, field, value)
        said += [field, was, stored[field]]
    return stored, said


def _merge(session: dict[Any, Any], held: Held, now: Held, stored: dict[Any, Any], serializer: Any) -> Held:
    """Bring ``session`` up to date, and leave in it what was changed here since it was loaded."""
    fields = dumped(session, serializer)
    same = held.values.items()
    changed = {key: value for key, value in session.items() if not dumped({key: value}, serializer).items() <= same}
    removed = held.values.keys() - fields.keys()
    kept = {key: value for key, value in stored.items() if not dumped({key: None}, serializer).keys() <= removed}
    session.clear()
    session.update(kept)
    session.update(changed)
    return now
