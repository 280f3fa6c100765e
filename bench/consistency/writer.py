"""A process that writes in every way there is, and notes when each commit began, had happened and had returned."""

from __future__ import annotations

import os
import random
import signal
import time
import traceback
from math import inf
from typing import Any

from django.db import DatabaseError, IntegrityError, connection, transaction

from bench.consistency.journal import Journal
from bench.consistency.operations import OPERATIONS, Touched
from bench.consistency.processes import Gate, Process, Tally
from bench.consistency.subjects import PLAIN, Plain
from bench.consistency.workload import asked

__all__ = ["Writer", "WriterPost"]

#: How much is read, by all readers, between two steps of a writer; and the seconds it waits for that at most.
READS = 40
LONGEST_REST = 0.5

_DEADLOCK = "40P01"
_PLANS = ("autocommit", "atomic", "savepoint", "rollback")
_WEIGHTS = (30, 40, 15, 15)


class UndoneError(Exception):
    """Rolls a transaction back on purpose."""


class Writer:
    """``life``: bounds, in seconds, of the time after which it kills itself (kill -9) right after a COMMIT.

    ``reads``: False for a process that only writes, as many workers of a queue do. ``tally`` has the readers' steps.
    """

    def __init__(
        self, subject: Plain, journal: Journal, seed: str, life: tuple[float, float] | None, tally: Tally, *,
        reads: bool = True,
    ) -> None:  # fmt: skip
        self.subject = subject
        self.journal = journal
        self.dice = random.Random(seed)
        self.end = time.monotonic() + self.dice.uniform(*life) if life else inf
        self.tally = tally
        self.reads = reads
        self.steps = 0
        self.tag = ""

    def run(self, until: float, gate: Gate, patience: float) -> None:
        """Write until the time is over, then stay: what this process owes Redis it pays while it waits."""
        self.subject.prepare(self.journal)
        while time.monotonic() < until:
            read = self.tally.total()
            self._step()
            time.sleep(self.dice.uniform(0.02, 0.06))
            self._let_read(read + READS, min(until, time.monotonic() + LONGEST_REST))
        gate.wait(patience)

    def _let_read(self, enough: int, end: float) -> None:
        """Wait for the readers where the machine is slow: else it would decide how much is written for each read."""
        while self.tally.total() < enough and time.monotonic() < end:
            time.sleep(0.005)

    def _step(self) -> None:
        self.steps += 1
        self.tag = f"{os.getpid()}-{self.steps}"
        [plan] = self.dice.choices(_PLANS, _WEIGHTS)
        [operation] = self.dice.choices(list(OPERATIONS), list(OPERATIONS.values()))
        try:
            self._set_tag(self.tag)
            touched = getattr(self, f"_{plan}")(operation)
        except UndoneError as undone:
            touched = undone.args[0]
            self.journal.note("undone", self.tag)
        except DatabaseError as error:
            if not _is_conflict(error):
                self.journal.note("error", traceback.format_exc())
            return
        except Exception:  # noqa: BLE001 - whatever reaches the caller is what is looked for
            self.journal.note("error", traceback.format_exc())
            return
        else:
            self.journal.note("returned", self.tag, time.monotonic())
        if self.reads:
            self._read_back(touched)

    def _autocommit(self, operation: Any) -> Touched:
        self.journal.note("begun", self.tag, time.monotonic())
        return self._do(operation)

    def _atomic(self, operation: Any) -> Touched:
        with transaction.atomic():
            # Before the first write, so it runs before whatever a cache does after the commit.
            transaction.on_commit(self._committed)
            touched = self._do(operation)
            self._check(touched)
            self._dawdle()
            self.journal.note("begun", self.tag, time.monotonic())
        return touched

    def _savepoint(self, operation: Any) -> Touched:
        with transaction.atomic():
            transaction.on_commit(self._committed)
            with transaction.atomic():
                # Goes with the savepoint, so that what is undone can be told from what is done after it.
                self._set_tag(f"{self.tag}-undone")
                undone = self._do(operation)
                transaction.set_rollback(True)
            self._check(undone)
            touched = self._do(operation)
            self._check(touched)
            self._dawdle()
            self.journal.note("begun", self.tag, time.monotonic())
        return touched

    def _rollback(self, operation: Any) -> Touched:
        with transaction.atomic():
            touched = self._do(operation)
            self._check(touched)
            self._dawdle()
            raise UndoneError(touched)

    def _set_tag(self, tag: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('ledger.tag', %s, false)", [tag])

    def _do(self, operation: Any) -> Touched:
        touched: Touched = operation(self.dice)
        self.subject.changed(touched.keys, touched.groups)
        return touched

    def _committed(self) -> None:
        self.journal.note("committed", self.tag, time.monotonic())
        if time.monotonic() > self.end:
            # Nothing will return to anybody; the commit stands all the same.
            self.journal.note("returned", self.tag, time.monotonic())
            self.journal.note("killed")
            os.kill(os.getpid(), signal.SIGKILL)
        if self.dice.random() < 0.3:
            # A project's own hook may take its time before the cache's has run.
            time.sleep(self.dice.uniform(0, 0.03))

    def _check(self, touched: Touched) -> None:
        """Inside the transaction: what the cache says of the rows just written is what this connection sees."""
        questions = [("get", key) for key in touched.keys[:2]] + [("group", group) for group in touched.groups[:2]]
        for kind, argument in questions:
            before, cached, after = (asked(subject, kind, argument) for subject in (PLAIN, self.subject, PLAIN))
            seen, right, still = (
                {row for row in read.answer if row[0] in touched.keys} for read in (cached, before, after)
            )
            # A savepoint's rollback gave the locks up: then another writer may have come between the three.
            if seen != right == still:
                self.journal.note("own", kind, argument, cached.answer, before.answer)

    def _read_back(self, touched: Touched) -> None:
        """After the commit or the rollback, by the ordinary rules."""
        questions = [("get", key) for key in touched.keys[:2]] + [("group", group) for group in touched.groups[:1]]
        for kind, argument in questions:
            try:
                self.journal.note("read", asked(self.subject, kind, argument, own=True))
            except Exception:  # noqa: BLE001 - as above
                self.journal.note("error", traceback.format_exc())

    def _dawdle(self) -> None:
        if self.dice.random() < 0.5:
            time.sleep(self.dice.uniform(0, 0.01))


class WriterPost:
    """A writer that is replaced when it dies. ``lives``: bounds, in seconds, of the time after which it is killed."""

    def __init__(self, make: Any, journal: Journal, seed: str, lives: tuple[float, float] | None) -> None:
        self.make = make
        self.journal = journal
        self.dice = random.Random(seed)
        self.lives = lives

    def run(self, until: float, gate: Gate, patience: float) -> None:
        """Fork writers, one after the other, until the time is over."""
        generation = 0
        while (now := time.monotonic()) < until:
            process = Process(lambda number=generation: self.make(number).run(until, gate, patience))
            generation += 1
            end = now + self.dice.uniform(*self.lives) if self.lives else until + patience
            if process.join(min(end, until + patience)) is None:
                if self.lives and end < until:
                    self.journal.note("killed")
                else:
                    process.join(until + patience)
                process.kill()
            if process.exit_code not in {0, -signal.SIGKILL}:
                self.journal.note("error", f"a writer ended with exit code {process.exit_code}")
        self.journal.flush()


def _is_conflict(error: DatabaseError) -> bool:
    """Two writers met, as writers do: none of a cache's business."""
    cause = error.__cause__
    return (
        isinstance(error, IntegrityError)
        or getattr(cause, "sqlstate", None) == _DEADLOCK
        or "did not affect any rows" in str(error)
    )
