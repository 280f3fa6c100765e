"""The server's slow log, without what may be secret."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import Any, Final

from redis_toolkit.core import keys
from redis_toolkit.doctor.asking import Inquiry
from redis_toolkit.exceptions import StoreUnavailable

__all__ = ["Slow", "is_ours", "read_slow", "slow_log", "without_values"]

#: Keys that are shown of one command.
_SHOWN: Final = 3
#: Commands whose second word is theirs, and no argument.
_CONTAINERS: Final = {"ACL", "CLIENT", "CONFIG", "MEMORY", "OBJECT", "SCRIPT", "SLOWLOG"}
#: Values of columns in a key: all else in which there is a "=" is escaped.
_VALUES: Final = re.compile(r"=[^,:]+")
_SCRIPTS: Final = {"EVALSHA", "EVALSHA_RO"}


@dataclass(frozen=True, slots=True)
class Slow:
    """A command that took long. ``moment``: when it began, in seconds since the epoch by the server's clock.

    ``seconds``: how long the server did nothing else. ``command``: its name (of a script of ours the script's, too) and
    the keys of ours in it, without the values of columns; all other arguments are left out.
    """

    moment: float
    seconds: float
    command: str


def slow_log(alias: str, limit: int = 20) -> list[Slow]:
    """The last entries of the slow log of the server of ``alias``, the newest first, ``limit`` at most.

    One round trip. Raises Misconfigured; StoreUnavailable, also where the server does not let us read it.
    """
    with Inquiry(alias) as inquiry:
        found = read_slow(inquiry, limit)
        if found is None:
            refusal = inquiry.refused.get("SLOWLOG GET", "")
            raise StoreUnavailable(f"Redis ({alias!r} in CACHES) refused SLOWLOG GET: {refusal}")
    return found


def read_slow(inquiry: Inquiry, limit: int) -> list[Slow] | None:
    """The same of a server that is being asked; None where it refuses."""
    answer = inquiry.ask("SLOWLOG", "GET", limit)
    if answer is None:
        return None
    return [Slow(float(entry[1]), entry[2] / 1_000_000, _told(entry[3])) for entry in answer]


def is_ours(slow: Slow) -> bool:
    """Whether the command has a key of ours."""
    return any(word.startswith(keys.make("")) for word in slow.command.split(" "))


def without_values(key: str) -> str:
    """A key of ours with "…" for the values of columns: a number may be a person's, and a UUID a secret."""
    return _VALUES.sub("=…", key)


def _told(words: list[Any]) -> str:
    """A command without its arguments, but for keys of ours."""
    texts = [bytes(word).decode("utf-8", "replace") for word in words]
    if not texts:
        return ""
    name, rest = texts[0].upper(), texts[1:]
    said = [name]
    if name in _SCRIPTS and rest:
        said.append(_scripts().get(rest[0].lower(), "…"))
    elif name in _CONTAINERS and rest:
        said.append(rest[0].upper())
        rest = rest[1:]
    ours = [word for word in rest if word.startswith(keys.make("")) and " " not in word]
    said += map(without_values, ours[:_SHOWN])
    if len(ours[:_SHOWN]) < len(rest):
        said.append("…")
    return " ".join(said)


@cache
def _scripts() -> dict[str, str]:
    """The names of our scripts by those under which Redis knows them."""
    found = (each for each in (files("redis_toolkit") / "lua").iterdir() if each.name.endswith(".lua"))
    return {
        sha1(each.read_bytes(), usedforsecurity=False).hexdigest(): each.name.removesuffix(".lua") for each in found
    }
