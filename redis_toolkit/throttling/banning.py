"""Bans that are under way: begun by denials or by hand, listed for people, ended.

What decides stands beside the counters of an identity, and the check reads it. The list is for people alone: a sorted
set of who was banned, by the time at which it ends, and a hash of who that is. Where the list differs from what decides
(it was evicted) nobody is let in.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Final, NamedTuple

from redis_toolkit.conf import settings
from redis_toolkit.core import keys
from redis_toolkit.core.clock import frozen, now
from redis_toolkit.core.connections import link, pack
from redis_toolkit.core.scripts import Script, run
from redis_toolkit.exceptions import Misconfigured, StoreUnavailable
from redis_toolkit.signals import throttle_banned, throttle_failed
from redis_toolkit.throttling.bans import microseconds
from redis_toolkit.throttling.decisions import Decision
from redis_toolkit.throttling.entries import Limits

__all__ = ["Banned", "ban", "begun", "end", "ended", "legible", "listed", "told_of"]

_LIST: Final = Script("throttle_bans")

#: Most bans that are listed: those that end first are dropped from the list, which lets nobody in.
_MOST: Final = 10_000
#: Seconds that the list is kept: no ban is longer.
_LIFE: Final = 366 * 86_400
_MICRO: Final = 1_000_000


class Banned(NamedTuple):
    """A ban by the throttle of that ``name``: ``identity`` (a digest), who that is for people, and ``seconds`` left."""

    name: str
    identity: str
    told: str
    seconds: float


def begun(limits: Limits, identity: str, told: str, decision: Decision, seconds: float) -> None:
    """A ban of so many ``seconds`` has begun by a check, which said ``decision``."""
    try:
        _list(limits, identity, told, seconds)
    except StoreUnavailable as error:
        throttle_failed.send_robust(sender=None, error=error, decisions=(decision,))
    _tell(limits, identity, told, seconds)


def ban(limits: Limits, identity: str, told: str, length: float | timedelta | None) -> None:
    """Begin a ban by hand. Raises Misconfigured, StoreUnavailable, ValueError."""
    if limits.ban is None:
        raise Misconfigured(f"The throttle {limits.name!r} bans nobody: give it ban=.")
    life = microseconds(limits.ban.length if length is None else length)
    memory = limits.ban.arguments[-1]
    until = (frozen() or _server_time()) + life
    state = f"{until} 1 0 0"
    link(settings.THROTTLE_ALIAS).ask(pack(("SET", limits.keys(identity)[-1], state, "PX", (life + memory) // 1000)))
    _list(limits, identity, told, life / _MICRO)
    _tell(limits, identity, told, life / _MICRO)


def end(name: str, identity: str) -> bool:
    """End a ban, and forget that it was. Whether there was one. Raises StoreUnavailable."""
    key = keys.tagged("h", identity, keys.escape(name), "b")
    gone = bool(link(settings.THROTTLE_ALIAS).ask(pack(("DEL", key))))
    ended(name, identity)
    return gone


def ended(name: str, identity: str) -> None:
    """Take an identity from the list. Raises StoreUnavailable."""
    member = _member(name, identity)
    commands = pack(("ZREM", _key(), member)) + pack(("HDEL", _told_key(), member))
    link(settings.THROTTLE_ALIAS).ask_many(commands, 2)


def listed(limit: int | None = None) -> Iterator[Banned]:
    """The bans that are under way, the longest first, at most ``limit``. Raises StoreUnavailable."""
    target, moment = link(settings.THROTTLE_ALIAS), now()
    most = -1 if limit is None else limit
    found = target.ask(
        pack(("ZREVRANGEBYSCORE", _key(), "+inf", f"({moment:.3f}", "WITHSCORES", "LIMIT", 0, most)),
    )
    if not found:
        return
    told = target.ask(pack(("HMGET", _told_key(), *found[::2])))
    for member, until, who in zip(found[::2], found[1::2], told, strict=True):
        name, identity = _read(member)
        yield Banned(name, identity, legible(who or b"") or identity, float(until) - moment)


def told_of(name: str, identity: str) -> str | None:
    """Who that is for people, as the list has it; None: it has not. Raises StoreUnavailable."""
    [told] = link(settings.THROTTLE_ALIAS).ask(pack(("HMGET", _told_key(), _member(name, identity))))
    return legible(told) if told else None


def legible(data: bytes) -> str:
    """Text for people, of whatever bytes: a replacement character for each that cannot be printed."""
    return "".join(each if each.isprintable() else "\ufffd" for each in data.decode("utf-8", "replace"))


def _list(limits: Limits, identity: str, told: str, seconds: float) -> None:
    moment = now()
    call = _LIST.call_on(
        (_key(), _told_key()), f"{moment:.3f}", f"{moment + seconds:.3f}", _member(limits.name, identity),
        told.encode("utf-8", "replace"), _MOST, _LIFE,
    )  # fmt: skip
    run(link(settings.THROTTLE_ALIAS), [call])


def _tell(limits: Limits, identity: str, told: str, seconds: float) -> None:
    throttle_banned.send_robust(sender=None, name=limits.name, identity=identity, told=told, seconds=seconds)


def _server_time() -> int:
    seconds, micro = link(settings.THROTTLE_ALIAS).ask(pack(("TIME",)))
    return int(seconds) * _MICRO + int(micro)


def _key() -> str:
    return keys.tagged("h", "bans")


def _told_key() -> str:
    return keys.tagged("h", "bans", "told")


def _member(name: str, identity: str) -> str:
    return json.dumps([name, identity])


def _read(member: bytes) -> tuple[str, str]:
    """Undo :func:`_member`. Of what somebody else has put there: no name, and its digest."""
    with suppress(ValueError, RecursionError):
        match json.loads(member):
            case [str(name), str(identity)] if (name + identity).encode():
                # (A lone surrogate, which JSON lets through, has just been refused: no page could show it.)
                return name, identity
    return "", keys.digest(member)
