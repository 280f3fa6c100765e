"""What a server tells of itself, and the address that leads to it: read once, then judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final, NamedTuple

from redis_toolkit.core import keys
from redis_toolkit.core.aliases import place_of
from redis_toolkit.core.clock import monotonic, now
from redis_toolkit.core.pools import pool_of
from redis_toolkit.doctor.asking import Inquiry, is_refused
from redis_toolkit.doctor.biggest import Sample, sampled
from redis_toolkit.doctor.slowness import Slow, read_slow
from redis_toolkit.exceptions import Misconfigured, StoreUnavailable

__all__ = ["Away", "Reading", "Road", "User", "read", "road_to"]

#: How often the server is asked for how long it takes to answer.
_PINGS: Final = 9
_SECTIONS: Final = ("server", "clients", "memory", "persistence", "stats", "replication", "cluster", "keyspace")
_CONFIG: Final = (
    "appendfsync",
    "bind",
    "maxclients",
    "min-replicas-to-write",
    "port",
    "protected-mode",
    "requirepass",
    "tls-port",
)
_SLOW: Final = 128
#: What every part of the toolkit calls: with the answers of a server that lets us, whatever it has.
_NEEDED: Final = (("EVALSHA", "0" * 40, 0), ("GET", "doctor"), ("TIME",))
_NEAR: Final = {"127.0.0.1", "localhost", "::1"}


class Road(NamedTuple):
    """How an alias leads to its server. ``near``: on this machine. ``password``: whether one is sent."""

    host: str
    near: bool
    tls: bool
    password: bool


class User(NamedTuple):
    """Who we are to the server, as ``ACL GETUSER`` tells it: ``commands`` as "+@all -@dangerous"."""

    name: str
    commands: str
    flags: frozenset[str]


@dataclass(frozen=True, slots=True)
class Reading:
    """What one server has told. ``refused``: the commands that it refused, by name, each with its words.

    ``info``: of INFO, empty where that is refused; so is ``config``. ``latency``: seconds, the median of some round
    trips. ``skew``: seconds by which the server's clock is ahead of ours. ``missing``: commands the toolkit needs and
    may not call. ``needs_password``: whether one cannot come in without. (None of these: not known.)
    """

    alias: str
    roles: tuple[str, ...]
    road: Road
    info: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, str] = field(default_factory=dict)
    user: User | None = None
    needs_password: bool | None = None
    latency: float = 0.0
    skew: float | None = None
    sample: Sample | None = None
    slow: tuple[Slow, ...] = ()
    missing: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)

    def number(self, name: str) -> float:
        """A number of INFO; 0 where it is not told."""
        try:
            return float(self.info.get(name, "0"))
        except ValueError:
            return 0.0

    def keeps(self, *roles: str) -> bool:
        """Whether it has any of these roles."""
        return not set(roles).isdisjoint(self.roles)


@dataclass(frozen=True, slots=True)
class Away:
    """A server that could not be asked. ``why``: "away", "password", "loading"; ``told``: in its words."""

    alias: str
    roles: tuple[str, ...]
    why: str
    told: str


def road_to(alias: str) -> Road:
    """How ``alias`` leads to its server. Raises Misconfigured."""
    pool = pool_of(alias)
    given = pool.connection_kwargs
    place = place_of(alias) or ("",)
    host = str(place[0])
    tls = "SSL" in pool.connection_class.__name__
    near = "path" in given or host in _NEAR or host.startswith("127.")
    password = bool(given.get("password") or given.get("credential_provider"))
    return Road(host, near, tls, password)


def read(alias: str, roles: tuple[str, ...], sample: int) -> Reading | Away:
    """Ask the server of ``alias`` all there is to ask, in some twenty round trips and those of the sample."""
    try:
        road = road_to(alias)
        with Inquiry(alias) as inquiry:
            began = _ping(inquiry)
            if began:
                return Away(alias, roles, *began)
            return _read(inquiry, alias, roles, road, sample)
    except Misconfigured as error:
        return Away(alias, roles, "misconfigured", str(error))
    except StoreUnavailable as error:
        # (By its name: redis-py's errors are known to core/connections alone.)
        why = "password" if "Authentication" in type(error.__cause__).__name__ else "away"
        return Away(alias, roles, why, str(error.__cause__ or error))


def _ping(inquiry: Inquiry) -> tuple[str, str] | None:
    """Why it is of no use to go on, if it is not."""
    [answer] = inquiry.try_all([("PING",)])
    if not is_refused(answer):
        return None
    told = str(answer)
    kinds = {"NOAUTH": "password", "WRONGPASS": "password", "LOADING": "loading", "MASTERDOWN": "away"}
    kind = kinds.get(told.partition(" ")[0])
    return None if kind is None else (kind, told)


def _read(inquiry: Inquiry, alias: str, roles: tuple[str, ...], road: Road, sample: int) -> Reading:
    latency, skew = _timed(inquiry)
    info = dict(
        line.split(":", 1)
        for answer in inquiry.ask_all([("INFO", section) for section in _SECTIONS])
        if answer is not None
        for line in answer.decode("utf-8", "replace").splitlines()
        if ":" in line
    )
    config = _without_password(_paired(inquiry.ask("CONFIG", "GET", *_CONFIG)))
    user = _user(inquiry)
    return Reading(
        alias, roles, road, info, config, user, _needs_password(road, user, config), latency, skew,
        sampled(inquiry, sample), tuple(read_slow(inquiry, _SLOW) or ()), _missing(inquiry), dict(inquiry.refused),
    )  # fmt: skip


def _timed(inquiry: Inquiry) -> tuple[float, float | None]:
    took = []
    for _ in range(_PINGS):
        began = monotonic()
        # A refusal takes as long.
        inquiry.try_all([("PING",)])
        took.append(monotonic() - began)
    before = now()
    answer = inquiry.ask("TIME")
    here = (before + now()) / 2
    skew = None if answer is None else int(answer[0]) + int(answer[1]) / 1_000_000 - here
    return median(took), skew


def _missing(inquiry: Inquiry) -> tuple[str, ...]:
    """Commands that the toolkit cannot do without, and may not call on its keys."""
    commands: list[tuple[str | bytes | int, ...]] = [
        (name, keys.make("doctor")) if name == "GET" else (name, *rest) for name, *rest in _NEEDED
    ]
    answers = inquiry.try_all(commands)
    return tuple(
        str(command[0])
        for command, answer in zip(commands, answers, strict=True)
        if is_refused(answer) and str(answer).startswith("NOPERM")
    )


def _user(inquiry: Inquiry) -> User | None:
    name = inquiry.ask("ACL", "WHOAMI")
    if name is None:
        return None
    found = inquiry.ask("ACL", "GETUSER", name)
    if found is None:
        return User(name.decode(), "", frozenset())
    told = {bytes(key).decode(): value for key, value in zip(found[::2], found[1::2], strict=True)}
    flags = frozenset(each.decode() for each in told.get("flags", ()))
    return User(name.decode(), bytes(told.get("commands", b"")).decode(), flags)


def _needs_password(road: Road, user: User | None, config: Mapping[str, str]) -> bool | None:
    """Whether nobody comes in without a password: we have come in without, or the server says so."""
    if not road.password:
        return False
    if user is not None and user.name == "default" and user.flags:
        return "nopass" not in user.flags
    # (Who uses a name of his own may find that the default user is open all the same.)
    return bool(config["requirepass"]) if "requirepass" in config else None


def _without_password(config: dict[str, str]) -> dict[str, str]:
    """Whether there is one is all that is asked: it must not stand in a traceback, nor wherever a reading is shown."""
    return {name: "…" if name == "requirepass" and value else value for name, value in config.items()}


def _paired(answer: Any) -> dict[str, str]:
    texts = [bytes(each).decode("utf-8", "replace") for each in answer or ()]
    return dict(zip(texts[::2], texts[1::2], strict=True))
