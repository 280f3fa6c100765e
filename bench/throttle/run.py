"""Starts a process for each library, hands out the turns, and keeps what they tell."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.contestants import Contestant
from bench.driver import Worker, WorkerError
from bench.servers import Servers
from bench.throttle.plan import CASES, FLOOR, LIBRARIES, OURS, REMEMBERED, TIGHT, Pace, Row
from bench.throttle.processors import move, processors

__all__ = ["Checks", "libraries", "run"]

_PROFILED = ((OURS, CASES[0]), (OURS, CASES[1]), (REMEMBERED, CASES[1]))


@dataclass(slots=True)
class Checks:
    """What one run found.

    By case and contestant: µs and those of the server's processor, in each round; round trips. By contestant:
    how many were admitted of TIGHT in each crowd; what Redis holds of a client. And who was absent, failed, was wrong.
    """

    microseconds: dict[str, dict[str, list[float]]] = field(default_factory=lambda: {case: {} for case in CASES})
    round_trips: dict[str, dict[str, float]] = field(default_factory=lambda: {case: {} for case in CASES})
    server: dict[str, dict[str, list[float]]] = field(default_factory=lambda: {case: {} for case in CASES})
    admitted: dict[str, list[int]] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    wrong: dict[str, str] = field(default_factory=dict)
    profiles: dict[str, str] = field(default_factory=dict)


def libraries(rows: Sequence[Row]) -> list[Contestant]:
    """Those that are played by the contestants of ``rows``."""
    return [each for each in LIBRARIES if any(row.library == each.name for row in rows)]


def run(rows: Sequence[Row], servers: Servers, pace: Pace, seed: str, *, profile: bool = False) -> Checks:
    """Measure everything once; who fails before it is timed is noted, and takes no part.

    Raises ``WorkerError`` if one fails later.
    """
    found = Checks()
    workers: dict[str, Worker] = {}
    try:
        for number, library in enumerate(libraries(rows)):
            if library.absent:
                found.absent[library.title] = f"{', '.join(library.absent)} not installed"
                continue
            workers[library.name] = Worker(library, {**servers.job(number, library), "throttle": library.name})
        players = [(row, workers[row.library]) for row in rows if row.library in workers]
        players = _prepared(players, found)
        players = [player for player in players if _counted(player, found, pace)]
        _measure(players, found, pace, seed, servers.valkey.pid)
        if profile:
            found.profiles = _profiles(players)
    finally:
        for worker in workers.values():
            worker.close()
    return found


Player = tuple[Row, Worker]


def _prepared(players: Sequence[Player], found: Checks) -> list[Player]:
    # A database is emptied to weigh what it holds, so all of a library are weighed before any of it is used up.
    players = [player for player in players if _able(player, found, lambda player: _weigh(player, found))]
    return [player for player in players if _able(player, found, lambda player: _use_up(player, found))]


def _able(player: Player, found: Checks, do: Callable[[Player], None]) -> bool:
    try:
        do(player)
    except WorkerError as error:
        found.failed[player[0].name] = str(error)
    return player[0].name not in found.failed


def _weigh(player: Player, found: Checks) -> None:
    row, worker = player
    found.versions |= worker.ask("versions")
    found.weights[row.name] = worker.ask("weigh", way=row.name)


def _use_up(player: Player, found: Checks) -> None:
    row, worker = player
    if reason := worker.ask("use_up", way=row.name):
        found.wrong[row.name] = reason


def _counted(player: Player, found: Checks, pace: Pace) -> bool:
    """Count round trips, and who is admitted by a crowd."""

    def count(player: Player) -> None:
        row, worker = player
        for case in row.cases:
            told = worker.ask("round_trips", way=row.name, case=case)
            _note_wrong(found, row.name, case, told["wrong"])
            found.round_trips[case][row.name] = told["round_trips"]
        if CASES[1] in row.cases:
            found.admitted[row.name] = [worker.ask("crowd", way=row.name) for _ in range(pace.crowds)]
            # A peer may let more through: that is told, and is what it does. Ours must not.
            if row.name.startswith(("ours", FLOOR)) and set(found.admitted[row.name]) != {TIGHT}:
                found.wrong[row.name] = f"{found.admitted[row.name]} were admitted of {TIGHT}"

    return _able(player, found, count)


def _measure(players: Sequence[Player], found: Checks, pace: Pace, seed: str, server: int) -> None:
    dice = random.Random(seed)
    turns = [(row, worker, case) for row, worker in players for case in row.cases]
    _move(players, server, 0)
    checks = {
        (row.name, case): worker.ask("begin", way=row.name, case=case, seconds=pace.batch_seconds)
        for row, worker, case in turns
    }
    for row, _, case in turns:
        found.microseconds[case][row.name] = []
        found.server[case][row.name] = []
    for at in range(pace.rounds):
        _move(players, server, at)
        for row, worker, case in dice.sample(turns, len(turns)):
            batch = worker.ask("batch", way=row.name, case=case, checks=checks[row.name, case])
            found.microseconds[case][row.name].append(batch["microseconds"])
            found.server[case][row.name].append(batch["server"])
            _note_wrong(found, row.name, case, batch["wrong"])


def _move(players: Sequence[Player], server: int, turn: int) -> None:
    if there := processors():
        processor = there[turn % len(there)]
        move(server, processor)
        for worker in {id(worker): worker for _, worker in players}.values():
            worker.ask("move", processor=processor)


def _note_wrong(found: Checks, name: str, case: str, wrong: dict[str, Any]) -> None:
    if wrong:
        said = "; ".join(f"{number} times {said}" for said, number in wrong.items())
        found.wrong.setdefault(name, f"instead of {case} it said: {said}")


def _profiles(players: Sequence[Player]) -> dict[str, str]:
    return {
        f"{row.title}, {case}": worker.ask("profile", way=row.name, case=case, lines=25)
        for row, worker in players
        for case in row.cases
        if (row.name, case) in _PROFILED
    }
