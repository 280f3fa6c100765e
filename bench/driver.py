"""Starts the workers and hands out the turns."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from bench.contestants import CASES, HITS, REFERENCE, Contestant
from bench.servers import Servers

__all__ = ["Pace", "Run", "Worker", "WorkerError", "run"]


class WorkerError(RuntimeError):
    """A contestant could not do what it was told; the message is its own."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long to measure."""

    rounds: int
    batch_seconds: float


@dataclass(slots=True)
class Run:
    """What one run found: times by case, contestant and round; what Redis held; who was not there, who failed."""

    microseconds: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    weights: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    profiles: dict[str, str] = field(default_factory=dict)


class Worker:
    """A contestant's process and the pipe to it."""

    def __init__(self, contestant: Contestant, job: dict[str, Any]) -> None:
        self.contestant = contestant
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[1],
            env={**os.environ, "BENCH_JOB": json.dumps(job)},
        )

    def send(self, do: str, **order: Any) -> None:
        """Give an order without waiting for its answer."""
        stdin: IO[str] = self._process.stdin  # type: ignore[assignment]
        with suppress(BrokenPipeError):  # a dead worker is noticed, and named, where its answer is awaited
            stdin.write(json.dumps({"do": do, **order}) + "\n")
            stdin.flush()

    def receive(self) -> Any:
        """The answer to the oldest order not yet answered."""
        stdout: IO[str] = self._process.stdout  # type: ignore[assignment]
        line = stdout.readline()
        if not line:
            message = f"{self.contestant.name} died with exit code {self._process.wait()}"
            raise WorkerError(message)
        reply = json.loads(line)
        if "error" in reply:
            print(reply["trace"], file=sys.stderr)
            raise WorkerError(reply["error"])
        return reply["result"]

    def ask(self, do: str, **order: Any) -> Any:
        """Give an order and wait for its answer."""
        self.send(do, **order)
        return self.receive()

    def kill(self) -> None:
        """Kill -9, and wait for the end."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Let the process end."""
        with suppress(BrokenPipeError):
            self._process.communicate()


def run(contestants: Sequence[Contestant], servers: Servers, pace: Pace, *, profile: bool = False) -> Run:
    """Measure everything once.

    Who cannot start or answers otherwise than plain Django is noted in ``Run.failed`` and takes no part. Raises
    ``WorkerError`` if a read that was timed as a hit asked the database.
    """
    found = Run()
    present = [contestant for contestant in contestants if not contestant.absent]
    found.absent = {c.name: f"{', '.join(c.absent)} not installed" for c in contestants if c.absent}
    workers = [Worker(contestant, servers.job(number, contestant)) for number, contestant in enumerate(present)]
    try:
        workers = _right(_able(workers, found), found)
        for case in HITS[:2]:
            weighed = [worker for worker in workers if worker.contestant.weighed]
            found.weights[case] = {worker.contestant.name: worker.ask("weight", case=case) for worker in weighed}
        for case in CASES:
            found.microseconds[case] = _measured(case, workers, pace)
        if profile:
            found.profiles = _profiles(workers)
    finally:
        for worker in workers:
            worker.close()
    return found


def _able(workers: Sequence[Worker], found: Run) -> list[Worker]:
    for worker in workers:
        worker.send("versions")
    able = []
    for worker in workers:
        try:
            found.versions |= worker.receive()
            able.append(worker)
        except WorkerError as error:
            found.failed[worker.contestant.name] = str(error)
            worker.close()
    return able


def _right(workers: Sequence[Worker], found: Run) -> list[Worker]:
    reference = next(worker for worker in workers if worker.contestant.name == REFERENCE)
    right = {case: reference.ask("answers", case=case) for case in HITS}
    for worker in workers:
        for case in HITS:
            given = worker.ask("answers", case=case)
            if given != right[case]:
                wrong = next(pair for pair in zip(given, right[case], strict=True) if pair[0] != pair[1])
                found.failed[worker.contestant.name] = f"it answers {case} with {wrong[0]} instead of {wrong[1]}"
    for worker in workers:
        if worker.contestant.name in found.failed:
            worker.close()
    return [worker for worker in workers if worker.contestant.name not in found.failed]


def _measured(case: str, workers: Sequence[Worker], pace: Pace) -> dict[str, list[float]]:
    playing = [worker for worker in workers if case in worker.contestant.cases]
    calls = {id(worker): worker.ask("begin", case=case, seconds=pace.batch_seconds) for worker in playing}
    times: dict[str, list[float]] = {worker.contestant.name: [] for worker in playing}
    for _ in range(pace.rounds if case in HITS else max(1, pace.rounds // 2)):
        for worker in random.sample(playing, len(playing)):
            batch = worker.ask("batch", case=case, calls=calls[id(worker)])
            name = worker.contestant.name
            if batch["queries"] and worker.contestant.caches:
                message = f"{name} asked the database {batch['queries']} times during {case}: not a hit"
                raise WorkerError(message)
            times[name].append(batch["microseconds"])
    return times


def _profiles(workers: Sequence[Worker]) -> dict[str, str]:
    ours = [worker for worker in workers if worker.contestant.name == "ours"]
    return {case: worker.ask("profile", case=case, seconds=0.25, lines=25) for case in HITS[:3] for worker in ours}
