"""Starts four processes for each contestant and hands out the slices."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from bench.contestants import CONTESTANTS, Contestant
from bench.driver import Worker
from bench.servers import Servers

__all__ = ["PROCESSES", "Mix", "Slice", "Total", "chosen", "run"]

PROCESSES = 4


@dataclass(frozen=True, slots=True)
class Slice:
    """How much one contestant does in its turn, and how often its turn comes."""

    rounds: int
    operations: int  # of each process


@dataclass(slots=True)
class Total:
    """What one contestant came to. By kind of operation: how many, how many hits, how many seconds of all processes."""

    rates: list[float] = field(default_factory=list)  # operations a second, one for each slice
    done: Counter[str] = field(default_factory=Counter)
    hits: Counter[str] = field(default_factory=Counter)
    seconds: Counter[str] = field(default_factory=Counter)
    wrong: int = 0

    def add(self, parts: Sequence[dict[str, Any]]) -> None:
        """Count one slice, of which each process tells its part."""
        for part in parts:
            self.done.update(part["done"])
            self.hits.update(part["hits"])
            self.seconds.update(part["seconds"])
        lasted = max(part["ended"] for part in parts) - min(part["began"] for part in parts)
        self.rates.append(sum(sum(part["done"].values()) for part in parts) / lasted)

    def hit_ratio(self, *kinds: str) -> float:
        """The share of reads of these kinds during which the database was asked nothing."""
        return sum(self.hits[kind] for kind in kinds) / max(1, sum(self.done[kind] for kind in kinds))


@dataclass(slots=True)
class Mix:
    """What one run found, by contestant."""

    totals: dict[str, Total] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)


def chosen(only: str | None) -> list[Contestant]:
    """The contestants on PostgreSQL, or those of them named in a comma-separated list.

    Raises ``ValueError`` on a name unknown.
    """
    known = [contestant for contestant in CONTESTANTS if contestant.database == "postgres"]
    if only is None:
        return known
    names = {name.strip() for name in only.split(",")}
    if unknown := names - {contestant.name for contestant in known}:
        there = ", ".join(contestant.name for contestant in known)
        raise ValueError(f"no contestant of the mix is called {', '.join(sorted(unknown))}; there are {there}")
    return [contestant for contestant in known if contestant.name in names]


def run(contestants: Sequence[Contestant], servers: Servers, pace: Slice, seed: str) -> Mix:
    """Measure once. Raises ``WorkerError`` if a contestant fails."""
    found = Mix({c.name: Total() for c in contestants if not c.absent})
    found.absent = {c.name: f"{', '.join(c.absent)} not installed" for c in contestants if c.absent}
    with ExitStack() as stack:
        teams: dict[str, list[Worker]] = {}
        for number, contestant in enumerate(contestants):
            if not contestant.absent:
                teams[contestant.name] = _team(stack, contestant, servers.job(number, contestant), seed)
        for name, team in teams.items():
            found.versions |= team[0].ask("versions")
            together(team, "warm", processes=PROCESSES)
            # What each process does once in its life, such as compiling a query, is not what is asked for.
            together(team, "play", operations=pace.operations)
            found.totals[name] = Total()
        order = random.Random(seed)
        for _ in range(pace.rounds):
            for name in order.sample(sorted(teams), len(teams)):
                found.totals[name].add(together(teams[name], "play", operations=pace.operations))
        for name, team in teams.items():
            found.totals[name].wrong = team[-1].ask("wrong")
    return found


def _team(stack: ExitStack, contestant: Contestant, job: dict[str, Any], seed: str) -> list[Worker]:
    """A contestant's processes; the first one fills the database before the others begin."""
    team: list[Worker] = []
    for process in range(PROCESSES):
        worker = Worker(contestant, {**job, "mix": {"seed": seed, "process": process}})
        stack.callback(worker.close)
        worker.ask("versions")
        team.append(worker)
    return team


def together(team: Sequence[Worker], do: str, **order: Any) -> list[Any]:
    """Let all processes of a contestant do it at once; what each answers."""
    for worker in team:
        worker.send(do, **order)
    return [worker.receive() for worker in team]
