"""How a session is written: what has changed of it, in one script, and the list of its user's, in one round trip."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha1
from typing import Any, Final

from django.contrib.sessions.backends.base import CreateError, UpdateError
from django.contrib.sessions.serializers import JSONSerializer

from redis_toolkit.conf import settings
from redis_toolkit.core.clock import monotonic
from redis_toolkit.core.scripts import Script
from redis_toolkit.exceptions import SessionConflict, SessionLimitReached, SessionTooLarge
from redis_toolkit.sessions import members, names
from redis_toolkit.sessions.asking import Ended, Steps
from redis_toolkit.sessions.fields import AUTH, Fields, normal
from redis_toolkit.sessions.records import Held
from redis_toolkit.sessions.sealing import seal

__all__ = ["Wish", "saving"]

_log = logging.getLogger("redis_toolkit.sessions")
_SAVE: Final = Script("session_save")
#: Seconds for which a session is taken to be there still when nothing of it is to be written.
_RECENT: Final = 10.0

#: A change as the script takes it: what, field, value, SHA-1 of what is replaced.
Change = tuple[str, bytes, bytes, str]


@dataclass(slots=True)
class Wish:
    """What is to be saved: the session's id, its fields, whose it is, its life in milliseconds; and how it stood."""

    session_id: str
    fields: Fields
    name: str | None
    life: int
    #: "create", "update" or "replace".
    mode: str
    held: Held
    serializer: Any
    device: bytes

    @property
    def user(self) -> str:
        """The user's digest; empty for nobody."""
        return "" if self.name is None else names.user_digest(self.name)

    @property
    def begins(self) -> bool:
        """Whether this is the beginning of a session, or of one of a user."""
        user = self.user
        return self.mode == "create" or not self.held.handle or (bool(user) and user != self.held.user)

    @property
    def entry(self) -> str:
        """Under what the user's list has it now."""
        return names.member(self.held.handle, self.session_id)


def saving(wish: Wish, ended: list[Ended]) -> Steps[Held]:
    """Save; how the session stands then. What had to end for it is added to ``ended``.

    Raises CreateError, UpdateError, SessionTooLarge, SessionConflict, SessionLimitReached, StoreUnavailable.
    """
    known = names.digest(wish.session_id)
    changes = list(_changes(wish, known))
    user, begins = wish.user, wish.begins
    if wish.mode == "update" and not changes and user == wish.held.user and not begins and not _is_due(wish):
        return wish.held
    handle = names.fresh_handle() if begins else wish.held.handle
    entry = names.member(handle, wish.session_id)
    wish.device = seal().close(known, names.DEVICE, wish.device) if begins and user and wish.device else b""
    place = ""
    if begins and user and settings.SESSION_LIMIT is not None and settings.SESSION_LIMIT_POLICY == "refuse":
        yield from _admit(user, entry)
        place = names.place_for(entry)
    calls = [members.add(user, entry, wish.life, counts=begins)] if user and not place else []
    at = len(calls)
    calls.append(_script(wish, known, changes, handle if begins else ""))
    if begins and user:
        calls.append(members.add(user, entry, wish.life, instead=place))
    if wish.held.user and wish.entry != entry:
        calls.append(members.remove(wish.held.user, wish.entry))
    elif wish.held.user and wish.held.user != user:
        calls.append(members.remove(wish.held.user, entry))
    answers = yield calls
    answer = answers[at]
    if answer[0] != b"ok":
        if user and (begins or answer[0] in {b"gone", b"ended"}):
            yield [members.remove(user, each) for each in filter(None, (entry, place))]
        return _refused(answer)
    yield from _put_right(wish, answer)
    _weigh(answer[4], answer[5])
    if at and begins:
        many = answers[0][1:]
        if answers[at + 1][0] == members.NEW:
            many += yield from _counted_again(user, entry, wish.life)
        yield from members.evicting(user, wish.name, many, ended, "evicted")
    return _standing(wish, changes, answer, handle)


def _admit(user: str, entry: str) -> Steps[None]:
    """Take a place among those the user may have, before there is a session. Raises SessionLimitReached."""
    for is_last in (False, True):
        [[is_in, *_]] = yield [members.keep_place(user, entry, counts=True)]
        if is_in:
            return
        if not is_last:
            # What is on the list may have ended: reading it puts it right.
            yield from members.listing(user)
    raise SessionLimitReached


def _counted_again(user: str, entry: str, life: int) -> Steps[list[bytes]]:
    """Which are too many, where somebody has taken ``entry`` off the list before its session was there.

    1. A notes a session, the last that may be  2. B notes another, and ends A's: there is nothing yet  3. A makes it.
    """
    many: list[bytes]
    [[_, *many], there] = yield [members.add(user, entry, life, counts=True), members.handle_of(entry)]
    if there == entry[: names.HANDLE_SIZE].encode():
        return many
    yield [members.remove(user, entry)]
    return []


