"""What holds for all codes of one purpose: how long, how often, how many tries, and what too many of these cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import inf
from typing import Final, TypedDict

from redis_toolkit.otp.budgets import Window, window

__all__ = ["CAP", "MOST_SECONDS", "Options", "Policy", "Terms", "Whose", "policy"]

#: Failures in a row of one account (NIST SP 800-63B, 5.2.2), and the longest life of a code in seconds (5.1.3.2).
CAP: Final = 100
MOST_SECONDS: Final = 600
_TIERS: Final = ((10, 900.0), (20, 3600.0), (CAP, 86_400.0))
_MICRO: Final = 1_000_000
#: Seconds for which failures are remembered after the last, at least: a week.
_MEMORY: Final = 7 * 86_400
_LONGEST: Final = 31 * 86_400


class Options(TypedDict, total=False):
    """``ttl``: seconds that a code lives. ``attempts``: tries of one code. ``cooldown``: seconds between two codes.

    (Or timedeltas.) ``sends``: to one subject, and to one destination; ``sends_per_ip``; ``sends_per_prefix``: to
    numbers that begin with the same five characters; ``sends_total``: budgets as ``"5/h"``, None for none.
    ``lockout``: pairs of so many failures and the seconds that a lock then takes: at each multiple of the first number,
    and from the last number on at each failure.
    """

    ttl: float | timedelta
    attempts: int
    cooldown: float | timedelta
    sends: str | None
    sends_per_ip: str | None
    sends_per_prefix: str | None
    sends_total: str | None
    lockout: Sequence[tuple[int, float]]


class Whose(TypedDict, total=False):
    """Who asks for a code.

    ``binding``: a secret of the browser's (a nonce from a cookie) without which the code is worth nothing. ``ip``: the
    client's address. ``familiar``: the token of an earlier success.
    """

    binding: str | bytes | None
    ip: str | None
    familiar: str | None


class Terms(Whose, total=False):
    """And what for.

    ``destination``: where it goes (default: the subject). ``payload``: what JSON can say, given back to who is right.
    ``challenge``: of which this is a resend.
    """

    destination: str | None
    payload: object
    challenge: str | None


@dataclass(frozen=True, slots=True)
class Policy:
    """Times are in microseconds."""

    life: int
    attempts: int
    cooldown: int
    sends: Window | None
    per_ip: Window | None
    per_prefix: Window | None
    total: Window | None
    tiers: tuple[tuple[int, int], ...]

    @property
    def memory(self) -> int:
        """For how many milliseconds failures are remembered: longer than any lock, or a lock's end would forgive."""
        return max(_MEMORY * 1000, 2 * self.tiers[-1][1] // 1000)

    @property
    def locks(self) -> list[int]:
        """The tiers as the script takes them."""
        return [len(self.tiers), *(number for tier in self.tiers for number in tier)]


def policy(given: Options) -> Policy:
    """The policy of some options. Raises ValueError for what cannot be."""
    attempts: object = given.get("attempts", 5)
    if not isinstance(attempts, int) or isinstance(attempts, bool) or not 1 <= attempts <= CAP:
        raise ValueError(f"attempts is a whole number from 1 to {CAP}, not {attempts!r}.")
    return Policy(
        life=_micro("ttl", given.get("ttl", 300), 1),
        attempts=attempts,
        cooldown=_micro("cooldown", given.get("cooldown", 30), 0),
        sends=window(given.get("sends", "5/h")),
        per_ip=window(given.get("sends_per_ip", "30/h")),
        per_prefix=window(given.get("sends_per_prefix")),
        total=window(given.get("sends_total")),
        tiers=_tiers(given.get("lockout", _TIERS)),
    )


def _micro(what: str, given: object, least: float) -> int:
    seconds = given.total_seconds() if isinstance(given, timedelta) else given
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not least <= seconds <= _LONGEST:
        raise ValueError(f"{what} is a number of seconds, or a timedelta, from {least} s to 31 days, not {given!r}.")
    return round(seconds * _MICRO)


def _tiers(given: Sequence[tuple[int, float]]) -> tuple[tuple[int, int], ...]:
    before: tuple[float, float] = (0, 0)
    for failures, seconds in given:
        if not before[0] < failures <= CAP or not before[1] < seconds < inf:
            raise ValueError(f"lockout is of pairs (failures, seconds), both growing, of {CAP} failures at most.")
        before = failures, seconds
    if not before[0]:
        raise ValueError("lockout has at least one pair (failures, seconds): a code is guessed by who may go on.")
    return tuple((failures, _micro("lockout", seconds, 1)) for failures, seconds in given)
