"""The list of a user's sessions: who is on it, who is taken off.

It lies in another Cluster slot than they do. So it is too long at times, and never too short: who comes is noted before
there is a session, and again when there is; who goes is crossed out afterwards. Who reads it looks whether it is true.

1. A notes a session  2. B reads the list, finds no such session  3. A makes it, notes it again  4. B crosses it out,
and looks once more: finds it, and notes it. Meanwhile its place is kept: C, who would be one too many, is not let in.
"""

from __future__ import annotations

from typing import Any, Final

from redis_toolkit.conf import settings
from redis_toolkit.core.connections import pack
from redis_toolkit.core.scripts import Script
from redis_toolkit.sessions import names
from redis_toolkit.sessions.asking import Ended, Steps

__all__ = ["NEW", "add", "cross_out", "end", "evicting", "handle_of", "keep_place", "listing", "remove"]

_INDEX: Final = Script("session_index")
_DELETE: Final = Script("session_delete")
#: Milliseconds for which a place is kept: much longer than two round trips take.
_KEPT: Final = 30_000
#: What is told of a session that was not on the list before.
NEW: Final = 2
#: What a list tells of a session, beside when it ends.
_TOLD: Final = (names.HANDLE, names.USER, names.CREATED, names.LAST, names.DEVICE)


def add(user: str, entry: str, life: int, *, counts: bool = False, instead: str = "") -> bytes:
    """Note a session of ``user``, for ``life`` milliseconds, in the place of ``instead``.

    ``counts``: within ``REDIS_TOOLKIT_SESSION_LIMIT``.
    """
    limit = settings.SESSION_LIMIT if counts else None
    bound = "" if limit is None else limit
    return _INDEX.call(names.index_key(user), names.still(), life, entry, bound, settings.SESSION_LIMIT_POLICY, instead)


def keep_place(user: str, entry: str, *, counts: bool = False, instead: str = "") -> bytes:
    """Keep a place for a session that is about to begin, or that is looked for."""
    return add(user, names.place_for(entry), _KEPT, counts=counts, instead=instead)


def remove(user: str, entry: str | bytes) -> bytes:
    """Cross a session out."""
    return pack(("ZREM", names.index_key(user), entry))


def end(key: str, handle: str = "") -> bytes:
    """End the session whose record is ``key``; if a ``handle`` is given, only if it is that of the session."""
    return _DELETE.call(key, handle)


def handle_of(entry: str) -> bytes:
    """Ask for the handle in a session's record: there is such a session if it is that of the entry."""
    return pack(("HGET", names.told_of(entry.encode("utf-8", "surrogatepass"))[2], names.HANDLE))


def listing(user: str) -> Steps[list[tuple[bytes, list[Any], int]]]:
    """The sessions of ``user``, two round trips: of each its entry, handle, user, created, last, device; its life."""
    [found] = yield [pack(("ZRANGE", names.index_key(user), 0, -1))]
    entries = [entry for entry in found if not names.is_place(entry)]
    if not entries:
        return []
    keys = [names.told_of(entry)[2] for entry in entries]
    calls = [call for key in keys for call in (pack(("HMGET", key, *_TOLD)), pack(("PTTL", key)))]
    answers = yield calls
    there, gone = [], []
    for entry, told, life in zip(entries, answers[::2], answers[1::2], strict=True):
        if told[0] == entry[: names.HANDLE_SIZE]:
            # (Of one whose user is not written yet, or any more, nothing is said.)
            if told[1] == user.encode():
                there.append((entry, told, life))
        else:
            gone.append(entry)
    if gone:
        yield from cross_out(user, gone)
    return there


def cross_out(user: str, entries: list[bytes]) -> Steps[None]:
    """Take off the list what is gone, and look once more."""
    texts = [entry.decode("utf-8", "surrogatepass") for entry in entries]
    calls = []
    for entry, text in zip(entries, texts, strict=True):
        key = names.told_of(entry)[2]
        calls += [keep_place(user, text, instead=text), handle_of(text), pack(("PTTL", key))]
    answers = yield calls
    yield [
        add(user, text, life, instead=names.place_for(text))
        if handle == text[: names.HANDLE_SIZE].encode() and life > 0
        else remove(user, names.place_for(text))
        for text, handle, life in zip(texts, answers[1::3], answers[2::3], strict=True)
    ]


def evicting(user: str, name: str | None, entries: list[bytes], ended: list[Ended], reason: str) -> Steps[int]:
    """End the sessions of these entries; how many there were. One that gets another id meanwhile is followed."""
    handles = {names.told_of(entry)[0] for entry in entries}
    count = 0
    while entries:
        told = [names.told_of(entry) for entry in entries]
        if len({handle for handle, _, _ in told}) < len(told):
            # 1. we end its new id: nothing yet  2. it gets it  3. we end its old one: nothing any more. So, once more.
            told += told
        calls = [end(key, handle) for handle, _, key in told]
        # (Who is about to begin one keeps his place: the next would take it, and there would be one too many.)
        calls += [remove(user, entry) for entry in entries if not names.is_place(entry)]
        answers = yield [*calls, pack(("ZRANGE", names.index_key(user), 0, -1))]
        for (handle, _, _), (gone, _, _) in zip(told, answers, strict=False):
            if gone:
                count += 1
                ended.append((name, handle, reason))
        # 1. it is on the list by its old id  2. it gets a new one, which is noted first  3. we end the old one: nothing
        entries = [entry for entry in answers[-1] if not names.is_place(entry) and names.told_of(entry)[0] in handles]
    return count
