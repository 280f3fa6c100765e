"""What the scripts are told of a throttle and an identity, and what they answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import inf
from typing import Final

from redis_toolkit.conf import settings
from redis_toolkit.core import keys
from redis_toolkit.throttling.algorithms import NEVER, code, problem
from redis_toolkit.throttling.bans import Ban
from redis_toolkit.throttling.decisions import Decision, Quota, decide
from redis_toolkit.throttling.rates import Rate

__all__ = ["BEGUN", "MICRO", "PER_ENTRY", "Limits"]

#: Numbers that the script answers for each entry.
PER_ENTRY: Final = 4
#: Of a second.
MICRO: Final = 1_000_000
#: What it answers of a ban that begins.
BEGUN: Final = 2

Arguments = tuple[str | int, ...]


@dataclass(frozen=True)
class Limits:
    """What a throttle allows: its ``rates`` under one ``algorithm``, and the ``ban`` that repeated denials earn.

    Raises ValueError for an algorithm that there is not, and for a rate that it cannot have.
    """

    name: str
    rates: tuple[Rate, ...]
    algorithm: str = "gcra"
    punitive: bool = False
    ban: Ban | None = None
    shadow: bool = False

    def __post_init__(self) -> None:
        for rate in self.rates:
            reason = problem(self.algorithm, rate)
            if reason is not None:
                raise ValueError(reason)

    @cached_property
    def code(self) -> str:
        """The algorithm as the scripts call it."""
        return code(self.algorithm)

    @cached_property
    def is_remembered(self) -> bool:
        """Whether a process may remember a denial: there are some, they write nothing, and hinder somebody."""
        return bool(self.rates) and not (self.punitive or self.ban or self.shadow)

    @cached_property
    def remembers_bans(self) -> bool:
        """The same of a denial by a ban that is under way: it writes nothing."""
        return self.ban is not None and not self.shadow

    @property
    def counts(self) -> bool:
        """Whether there is anything to ask for."""
        return bool(self.rates) or self.ban is not None

    @cached_property
    def _suffixes(self) -> tuple[str, ...]:
        # Of a rate the period alone is in the key: a limit may be changed, and what was counted still counts.
        name = keys.escape(self.name)
        found = [keys.below(name, f"{self.code}{rate.period // 1000}") for rate in self.rates]
        return (*found, keys.below(name, "b")) if self.ban else tuple(found)

    def keys(self, identity: str) -> list[str]:
        """The keys of what is known of ``identity`` (a digest), in one Cluster slot."""
        return [before + identity + behind for before, behind in _around(settings.PREFIX, self._suffixes)]

    @cached_property
    def is_plain(self) -> bool:
        """Whether it is GCRA and nothing else, for which there is a script of its own."""
        others = self.punitive or self.ban or self.shadow
        return self.code == "g" and not others and bool(self.rates) and all(rate.limit for rate in self.rates)

    @cached_property
    def _buckets(self) -> list[tuple[int, int, int]]:
        """Of each rate, in microseconds: the gap between two units, the whole bucket, the largest it may have been."""
        gaps = [-(-rate.period // rate.limit) for rate in self.rates]
        return [
            (gap, gap * rate.most_at_once, gap * rate.limit + MICRO) for gap, rate in zip(gaps, self.rates, strict=True)
        ]

    def plain_arguments(self, cost: int) -> list[int]:
        """What that script is told of each key."""
        return [number for gap, room, most in self._buckets for number in (gap, room, gap * cost, most)]

    def arguments(self, rule: int, cost: int) -> list[str | int]:
        """What the script is told of each key."""
        shadow = int(self.shadow)
        found: list[str | int] = []
        for rate in self.rates:
            found += (self.code, rule, shadow, rate.limit, rate.period, rate.most_at_once, cost, int(self.punitive))
        if self.ban is not None:
            found += ("b", rule, shadow, *self.ban.arguments)
        return found

    @property
    def entries(self) -> int:
        """How many keys there are."""
        return len(self._suffixes)

    def read(self, answers: Sequence[int], source: str = "redis") -> Decision:
        """The decision that the script's answers say, four for each key."""
        quotas, denied = [], []
        start = 0
        for rate in self.rates:
            allowed, remain, retry, reset = answers[start : start + PER_ENTRY]
            quotas.append(Quota(rate, remain, inf if retry == NEVER else retry / MICRO, reset / MICRO))
            denied.append(not allowed)
            start += PER_ENTRY
        banned_for = None
        if self.ban is not None:
            state, _, retry, _ = answers[-PER_ENTRY:]
            banned_for = None if state == 1 else retry / MICRO
        return decide(self.name, tuple(quotas), tuple(denied), banned_for=banned_for, source=source, shadow=self.shadow)


@lru_cache(1024)
def _around(prefix: str, suffixes: tuple[str, ...]) -> list[tuple[str, str]]:  # noqa: ARG001 - the keys have it
    """What stands around an identity in each of its keys."""
    return [keys.around_tag("h", suffix) for suffix in suffixes]
