"""The store ``redis``: tokens are in Redis alone, and a user's are found by an index.

A token and the index of its user are keys of different slots, so no script has both. The order of writing keeps every
token of which somebody has the text in the index:

* a new one is written first and then enrolled, and its text is given away after that: who dies between leaves a token
  that nobody can show;
* one that ends is ended first and then taken from the index: who dies between leaves an entry without a token, which
  :func:`mend` finds.

The index is not sealed, and its tokens are: what it says of a token counts if the token says the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from redis_toolkit.conf import settings
from redis_toolkit.core import keys
from redis_toolkit.core.clock import frozen
from redis_toolkit.core.connections import link, pack
from redis_toolkit.core.scripts import Script, run
from redis_toolkit.exceptions import TokenLimitReached
from redis_toolkit.tokens import barring
from redis_toolkit.tokens.entries import Draft, Token, lets_oldest_go, read
from redis_toolkit.tokens.moments import MICRO, asked
from redis_toolkit.tokens.seals import FIELDS, seal, unseal

__all__ = ["Kept", "find", "kept_of", "mend", "put", "replace", "revoke"]

_PUT: Final = Script("token_put")
_ENROL: Final = Script("token_enrol")
_FULL: Final = 0
#: Milliseconds that keys live for longer while time stands still (tests), as in the scripts.
_STILL: Final = 60_000


@dataclass(frozen=True, slots=True)
class Kept:
    """A token as the index has it: ``token`` is None if it is none of this user's; ``life``: its ttl in microseconds.

    ``is_gone``: there is nothing under its digest, or it should not be there any more. What is there and is not sealed
    is not gone: it may be of a SECRET_KEY that another process knows.
    """

    handle: str
    digest: str
    token: Token | None
    life: int
    is_gone: bool


def put(draft: Draft) -> tuple[Token, tuple[str, ...]]:
    """Make a token, and the handles of those that had to go for it. Raises TokenLimitReached, StoreUnavailable."""
    token = _write(draft)
    answer = _enrol(draft)
    if answer[0] == _FULL:
        # Some of those that are counted may have ended before their time.
        mend(draft.user_id)
        answer = _enrol(draft, evicts=lets_oldest_go())
    if answer[0] == _FULL:
        _take_back(draft)
        raise TokenLimitReached
    going = _going(answer)
    if going:
        _end(draft.user_id, going)
    return token, tuple(going)


def replace(draft: Draft, handle: str, left: int) -> Token | None:
    """Make a token for another, which ends ``left`` microseconds from now at the latest; None: there is none.

    Raises TokenLimitReached, StoreUnavailable.
    """
    token = _write(draft)
    answer = _enrol(draft, replaces=handle, left=left)
    if answer[0] == _FULL:
        mend(draft.user_id)
        answer = _enrol(draft, replaces=handle, left=left)
    if answer[0] != 1:
        _take_back(draft)
        if answer[0] == _FULL:
            raise TokenLimitReached
        return None
    going = _going(answer)
    if left:
        run(link(settings.DURABLE_ALIAS), [barring.bar(digest, left) for digest in going.values()])
    else:
        _end(draft.user_id, going)
    return token


def _write(draft: Draft) -> Token:
    target = link(settings.DURABLE_ALIAS)
    moment = frozen()
    longer = 0 if moment is None else _STILL
    if moment is None:
        # (Its clock ends tokens, and this host's may be wrong. It is asked first because what it says is sealed.)
        seconds, rest = target.ask(pack(("TIME",)))
        moment = int(seconds) * MICRO + int(rest)
    life = draft.life or 0
    times = moment, moment + life, 0, life, moment + draft.age if draft.age else 0, 0
    fields = [draft.user_id, draft.handle, draft.name, " ".join(draft.scopes), *map(str, times)]
    fields.append(seal(draft.digest, fields))
    run(target, [_PUT.call(barring.key(draft.digest), -(-life // 1000) + longer, *fields)])
    return read(fields)


def _take_back(draft: Draft) -> None:
    link(settings.DURABLE_ALIAS).ask(pack(("UNLINK", barring.key(draft.digest))))


def _going(answer: list[Any]) -> dict[str, str]:
    return {
        handle.decode(): digest.decode() for handle, digest in zip(answer[1::2], answer[2::2], strict=True)
    }  # fmt: skip


def _enrol(draft: Draft, *, evicts: bool = False, replaces: str = "", left: int = 0) -> Any:
    limit = settings.TOKEN_LIMIT or 0
    call = _ENROL.call_on(
        (_handles(draft.user_id), _digests(draft.user_id)), asked(), draft.handle, draft.digest, draft.latest, limit,
        int(evicts), replaces, left,
    )  # fmt: skip
    [answer] = run(link(settings.DURABLE_ALIAS), [call], idempotent=False)
    return answer


def kept_of(user_id: str) -> list[Kept]:
    """All that the index of a user has; two round trips. Raises StoreUnavailable."""
    target = link(settings.DURABLE_ALIAS)
    commands = pack(("HGETALL", _digests(user_id))) + pack(("ZRANGE", _handles(user_id), 0, -1))
    entries, counted = target.ask_many(commands, 2)
    digests = {
        handle.decode(): entry.split()[0].decode() for handle, entry in zip(entries[::2], entries[1::2], strict=True)
    }
    if not digests:
        return []
    every = target.ask_many(
        b"".join(pack(("HMGET", barring.key(digest), *FIELDS)) for digest in digests.values()), len(digests)
    )
    live = {handle.decode() for handle in counted}
    return [
        _kept(user_id, handle, digest, fields, is_counted=handle in live)
        for (handle, digest), fields in zip(digests.items(), every, strict=True)
    ]


def find(user_id: str, handle: str) -> Kept | None:
    """One of a user's tokens. Raises StoreUnavailable."""
    return next((each for each in kept_of(user_id) if each.handle == handle and each.token is not None), None)


