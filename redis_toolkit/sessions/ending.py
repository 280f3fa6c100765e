"""How a session is ended by its id: its record first, and then its entry in the list of its user's."""

from __future__ import annotations

from redis_toolkit.core.connections import pack
from redis_toolkit.sessions import members, names
from redis_toolkit.sessions.asking import Ended, Steps
from redis_toolkit.sessions.records import Held

__all__ = ["ending", "finding"]


def finding(session_id: str) -> Steps[bool]:
    """Whether there is a session of that id."""
    [found] = yield [pack(("EXISTS", names.record_key(session_id, names.digest(session_id))))]
    return bool(found)


def ending(session_id: str, held: Held, ended: list[Ended], *, follows: bool) -> Steps[None]:
    """End the session of that id, of which ``held`` is known; in one round trip, where that is true still.

    1. A loads a session  2. B gives it another id (a secret key was replaced, a password changed)  3. A logs out by the
    old one: nothing is there. It is the same session, so it ends by the id that it has now, if it ``follows``. (Django
    flushes what does not verify, too: a slow page must not end the session of who has just changed the password.)
    """
    calls = [members.end(names.record_key(session_id, names.digest(session_id)))]
    if held.user:
        calls.append(members.remove(held.user, names.member(held.handle, session_id)))
    [[was_there, user, handle], *_] = yield calls
    known, told = user.decode(), handle.decode()
    if known and (known, told) != (held.user, held.handle):
        yield [members.remove(known, names.member(told, session_id))]
    if was_there and known:
        ended.append((held.name if known == held.user else None, told, "logout"))
    elif follows and not was_there and held.user:
        yield from members.evicting(held.user, held.name, (yield from _by_other_ids(held)), ended, "logout")


def _by_other_ids(held: Held) -> Steps[list[bytes]]:
    [entries] = yield [pack(("ZRANGE", names.index_key(held.user), 0, -1))]
    return [entry for entry in entries if names.told_of(entry)[0] == held.handle]
