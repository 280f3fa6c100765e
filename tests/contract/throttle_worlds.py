"""What is known of one identity, twice: by the scripts on a real server, and as the rules say it, in Python."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import redis

from redis_toolkit.core.scripts import Script
from redis_toolkit.throttling import Ban, Rate
from redis_toolkit.throttling.algorithms import check
from redis_toolkit.throttling.entries import Limits

__all__ = ["KEPT", "KINDS", "START", "UNSAID", "Entry", "Server", "Twin"]

#: GCRA, fixed window, sliding counter and sliding log, as the scripts call them.
KINDS = ("g", "f", "c", "l")
START = 1_700_000_000_000_000
#: How long somebody has to wait whose denial was charged is compared elsewhere.
UNSAID = None
#: Milliseconds. Keys run out by the server's clock, and here time is an argument: so all of them are given this long.
KEPT = 3_600_000
_RATE, _BAN = Rate(1, 1000), Ban()


@dataclass(frozen=True)
class Entry:
    """One rate of a ``rule``, or its ``ban``, as it is asked this time."""

    kind: str
    rule: int = 0
    rate: Rate = _RATE
    cost: int = 1
    punitive: bool = False
    shadow: bool = False
    ban: Ban = _BAN

    @property
    def key(self) -> str:
        """Where it is kept."""
        return f"rt:h:{{a}}:{self.rule}:{self.kind}{self.rate.period}"

    @property
    def words(self) -> tuple[Any, ...]:
        """What the script is told."""
        if self.kind == "b":
            return ("b", self.rule, int(self.shadow), *self.ban.arguments)
        rate = self.rate
        numbers = (rate.limit, rate.period, rate.most_at_once, self.cost, int(self.punitive))
        return (self.kind, self.rule, int(self.shadow), *numbers)


class Server:
    """The scripts. ``lives``: the milliseconds for which each key that is there was going to live after a call."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        names = ("throttle_check", "throttle_gcra", "throttle_refund")
        self._shas = {name: client.script_load(Script(name).source) for name in names}
        self.lives: dict[str, int] = {}

    def check(self, now: int, share: int, entries: Sequence[Entry], *, charges: bool = True) -> list[int]:
        """The answer of the check."""
        words = [now, int(charges), share, *(word for entry in entries for word in entry.words)]
        answer: list[int] = self._run("throttle_check", entries, words)
        return answer

    def check_gcra(self, now: int, entries: Sequence[Entry], *, charges: bool = True) -> list[int]:
        """The answer of the script that is for GCRA alone."""
        words: list[Any] = [now, int(charges)]
        for entry in entries:
            words += Limits("any", (entry.rate,)).plain_arguments(entry.cost)
        answer: list[int] = self._run("throttle_gcra", entries, words)
        return answer

    def refund(self, now: int, share: int, entries: Sequence[Entry]) -> int:
        """In how many keys something was given back."""
        words: list[Any] = [now, share]
        for entry in entries:
            words += [entry.kind, entry.rate.limit, entry.rate.period, entry.cost]
        given: int = self._run("throttle_refund", entries, words)
        return given

    def _run(self, name: str, entries: Sequence[Entry], words: list[Any]) -> Any:
        keys = list(dict.fromkeys(entry.key for entry in entries))
        # In a transaction the clock by which keys run out stands.
        with self._client.pipeline(transaction=True) as steps:
            steps.evalsha(self._shas[name], len(entries), *[entry.key for entry in entries], *words)
            steps.time()
            for key in keys:
                steps.pexpiretime(key)
                steps.pexpire(key, KEPT)
            answer, (seconds, micro), *rest = steps.execute()
        # (Of the moment after the script, so that no life seems to be longer than it is.)
        moment = seconds * 1000 + micro // 1000
        gone, endless = -2, -1
        ends = {key: end for key, end in zip(keys, rest[::2], strict=True) if end != gone}
        assert endless not in ends.values()
        self.lives = {key: end - moment for key, end in ends.items()}
        return answer

    def forget(self) -> None:
        """Know nothing."""
        self._client.flushdb()