def mend(user_id: str) -> list[Token]:
    """A user's tokens; what the index has beside them is taken from it. Raises StoreUnavailable."""
    every = kept_of(user_id)
    gone = {each.handle: each.digest for each in every if each.is_gone}
    if gone:
        # (Ended, too: who let the oldest go may have died before it was gone.)
        _end(user_id, gone)
    return [each.token for each in every if each.token is not None]


def revoke(user_id: str, handles: set[str] | None, *, keep: str | None = None) -> tuple[str, ...]:
    """End these tokens of a user, or all but one, and say which. Raises StoreUnavailable."""
    ended: list[str] = []
    while True:
        going = [
            each
            for each in kept_of(user_id)
            if each.handle != keep and (handles is None or each.handle in handles)
        ]  # fmt: skip
        if not going:
            return tuple(ended)
        _end(user_id, {each.handle: each.digest for each in going})
        ended += [each.handle for each in going if each.token is not None]
        # (All: while they were ended one of them may have been replaced, and the new one is there now.)
        if handles is not None:
            return tuple(ended)


def _end(user_id: str, ending: dict[str, str]) -> None:
    calls = [barring.bar(digest) for digest in ending.values()]
    calls += [pack(("ZREM", _handles(user_id), *ending)), pack(("HDEL", _digests(user_id), *ending))]
    run(link(settings.DURABLE_ALIAS), calls)


def _kept(user_id: str, handle: str, digest: str, fields: list[bytes | None], *, is_counted: bool) -> Kept:
    is_gone = not is_counted or fields[0] is None
    token = None if is_gone else unseal(digest, fields, is_copy=False)
    if token is None or (token.user_id, token.handle) != (user_id, handle):
        return Kept(handle, digest, None, 0, is_gone)
    moment = frozen()
    # (Else the server's clock has ended it.)
    if moment is not None and int(fields[5] or 0) <= moment:
        return Kept(handle, digest, None, 0, is_gone=True)
    return Kept(handle, digest, token, int(fields[7] or 0), is_gone)


def _handles(user_id: str) -> str:
    return keys.tagged("k", user_id, "n")


def _digests(user_id: str) -> str:
    return keys.tagged("k", user_id, "d")
