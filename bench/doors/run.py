"""Starts a process for each library, hands out the turns, and keeps what they tell."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.contestants import Contestant
from bench.doors.plan import CASES, LIBRARIES, Pace, Row
from bench.driver import Worker, WorkerError
from bench.servers import Servers
from bench.throttle.processors import move, processors

__all__ = ["Doors", "libraries", "run"]

Player = tuple[Row, Worker]


@dataclass(slots=True)
class Doors:
    """What one run found.

    By contestant: by case µs in each round, and round trips and SQL statements; ``keys`` and ``server`` bytes of an
    entry; how many requests that overlapped were kept. And who was absent, failed, was wrong.
    """

    microseconds: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    costs: dict[str, dict[str, tuple[float, float]]] = field(default_factory=dict)
    weights: dict[str, dict[str, float]] = field(default_factory=dict)
    kept: dict[str, int] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    wrong: dict[str, str] = field(default_factory=dict)


def libraries(rows: Sequence[Row]) -> list[Contestant]:
    """Those that are played by the contestants of ``rows``."""
    return [each for each in LIBRARIES if any(row.library == each.name for row in rows)]


def run(rows: Sequence[Row], servers: Servers, pace: Pace, seed: str) -> Doors:
    """Measure everything once; who fails before it is timed is noted, and takes no part.

    Raises ``WorkerError`` if one fails later.
    """
    found = Doors()
    workers: dict[str, Worker] = {}
    try:
        for number, library in enumerate(libraries(rows)):
            if library.absent:
                found.absent[library.title] = f"{', '.join(library.absent)} not installed"
                continue
            job = {**servers.job(number, library), "doors": {"library": library.name, "entries": pace.entries}}
            workers[library.name] = Worker(library, job)
        players = [(row, workers[row.library]) for row in rows if row.library in workers]
        # A database is emptied to weigh what it holds, so all of a library are weighed before any of it is filled.
        players = [player for player in players if _able(player, found, lambda player: _weigh(player, found))]
        players = [player for player in players if _able(player, found, lambda player: _count(player, found, pace))]
        _measure(players, found, pace, seed, servers.valkey.pid)
    finally:
        for worker in workers.values():
            worker.close()
    return found


def _able(player: Player, found: Doors, do: Callable[[Player], None]) -> bool:
    try:
        do(player)
    except WorkerError as error:
        found.failed[player[0].name] = str(error)
    return player[0].name not in found.failed


def _weigh(player: Player, found: Doors) -> None:
    row, worker = player
    found.versions |= worker.ask("versions")
    found.weights[row.name] = worker.ask("weigh", way=row.name)


def _count(player: Player, found: Doors, pace: Pace) -> None:
    row, worker = player
    worker.ask("fill", way=row.name)
    found.costs[row.name] = {}
    for case in CASES[row.kind]:
        told = worker.ask("costs", way=row.name, case=case)
        _note_wrong(found, row.name, case, told["wrong"])
        found.costs[row.name][case] = told["round_trips"], told["statements"]
    kept = worker.ask("race", way=row.name, requests=pace.requests)
    if kept is not None:
        found.kept[row.name] = kept
        # Others may lose some: that is told, and is what they do. Ours must not.
        if row.name.startswith("ours") and kept != pace.requests:
            found.wrong.setdefault(row.name, f"of {pace.requests} requests it has kept {kept}")


def _measure(players: Sequence[Player], found: Doors, pace: Pace, seed: str, server: int) -> None:
    dice = random.Random(seed)
    turns = [(row, worker, case) for row, worker in players for case in CASES[row.kind]]
    _move(players, server, 0)
    calls = {
        (row.name, case): worker.ask("begin", way=row.name, case=case, seconds=pace.batch_seconds)
        for row, worker, case in turns
    }
    for row, _, case in turns:
        found.microseconds.setdefault(row.name, {})[case] = []
    for at in range(pace.rounds):
        _move(players, server, at)
        for row, worker, case in dice.sample(turns, len(turns)):
            batch = worker.ask("batch", way=row.name, case=case, calls=calls[row.name, case])
            found.microseconds[row.name][case].append(batch["microseconds"])
            _note_wrong(found, row.name, case, batch["wrong"])


def _move(players: Sequence[Player], server: int, turn: int) -> None:
    if there := processors():
        processor = there[turn % len(there)]
        move(server, processor)
        for worker in {id(worker): worker for _, worker in players}.values():
            worker.ask("move", processor=processor)


def _note_wrong(found: Doors, name: str, case: str, wrong: dict[str, Any]) -> None:
    if wrong:
        said = "; ".join(f"{number} times {said}" for said, number in wrong.items())
        found.wrong.setdefault(name, f"{case}: {said}")