class Twin:
    """The same by the algorithms of ``algorithms.py``; what they do not do (refunds, punishment, bans) as documented.

    ``lives``: the milliseconds for which the keys that a call wrote are needed.
    """

    def __init__(self) -> None:
        self._states: dict[str, Any] = {}
        self.lives: dict[str, int] = {}

    def check(self, now: int, share: int, entries: Sequence[Entry], *, charges: bool = True) -> list[Any]:
        """The answer of the check; ``UNSAID`` may be anything."""
        self.lives = {}
        found: list[list[Any]] = [
            self._ban(entry, now) if entry.kind == "b" else self._rate(entry, now, share) for entry in entries
        ]
        denied = [entry for entry, answer in zip(entries, found, strict=True) if not answer[0]]
        banned = {entry.rule for entry in denied if entry.kind == "b"}
        over = {entry.rule for entry in denied if entry.kind != "b"}
        hindered = {_group(entry) for entry in denied}
        for entry, answer in zip(entries, found, strict=True):
            if not charges or (entry.kind != "b" and entry.rate.limit == 0):
                continue
            if entry.kind == "b":
                if entry.rule in over - banned:
                    answer[:] = self._strike(entry, now)
            elif _group(entry) not in hindered:
                self._charge(entry, now, share)
                answer[1::2] = self._rate(entry, now, share, cost=0)[1::2]
            elif entry.punitive and not answer[0] and entry.rule not in banned:
                self._punish(entry, now, share)
                _, remain, _, reset = self._rate(entry, now, share, cost=0)
                answer[:] = 0, remain, UNSAID, reset
        return [number for answer in found for number in answer]

    def _rate(self, entry: Entry, now: int, share: int, cost: int | None = None) -> list[int]:
        much = entry.cost if cost is None else cost
        verdict = check(entry.kind, entry.rate, self._states.get(entry.key), now, much, share)
        if not verdict.allowed:
            return [0, *verdict[2:]]
        # What it says is of after the charge; nothing has been charged yet.
        verdict = check(entry.kind, entry.rate, self._states.get(entry.key), now, 0, share)
        return [1, verdict.remain, 0, verdict.reset]

    def _charge(self, entry: Entry, now: int, share: int) -> None:
        verdict = check(entry.kind, entry.rate, self._states.get(entry.key), now, entry.cost, share)
        self._put(entry, now, verdict.state)

    def _punish(self, entry: Entry, now: int, share: int) -> None:
        """Charge what was denied, up to a full limit, and no less than there was."""
        rate, state = entry.rate, self._states.get(entry.key)
        if entry.kind == "g":
            gap = ceil(rate.period / rate.limit)
            empty = now + rate.most_at_once * gap
            full = min(max(state[0] if state else now, now), empty)
            self._put(entry, now, (min(full + entry.cost * gap, empty),))
        elif entry.kind == "l":
            units = [unit for unit in state or () if unit > now - rate.period] + [now] * min(entry.cost, rate.limit)
            self._put(entry, now, tuple(units[-rate.limit :]))
        elif entry.kind == "f":
            ends = _began(entry, now, share) + rate.period
            count = state[1] if state and state[0] == ends else 0
            self._put(entry, now, (ends, max(count, min(count + entry.cost, rate.limit))))
        else:
            began, count, before = _windows(entry, now, share, state)
            self._put(entry, now, (began, max(count, min(count + entry.cost, rate.limit)), before))

    def _put(self, entry: Entry, now: int, state: Any) -> None:
        self._states[entry.key] = state
        if state:
            ends = {"c": state[0] + 2 * entry.rate.period, "l": now + entry.rate.period}.get(entry.kind, state[0])
            self.lives[entry.key] = max(1, ceil((ends - now) / 1000))

    def _ban(self, entry: Entry, now: int) -> list[int]:
        until, _, strikes, _ = self._states.get(entry.key, (0, 0, 0, 0))
        most = entry.ban.strikes
        return [int(until <= now), max(0, most - strikes), max(0, until - now), max(0, until - now)]

    def _strike(self, entry: Entry, now: int) -> list[int]:
        most, within, length, longest, memory = entry.ban.arguments
        until, level, strikes, since = self._states.get(entry.key, (0, 0, 0, 0))
        if now - since >= within:
            strikes, since = 0, now
        if now >= until + memory:
            level = 0
        strikes += 1
        begins = strikes == most
        if begins:
            until, level, strikes, since = now + min(length << level, longest), level + 1, 0, 0
        self._states[entry.key] = until, level, strikes, since
        self.lives[entry.key] = ceil((max(since + within, until + memory if level else 0) - now) / 1000)
        answer = self._ban(entry, now)
        return [2, *answer[1:]] if begins else answer

    def refund(self, now: int, share: int, entries: Sequence[Entry]) -> int:
        """In how many keys something was given back."""
        self.lives = {}
        return sum(self._refund(entry, now, share) for entry in entries)

    def _refund(self, entry: Entry, now: int, share: int) -> bool:
        rate, much, state = entry.rate, entry.cost, self._states.get(entry.key)
        if not state or not rate.limit:
            return False
        if entry.kind == "g":
            known = state[0] > now
            if known:
                full = state[0] - much * ceil(rate.period / rate.limit)
                self._put(entry, now, (full,) if full > now else None)
        elif entry.kind == "f":
            known = state[0] == _began(entry, now, share) + rate.period
            if known:
                self._states[entry.key] = state[0], max(0, state[1] - much)
        elif entry.kind == "c":
            began, count, before = state
            known = _began(entry, now, share) - began in {0, rate.period}
            if known:
                # What this window does not have was charged in the one before.
                rest = max(0, much - count) if began == _began(entry, now, share) else 0
                self._states[entry.key] = began, max(0, count - much), max(0, before - rest)
        else:
            live = [unit for unit in state if unit > now - rate.period]
            known = bool(live) and much > 0
            if known:
                self._states[entry.key] = tuple(live[: max(0, len(live) - much)])
        return known


def _group(entry: Entry) -> int | None:
    return entry.rule if entry.shadow else None


def _began(entry: Entry, now: int, share: int) -> int:
    period = entry.rate.period
    return now - (now - (period * share >> 32)) % period


def _windows(entry: Entry, now: int, share: int, state: Any) -> tuple[int, int, int]:
    """When the window of ``now`` began, and what was counted in it and in the one before."""
    began = _began(entry, now, share)
    then, count, before = state or (0, 0, 0)
    if then == began:
        return began, count, before
    return began, 0, count if then == began - entry.rate.period else 0