def _is_due(wish: Wish) -> bool:
    """Whether so much of its life has gone that it is made longer, or nobody has looked for a while if it is there."""
    held, moment = wish.held, monotonic()
    life = wish.life / 1000
    if settings.SESSION_ABSOLUTE_AGE is not None:
        # (By this host's clock: it decides whether to ask, and the server's how long it lasts.)
        life = min(life, held.created / 1000 + settings.SESSION_ABSOLUTE_AGE - names.moment() / 1000)
    left = held.ends - moment
    share: float = settings.SESSION_RENEW_SHARE
    return moment - held.asked > _RECENT or left <= life * (1 - share) or left > life + 1


def _script(wish: Wish, known: str, changes: list[Change], handle: str) -> bytes:
    oldest = settings.SESSION_ABSOLUTE_AGE
    user = wish.user
    if wish.mode == "update" and user == wish.held.user:
        user = "="
    return _SAVE.call(
        names.record_key(wish.session_id, known),
        names.still(),
        wish.mode,
        wish.life,
        "" if oldest is None else oldest * 1000,
        settings.SESSION_MAX_BYTES,
        user,
        handle,
        wish.device if handle else b"",
        *(part for change in changes for part in change),
    )


def _changes(wish: Wish, known: str) -> Iterator[Change]:
    """What is to be said to the script, the log-in's keys all or none."""
    held, fields, close = wish.held, wish.fields, seal().close
    if wish.mode != "update":
        for field, value in fields.items():
            yield "s", field, close(known, field, value), ""
        return
    changed = {field for field, value in fields.items() if _differs(field, value, wish)}
    changed |= held.values.keys() - fields.keys()
    if not changed.isdisjoint(AUTH):
        changed.update(AUTH)
    strict = {name.encode("utf-8", "surrogatepass") for name in settings.SESSION_STRICT}
    for field in sorted(changed):
        guards, was = field in strict, ""
        if guards:
            was = _sha1(held.raw.get(field))
        if field in fields:
            yield "c" if guards else "s", field, close(known, field, fields[field]), was
        else:
            yield "x" if guards else "d", field, b"", was
    for field in held.stale - changed:
        yield "r", field, close(known, field, fields[field]), _sha1(held.raw[field])


def _differs(field: bytes, value: bytes, wish: Wish) -> bool:
    was = wish.held.values.get(field)
    if was == value:
        return False
    # A serializer may write what it has read in another way: that is no change, and must undo nobody's.
    return was is None or isinstance(wish.serializer, JSONSerializer) or normal(was, wish.serializer) != value


def _sha1(stored: bytes | None) -> str:
    return "" if stored is None else sha1(stored, usedforsecurity=False).hexdigest()


def _refused(answer: list[Any]) -> Held:
    match answer[0]:
        case b"ended":
            return Held()
        case b"exists":
            raise CreateError
        case b"gone":
            raise UpdateError
        case b"large":
            raise SessionTooLarge(
                f"The session would have {answer[1]} bytes, and REDIS_TOOLKIT_SESSION_MAX_BYTES allows"
                f" {settings.SESSION_MAX_BYTES}: it was not saved. Keep what is large in the database or the cache.",
            )
        case _:
            keys = ", ".join(repr(field.decode("utf-8", "replace")) for field in answer[1:])
            raise SessionConflict(f"Another request has changed {keys} of the session since it was loaded.")


def _put_right(wish: Wish, answer: list[Any]) -> Steps[None]:
    """Note it on the list of who has logged in meanwhile, by the same id: what was known here was out of date."""
    before, user, handle, life = answer[1].decode(), answer[2].decode(), answer[3].decode(), answer[6]
    if wish.mode == "create":
        return
    entry = names.member(handle, wish.session_id)
    calls = [members.add(user, entry, life)] if user and user != wish.user else []
    if before and before not in (user, wish.held.user):
        calls.append(members.remove(before, entry))
    if calls:
        yield calls


def _weigh(before: int, after: int) -> None:
    half = settings.SESSION_MAX_BYTES / 2
    if before <= half < after:
        _log.warning("A session has grown to %d bytes, more than half of REDIS_TOOLKIT_SESSION_MAX_BYTES", after)


def _standing(wish: Wish, changes: list[Change], answer: list[Any], handle: str) -> Held:
    held, moment = wish.held, monotonic()
    raw = dict(held.raw) if wish.mode == "update" else {}
    for what, field, stored, _ in changes:
        if what in "dx":
            raw.pop(field, None)
        else:
            raw[field] = stored
    return replace(
        held,
        values=wish.fields,
        raw=raw,
        stale=set(),
        handle=handle,
        user=answer[2].decode(),
        name=wish.name,
        device=wish.device if wish.begins else held.device if wish.user else b"",
        asked=moment,
        ends=moment + answer[6] / 1000,
        created=names.moment() if wish.begins else held.created,
        is_broken=False,
    )
