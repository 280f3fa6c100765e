"""Starts a process for each way to count, hands out the turns, and reports."""

from __future__ import annotations

import datetime as dt
import os
import platform
import random
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from bench.behind.player import TOGETHER
from bench.contestants import CONTESTANTS, Contestant
from bench.driver import Worker
from bench.figures import ratio
from bench.report import packages, table
from bench.servers import Servers

__all__ = ["WAYS", "Turns", "Way", "as_data", "as_markdown", "contestants", "run"]


@dataclass(frozen=True, slots=True)
class Turns:
    """How often each way has its turn, and how many increments it then makes."""

    rounds: int
    increments: int


@dataclass(slots=True)
class Way:
    """A way to count, and what it came to: seconds and statements, one for each turn; and the error at the end."""

    name: str
    title: str
    contestant: str
    counting: list[float] = field(default_factory=list)
    flushing: list[float] = field(default_factory=list)
    statements: list[float] = field(default_factory=list)
    wrong: int = 0

    @property
    def whole(self) -> list[float]:
        """Seconds of each turn, flush included."""
        return [counting + flushing for counting, flushing in zip(self.counting, self.flushing, strict=True)]


#: Name, title, and who plays it: Django alone, or with cached models, whose writes end what is cached.
WAYS = (
    ("update", "Django, update(F() + 1)", "django-postgres"),
    ("update", "the same, the model cached", "ours-postgres"),
    ("add", "WriteBehind.add()", "ours-postgres"),
    ("add_many", f"WriteBehind.add_many(), {TOGETHER} together", "ours-postgres"),
)


def contestants() -> list[Contestant]:
    """Those whose servers are needed."""
    return [next(each for each in CONTESTANTS if each.name == name) for _, _, name in WAYS]


def run(servers: Servers, turns: Turns, seed: str) -> list[Way]:
    """Measure once. Raises ``WorkerError`` if a way fails."""
    found = [Way(*way) for way in WAYS]
    with ExitStack() as stack:
        workers = []
        for number, (way, contestant) in enumerate(zip(found, contestants(), strict=True)):
            worker = Worker(contestant, {**servers.job(number, contestant), "behind": {"way": way.name}})
            stack.callback(worker.close)
            worker.ask("versions")
            # What a process does once in its life, such as connecting, is not what is asked for.
            worker.ask("count", seed=seed, increments=turns.increments)
            workers.append(worker)
        for at in range(turns.rounds):
            for way, worker in random.Random(f"{seed} {at}").sample(list(zip(found, workers, strict=True)), len(found)):
                part = worker.ask("count", seed=f"{seed} {at}", increments=turns.increments)
                way.counting.append(part["counting"])
                way.flushing.append(part["flushing"])
                way.statements.append(part["statements"])
        for way, worker in zip(found, workers, strict=True):
            way.wrong = worker.ask("wrong", increments=(turns.rounds + 1) * turns.increments)
    return found


def as_data(ways: list[Way], turns: Turns, transport: str, seed: str) -> dict[str, Any]:
    """Everything measured, for ``--json``."""
    return {
        "about": {
            "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"), "python": platform.python_version(),
            "packages": packages(), "transport": transport, "processors": os.cpu_count(), "seed": seed,
            "rounds": turns.rounds, "increments": turns.increments,
        },
        "ways": [
            {
                "title": way.title, "counting": way.counting, "flushing": way.flushing, "statements": way.statements,
                "wrong": way.wrong,
            }
            for way in ways
        ],
    }  # fmt: skip


def as_markdown(ways: list[Way], turns: Turns, transport: str, seed: str) -> str:
    """The report: one table."""
    thousands = turns.increments / 1000
    rows = [
        [
            way.title, f"{median(way.statements) / thousands:,.0f}",
            *(f"{median(each) / thousands * 1000:,.1f}" for each in (way.counting, way.flushing, way.whole)),
            f"{ratio(ways[0].whole, way.whole):.1f}", str(way.wrong),
        ]
        for way in ways
    ]  # fmt: skip
    head = ["for 1,000 increments", "statements", "counting ms", "flushing ms", "together ms", "times faster", "wrong"]
    return f"""\
# Counting, {dt.datetime.now(dt.UTC):%Y-%m-%d}

Python {platform.python_version()}, PostgreSQL, Redis by {transport}; {os.cpu_count()} processors. Seed {seed}.
{turns.rounds} turns of {turns.increments} increments each, of 30 rows chosen by Zipf's law; below are their medians.

{table(head, rows)}

Statements are Django's; each UPDATE is a transaction of its own, and so is a flush, after each turn. One process
counts at a time: what it costs several to wait for the lock of one row is not seen. Wrong is what the database lacks
at the end.
"""
