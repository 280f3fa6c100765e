from __future__ import annotations

import fcntl
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from demo_project.lab import outcomes, records
from demo_project.lab.catalogue import STORMS, Storm
from demo_project.lab.running import BEAT, forget, tell

DEFENCES = {"off": (False,), "on": (True,), "both": (False, True)}


class Command(BaseCommand):
    help = (
        "Calls up a storm of the lab in processes of its own, with a Valkey of its own; prints what came of it as JSON."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", choices=STORMS)
        parser.add_argument("--defence", choices=DEFENCES, default="both", help="Default: off, then on.")
        parser.add_argument("--size", type=int, help="Readers, lookups or answers, as the storm has them.")

    def handle(self, *, name: str, defence: str, size: int | None, **_: Any) -> None:
        storm = STORMS[name]
        with alone():
            for turn, defended in enumerate(runs := DEFENCES[defence]):
                with progress(storm, defended=defended, turn=turn, turns=len(runs)) as heard:
                    outcome = storm.play(defended=defended, size=size or storm.size, tell=heard)
                record = outcomes.keep(name, defended=defended, outcome=outcome)
                self.stdout.write(json.dumps(record))


@contextmanager
def alone() -> Iterator[None]:
    """Raises CommandError while another storm is under way. The kernel frees the lock, however a storm ends."""
    with (records.folder() / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CommandError("Another storm is under way.") from None
        try:
            yield
        finally:
            forget()


@contextmanager
def progress(storm: Storm, *, defended: bool, turn: int, turns: int) -> Iterator[outcomes.Tell]:
    """Say how far the storm is, again and again: what is not said any more is not under way any more."""
    reached = [0.0]
    over = threading.Event()

    def say(share: float) -> None:
        reached[0] = share
        tell(storm.name, defended=defended, share=(turn + share) / turns)

    def go_on() -> None:
        while not over.wait(BEAT):
            say(reached[0])

    say(0.0)
    beating = threading.Thread(target=go_on, daemon=True)
    beating.start()
    try:
        yield say
    finally:
        over.set()
        beating.join()
