"""How the servers are, once a minute, by one of all processes.

What servers count since they were started is told as differences. Who looked last leaves what it saw in Redis, so the
next one, in whichever process, goes on from there; a server that was started again counts from 0.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Final

from redis_toolkit.conf import settings
from redis_toolkit.core.aliases import place_of
from redis_toolkit.core.connections import Link, pack
from redis_toolkit.exceptions import StoreUnavailable
from redis_toolkit.stats import names

__all__ = ["aliases", "sample"]

#: What servers count, by the name it has here.
_COUNTED: Final = {"evicted": "evicted_keys", "expired": "expired_keys"}
#: What stands there as it is.
_STANDS: Final = {"memory": "used_memory", "clients": "connected_clients", "ops": "instantaneous_ops_per_sec"}
_SECTIONS: Final = ("server", "clients", "memory", "stats")
#: Seconds that the place of who looks is held: the minute, and a clock that is behind.
_HELD: Final = 120
#: Seconds that what was seen is remembered.
_REMEMBERED: Final = 86400 * 14


def aliases() -> list[str]:
    """The aliases that the toolkit uses, each server once."""
    wanted = (settings.ALIAS, settings.THROTTLE_ALIAS, settings.DURABLE_ALIAS, settings.STATS_ALIAS)
    found: dict[object, str] = {}
    for alias in filter(None, wanted):
        found.setdefault(place_of(alias) or alias, alias)
    return list(found.values())


def sample(own: Link, link: Callable[[str], Link], minute: int) -> Iterator[tuple[str, str, float]]:
    """Alias, what, and how much, of each server; nothing where another process has looked in that ``minute``.

    ``own``: the link to what is counted. Raises StoreUnavailable if that one is away; of the others that are away
    nothing is told.
    """
    hold = pack(("SET", names.sampled_key(minute), "1", "NX", "EX", _HELD))
    held, before = own.ask_many(hold + pack(("HGETALL", names.servers_key())), 2, idempotent=False)
    if held is None:
        return
    seen = dict(zip(before[::2], before[1::2], strict=True))
    for alias in aliases():
        try:
            told = _told_by(link(alias))
        except StoreUnavailable:
            continue
        run = told.get("run_id", "")
        counts = {what: _number(told, name) for what, name in _COUNTED.items()}
        was = _seen(seen.get(alias.encode()))
        note = json.dumps({"run": run, **counts})
        remember = pack(("HSET", names.servers_key(), alias, note))
        own.ask_many(remember + pack(("EXPIRE", names.servers_key(), _REMEMBERED)), 2)
        for what, count in counts.items():
            yield alias, what, _since(was, run, what, count)
        for what, name in _STANDS.items():
            yield alias, what, _number(told, name)


def _since(was: dict[str, object], run: str, what: str, count: int) -> int:
    before = was.get(what)
    if was.get("run") != run:
        # It was started again, and counts from 0; of one that was never seen nobody knows what is new.
        return count if was else 0
    # (CONFIG RESETSTAT takes it back to 0 as well.)
    return count - before if type(before) is int and 0 <= before <= count else count


def _told_by(link: Link) -> dict[str, str]:
    answers: list[bytes] = link.ask_many(b"".join(pack(("INFO", each)) for each in _SECTIONS), len(_SECTIONS))
    lines = b"\r\n".join(answers).decode("utf-8", "replace").splitlines()
    return {name: value for name, colon, value in (line.partition(":") for line in lines) if colon}


def _number(told: dict[str, str], name: str) -> int:
    value = told.get(name, "")
    return int(value) if value.isdecimal() else 0


def _seen(data: bytes | None) -> dict[str, object]:
    try:
        found = json.loads(data or b"{}")
    except (ValueError, RecursionError):
        return {}
    return found if type(found) is dict else {}
