"""The readers of a storm: processes full of threads, which begin at the same moment.

Each process lives under the conditions of its storm: the address of a Valkey that is the storm's own, settings that
switch a defence on or off. The web process, its cache and its settings are left alone.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from multiprocessing.connection import Connection, wait
from multiprocessing.process import parent_process
from multiprocessing.synchronize import Barrier, Semaphore
from typing import Any

import django

__all__ = ["Conditions", "Crew", "Seat", "crew"]

PATIENCE = 60.0  # seconds that threads wait for each other; they need two

_spawning = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Conditions:
    """What a storm's processes live under: the address of its Valkey, and settings by their names."""

    redis: str
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Seat:
    """One process of a crew: its number, how many threads it has, and where all threads of all processes meet."""

    number: int
    threads: int
    gate: Barrier
    begun: Semaphore

    def meet(self) -> None:
        """Wait for every other thread of the crew."""
        self.gate.wait(PATIENCE)

    def begin(self) -> None:
        """Say that this thread begins, now."""
        self.begun.acquire()

    def all_begun(self) -> bool:
        """Whether every thread of the crew has said so."""
        return self.begun.get_value() == 0

    def each(self, work: Callable[[int], Any]) -> list[Any]:
        """What the work returns in each thread; its argument is the thread's number among all of the crew."""
        first = self.number * self.threads
        with ThreadPoolExecutor(self.threads) as pool:
            return list(pool.map(work, range(first, first + self.threads)))


@dataclass(frozen=True)
class Crew:
    """Processes at work, seen from who called them."""

    gate: Barrier
    ends: list[Connection]

    def meet(self) -> None:
        """Wait for all threads of the crew, if that was agreed."""
        self.gate.wait(PATIENCE)

    def answers(self) -> list[Any]:
        """Wait until all is done; what each process returned. Raises RuntimeError if one failed."""
        try:
            return [end.recv() for end in self.ends]
        except EOFError:
            raise RuntimeError("A process of the storm ended before its work was done.") from None


@contextmanager
def crew(
    work: str, conditions: Conditions, *, processes: int, threads: int, joined: bool = False, **arguments: Any
) -> Iterator[Crew]:
    """Processes that do the work, `module:function`, as `function(seat, **arguments)`, under the conditions.

    `joined`: the caller is one of those who wait when a thread says `seat.meet()`.
    """
    gate = _spawning.Barrier(processes * threads + joined)
    begun = _spawning.Semaphore(processes * threads)
    ends, members = [], []
    try:
        for number in range(processes):
            ours, theirs = _spawning.Pipe(duplex=False)
            seat = Seat(number, threads, gate, begun)
            member = _spawning.Process(target=_live, args=(work, conditions, seat, arguments, theirs), daemon=True)
            member.start()
            theirs.close()
            ends.append(ours)
            members.append(member)
        yield Crew(gate, ends)
    finally:
        for member in members:
            member.terminate()
            member.join()


def _live(work: str, conditions: Conditions, seat: Seat, arguments: dict[str, Any], end: Connection) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    django.setup()
    # These need the settings, and `override_settings` is what tells everybody, the toolkit too, that they changed.
    from django.conf import settings  # noqa: PLC0415
    from django.test.utils import override_settings  # noqa: PLC0415

    default = {**settings.CACHES["default"], "LOCATION": conditions.redis}
    caches = {**settings.CACHES, "default": default}
    module, _, name = work.partition(":")
    # What is counted is told when the process ends, and then to the site, of whose figures a storm is no part.
    with override_settings(CACHES=caches, REDIS_TOOLKIT_STATS=False, **conditions.settings):
        end.send(getattr(import_module(module), name)(seat, **arguments))


def _end_with_parent() -> None:
    # A daemon is ended by its parent, but not by a parent that was killed.
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
