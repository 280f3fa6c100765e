"""A process that asks, and at the end, when everything has come to rest, compares every answer with the database."""

from __future__ import annotations

import random
import time
import traceback
from collections.abc import Callable

from django.db import transaction

from bench.consistency.journal import Journal
from bench.consistency.processes import Gate
from bench.consistency.subjects import PLAIN, Plain
from bench.consistency.workload import any_question, asked, every_question

__all__ = ["Reader"]

#: One read in so many asks the database without any cache: it says what a read costs, and that the judge is right.
_PLAIN = 12


class Reader:
    """``count`` is called after each read.

    ``drowsy``: it rests up to so many seconds between two reads, so that it misses the beginning of a fault.

    ``naps``: bounds, in seconds, of the time it sleeps after every hundred reads, so that it misses whole faults.
    """

    def __init__(
        self, subject: Plain, journal: Journal, seed: str, count: Callable[[], None], drowsy: float = 0,
        naps: tuple[float, float] | None = None,
    ) -> None:  # fmt: skip
        self.subject = subject
        self.count = count
        self.journal = journal
        self.dice = random.Random(seed)
        self.drowsy = drowsy
        self.naps = naps
        self.steps = 0

    def run(self, until: float, gate: Gate, patience: float) -> None:
        """Read until the time is over; wait for the gate; look at everything."""
        self.subject.prepare(self.journal)
        while time.monotonic() < until:
            self._step()
        self.journal.flush()
        if gate.wait(patience):
            self._look()
        self.journal.flush()

    def _step(self) -> None:
        kind, argument = any_question(self.dice)
        subject = self.subject if self.dice.randrange(_PLAIN) else PLAIN
        try:
            if self.dice.random() < 0.05:
                with transaction.atomic():
                    read = asked(subject, kind, argument)
            else:
                read = asked(subject, kind, argument)
        except Exception:  # noqa: BLE001 - whatever reaches the caller is what is looked for
            self.journal.note("error", traceback.format_exc())
        else:
            self.journal.note("read", read)
        self.steps += 1
        self.count()
        if self.naps and self.steps % 100 == 0:
            time.sleep(self.dice.uniform(*self.naps))
        elif self.drowsy:
            time.sleep(self.dice.uniform(0, self.drowsy))
        else:
            # Room for the others: these processes are more than there are processors.
            time.sleep(0.0005)

    def _look(self) -> None:
        """Nobody writes any more. Each question twice, so that what is stored now is seen, too."""
        for kind, argument in every_question() * 2:
            try:
                cached = asked(self.subject, kind, argument)
                plain = asked(PLAIN, kind, argument)
            except Exception:  # noqa: BLE001 - as above
                self.journal.note("error", traceback.format_exc())
                continue
            if cached.answer != plain.answer:
                self.journal.note("wrong", kind, argument, cached.answer, plain.answer, cached.outcome)
        self.journal.note("looked")
