"""Plays the scenarios in turns: one team after the other, in shuffled order."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from bench.contestants import Contestant
from bench.driver import WorkerError
from bench.servers import Servers
from bench.stampede.figures import Turn
from bench.stampede.plan import LOAD, PROCESSES, SOFT, Pace
from bench.stampede.team import Team

__all__ = ["Stampede", "connections", "run"]

_SOON = 0.25  # seconds until the gate: time enough for every process to hear of it
_LATE = LOAD / 5  # seconds after which a process that comes to the gate has missed the crowd
_AGAIN = 5  # times a turn is played because of that
_SPARE = 100  # connections beyond one for each caller


@dataclass(slots=True)
class Stampede:
    """What one run found: turns by scenario and contestant; who was not there; who cannot do what; who failed."""

    turns: dict[str, dict[str, list[Turn]]] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    unable: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def connections(pace: Pace) -> int:
    """How many connections the database must take."""
    return PROCESSES * pace.callers + _SPARE


def run(
    contestants: Sequence[Contestant], scenarios: Sequence[str], servers: Servers, pace: Pace, seed: str
) -> Stampede:
    """Measure once. A contestant who fails is noted in ``Stampede.failed`` and takes no part."""
    found = Stampede({scenario: {} for scenario in scenarios})
    found.absent = {c.name: f"{', '.join(c.absent)} not installed" for c in contestants if c.absent}
    with ExitStack() as stack:
        teams = {
            contestant.name: Team(stack, contestant, servers, number, pace)
            for number, contestant in enumerate(contestants)
            if not contestant.absent
        }
        for team in teams.values():
            team.begin()
        for team in teams.values():
            team.complete()
            found.versions |= team.versions
        dice = random.Random(seed)
        for number in range(pace.rounds):
            for name in dice.sample(sorted(teams), len(teams)):
                if name not in found.failed:
                    _round(found, teams[name], pace, f"{seed}:{number}")
    return found


def _round(found: Stampede, team: Team, pace: Pace, topic: str) -> None:
    name = team.contestant.name
    try:
        for scenario, played in found.turns.items():
            if scenario == "servable" and scenario in team.contestant.cases and not team.servable:
                found.unable[name] = "this version has no second, earlier time"
            elif scenario in team.contestant.cases:
                played.setdefault(name, []).append(_met(team, scenario, pace, topic))
    except WorkerError as error:
        found.failed[name] = str(error)
        for played in found.turns.values():
            played.pop(name, None)


def _met(team: Team, scenario: str, pace: Pace, topic: str) -> Turn:
    """A turn in which every process came in time: where the machine has other work, the first may be none."""
    turn = _played(team, scenario, pace, f"{topic}:0")
    for again in range(1, _AGAIN):
        if turn.late <= _LATE:
            break
        turn = _played(team, scenario, pace, f"{topic}:{again}")
    return turn


def _played(team: Team, scenario: str, pace: Pace, topic: str) -> Turn:
    soft = scenario == "servable"
    team.ready(soft=soft)
    if soft:
        time.sleep(SOFT * 1.05)
    elif scenario == "invalidated":
        team.write(topic)
    elif scenario != "present":
        team.expire()
    before = team.loads.count()
    if scenario == "killed":
        team.loads.doom()
    team.go(time.perf_counter() + _SOON, pace.patience)
    if scenario == "killed":
        team.kill_loader(LOAD / 5, pace.patience)
    told = team.told()
    # What is refreshed behind the answers belongs to this stampede.
    team.calm(pace.patience)
    loads = team.loads.count() - before
    old = sum(n for each in told for seen, n in each["topics"].items() if scenario == "invalidated" and seen != topic)
    unanswered = sum(each["unanswered"] for each in told)
    waits = [wait for each in told for wait in each["waits"]] + [pace.patience] * unanswered
    errors = [error for each in told for error in each["errors"]]
    return Turn(loads, waits, errors, unanswered, old, max(each["late"] for each in told))
