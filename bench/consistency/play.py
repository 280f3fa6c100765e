"""Plays one scenario: starts everybody, lets things go wrong, waits until all is quiet, and reads the journals."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psycopg

from bench.consistency.journal import Journal, events
from bench.consistency.outcome import Outcome, outcome_of
from bench.consistency.processes import Gate, Process, Tally
from bench.consistency.proxy import Proxy
from bench.consistency.scenarios import Scenario
from bench.consistency.stage import Stage
from redis_toolkit.testing import PostgresServer

__all__ = ["play", "prepare"]

#: How readers rest: see ``Reader``. The others read as fast as they can.
RESTS: tuple[dict[str, Any], ...] = ({}, {}, {"drowsy": 0.4})
NAPS: dict[str, Any] = {"naps": (0.5, 3.0)}
WRITERS = 2
#: Seconds that anybody waits for anybody after the load.
PATIENCE = 30.0
_MARKS = 5.0
_DEBTS = 1.5


def prepare() -> None:
    """Set Django up, and make the tables."""
    import django

    django.setup()
    from bench.consistency.ledger.models import create_tables

    _in_a_child(create_tables)


def play(
    scenario: Scenario, subject: str, seconds: float, seed: str, postgres: PostgresServer, proxy: Proxy
) -> Outcome:
    """Run one scenario for so many seconds of load."""
    from bench.consistency.ledger.models import refill

    _in_a_child(refill)
    seed = f"{seed}:{scenario.name}"
    with tempfile.TemporaryDirectory(prefix="consistency-") as folder, Stage(proxy, seed).running() as stage:
        directory = Path(folder)
        gate = Gate()
        until = time.monotonic() + seconds
        with _cast(scenario, subject, seed, directory, until, gate) as processes:
            _go_wrong(scenario, stage, seconds, until)
            _settle(stage)
            gate.open()
            codes = [process.join(time.monotonic() + PATIENCE) for process in processes]
        gate.close()
        return outcome_of(scenario, subject, stage, list(events(directory)), _audit(postgres), codes)


def _in_a_child(work: Callable[[], object]) -> None:
    """The driver itself holds no connection of Django's, for its children would share it."""
    process = Process(work)
    if process.join(time.monotonic() + PATIENCE) != 0:
        process.kill()
        raise RuntimeError("the database could not be prepared")


@contextmanager
def _cast(
    scenario: Scenario, subject: str, seed: str, directory: Path, until: float, gate: Gate
) -> Iterator[list[Process]]:
    """Readers and writers at work; none of them is left at the end."""
    from bench.consistency.reader import Reader
    from bench.consistency.subjects import SUBJECTS
    from bench.consistency.writer import Writer, WriterPost

    kind = SUBJECTS[subject]
    rests = [*RESTS, NAPS] if scenario.naps else RESTS
    tally = Tally(len(rests))
    left = until - time.monotonic()
    lives = (left * scenario.lives[0], left * scenario.lives[1]) if scenario.lives else None

    def read(number: int) -> None:
        journal = Journal(directory, f"reader{number}", patience=200)
        count = partial(tally.add, number)
        Reader(kind(), journal, f"{seed}:reader{number}", count, **rests[number]).run(until, gate, PATIENCE)

    def write(number: int) -> None:
        name = f"writer{number}"
        imposed = None if scenario.after_commit else lives

        def make(life: int) -> Any:
            own = lives if scenario.after_commit else None
            return Writer(kind(), Journal(directory, name), f"{seed}:{name}:{life}", own, tally, reads=number == 0)

        post = WriterPost(make, Journal(directory, f"post{number}"), f"{seed}:post{number}", imposed)
        post.run(until, gate, PATIENCE)

    roles = [*((read, number) for number in range(len(rests))), *((write, number) for number in range(WRITERS))]
    processes: list[Process] = []
    try:
        for work, number in roles:
            processes.append(Process(partial(work, number)))
        yield processes
    finally:
        for process in processes:
            process.kill()


def _go_wrong(scenario: Scenario, stage: Stage, seconds: float, until: float) -> None:
    for pause in scenario.fault(stage, seconds):
        time.sleep(max(0.0, min(pause, until - time.monotonic())))
    time.sleep(max(0.0, until - time.monotonic()))


def _settle(stage: Stage) -> None:
    """Wait until marks of the dead have run out, and whoever owes Redis something has had the time to pay."""
    # Without any outage, too: a time-out that only the machine asked for leaves debts as well.
    time.sleep(_DEBTS)
    deadline = time.monotonic() + _MARKS
    while stage.marks() and time.monotonic() < deadline:
        time.sleep(0.05)


def _audit(postgres: PostgresServer) -> list[Any]:
    with psycopg.connect(postgres.url) as link:
        return link.execute('SELECT item, version, tag, "group" FROM ledger_audit').fetchall()
