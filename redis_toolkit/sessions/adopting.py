"""Sessions of Django's database engine, taken over: under their ids, for the life they have left, each once.

A session that was taken over leaves a mark in Redis that outlives its row. So the row may stay, for processes that
still have the old engine, and yet:

1. a session is taken over  2. its user logs out, and it ends in Redis  3. its old cookie comes back, its row is there
still: it is not taken over again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from redis_toolkit.conf import settings
from redis_toolkit.core import keys
from redis_toolkit.core.clock import now
from redis_toolkit.core.connections import Link, pack
from redis_toolkit.core.keyspaces import scan
from redis_toolkit.core.scripts import Script
from redis_toolkit.sessions import members, names
from redis_toolkit.sessions.asking import Steps
from redis_toolkit.sessions.fields import AUTH_USER, dumped
from redis_toolkit.sessions.sealing import seal

__all__ = ["ADOPTED", "SPENT", "THERE", "Found", "adopting", "count", "found", "spending", "standing"]

_ADOPT: Final = Script("session_adopt")
#: Milliseconds by which a mark outlives its row: clocks differ, and an old process may make the row's life longer.
_LONGER: Final = 24 * 3600 * 1000
#: How the key of a mark ends, below that of the record.
_MARK_NAME: Final = "m"
_MARK: Final = keys.below("", _MARK_NAME).encode()

#: What became of a session: taken over now; there already; taken over before, and ended since.
ADOPTED: Final = "adopted"
THERE: Final = "there"
SPENT: Final = "spent"


@dataclass(frozen=True, slots=True)
class Found:
    """A session as the database has it: its id, what it holds, its life in milliseconds."""

    session_id: str
    session: dict[Any, Any]
    life: int


def found(row: Any, decode: Any) -> Found | None:
    """What is in a row of ``django_session``; None: it has run out, or nothing that can be read is in it."""
    life = round((row.expire_date.timestamp() - now()) * 1000)
    session = decode(row.session_data) if life > 0 else {}
    return Found(row.session_key, session, life) if session else None


def adopting(every: Sequence[Found], serializer: Any) -> Steps[list[str]]:
    """Take them over, in one round trip; what became of each. A user's list has them, whatever its limit."""
    calls: list[bytes] = []
    places: list[int] = []
    noted: list[tuple[str, str] | None] = []
    for each in every:
        name = each.session.get(AUTH_USER)
        user = "" if name is None else names.user_digest(str(name))
        handle = names.fresh_handle()
        entry = names.member(handle, each.session_id)
        listed = [members.add(user, entry, each.life)] if user else []
        places.append(len(calls) + len(listed))
        # Before there is a session and again when there is, as with any: see `members`.
        calls += [*listed, _adopt(each, user, handle, serializer), *listed]
        noted.append((user, entry) if user else None)
    if not calls:
        return []
    answers = yield calls
    became = [answers[at].decode() for at in places]
    vain = [place for place, outcome in zip(noted, became, strict=True) if place is not None and outcome != ADOPTED]
    if vain:
        yield [members.remove(user, entry) for user, entry in vain]
    return became


def spending(session_id: str) -> Steps[None]:
    """See that a session is not taken over (any more): before it is ended, for somebody may have its row in hand."""
    yield [pack(("SET", _mark(session_id), "", "PX", settings.django("SESSION_COOKIE_AGE") * 1000 + _LONGER))]


def standing(session_ids: Iterable[str]) -> Steps[list[str | None]]:
    """Of each id ``THERE`` or ``SPENT``; None: Redis has never had it."""
    calls = [call for each in session_ids for call in (pack(("EXISTS", _record(each))), pack(("EXISTS", _mark(each))))]
    answers = (yield calls) if calls else []
    return [
        THERE if there else SPENT if marked else None
        for there, marked in zip(answers[::2], answers[1::2], strict=True)
    ]  # fmt: skip


def count(link: Link) -> int:
    """How many sessions there are in Redis, by looking at all its keys. Raises StoreUnavailable."""
    [room, *_] = keys.parts_of(names.record_key("", ""))
    return sum(not key.endswith(_MARK) for batch in scan(link, keys.pattern(room)) for key in batch)


def _adopt(each: Found, user: str, handle: str, serializer: Any) -> bytes:
    known, oldest, close = names.digest(each.session_id), settings.SESSION_ABSOLUTE_AGE, seal().close
    fields = dumped(each.session, serializer)
    return _ADOPT.call_on(
        (_record(each.session_id), _mark(each.session_id)),
        names.still(),
        each.life,
        "" if oldest is None else oldest * 1000,
        max(each.life, settings.django("SESSION_COOKIE_AGE") * 1000) + _LONGER,
        user,
        handle,
        *(part for field, value in fields.items() for part in (field, close(known, field, value))),
    )


def _record(session_id: str) -> str:
    return names.record_key(session_id, names.digest(session_id))


def _mark(session_id: str) -> str:
    return keys.below(_record(session_id), _MARK_NAME)
