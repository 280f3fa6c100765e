"""Processes that add, and processes that flush and are killed (-9) at a given step; and who starts them.

``python -m tests.concurrency.flushers ALIAS`` takes orders on its standard input and tells what has become of them on its
standard output, a line of JSON each. It forks, because a process that has imported Django is then had in no time.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn

from tests.concurrency.actors import PATIENCE

__all__ = ["AMOUNT", "PAGES", "POINTS", "Nursery", "added"]

#: How many pages there are, under keys 1, 2, ….
PAGES = 1200
#: Increments in one round trip.
AMOUNT = 250
#: Where a flusher dies: it has the lock; it has taken a batch; it has changed the rows; the ledger; it has committed; it
#: has dropped the batch (and is about to lock the ledger again).
POINTS = ("locked", "taken", "changed", "written", "committed", "dropped")

_ROWS, _LEDGER = '"app_page"', '"redis_toolkit_ledger"'


def added(adder: int, portion: int, increments: int) -> list[Counter[int]]:
    """What an adder adds in a portion, one round trip each: always the same."""
    chance = random.Random(f"{adder} {portion}")
    return [Counter(chance.choices(range(1, PAGES + 1), k=AMOUNT)) for _ in range(increments // AMOUNT)]


class Nursery:
    """(In the test's process.) Who starts them."""

    def __init__(self, environment: dict[str, str], alias: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "tests.concurrency.flushers", alias],
            env={**environment, "PATH": ""}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip

    def order(self, **what: Any) -> None:
        """Have something done."""
        assert self._process.stdin is not None
        print(json.dumps(what), file=self._process.stdin, flush=True)

    def hear(self) -> dict[str, Any]:
        """What has been done next. Raises AssertionError if nothing is for too long."""
        assert self._process.stdout is not None
        patience = threading.Timer(PATIENCE * 3, self._kill)
        patience.start()
        line = self._process.stdout.readline()
        patience.cancel()
        assert line, "nobody does anything any more"
        heard: dict[str, Any] = json.loads(line)
        return heard

    def close(self) -> None:
        """End it, and all it has started."""
        self._kill()
        self._process.communicate()

    def _kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)


def main(alias: str) -> None:
    """Take orders."""
    import django
    from django.conf import settings

    # A server that appends to a file waits for the disk, and whoever hears nothing from it dies of that, here.
    settings.REDIS_TOOLKIT_READ_TIMEOUT = settings.REDIS_TOOLKIT_CONNECT_TIMEOUT = PATIENCE
    django.setup()
    from redis_toolkit.cache import WriteBehind
    from tests.app.models import Page

    views = WriteBehind(Page, "views", using=alias)
    adders: dict[int, int] = {}
    for line in sys.stdin:
        order = json.loads(line)
        if "adder" in order:
            if order["adder"] not in adders:
                adders[order["adder"]] = _fork_with_pipe(lambda given: _add(views, given))
            os.write(adders[order["adder"]], line.encode())
        else:
            _fork(lambda: _flush(views, alias, **order))  # noqa: B023 - the child has this one's


def _add(views: Any, lines: Any) -> None:
    for line in lines:
        order = json.loads(line)
        for amounts in added(**order):
            views.add_many(amounts)
        _tell(added=order["adder"])


def _flush(views: Any, alias: str, point: str = "", batch: int = 1) -> None:
    """Flush again and again; at ``point`` of the so many-th ``batch`` there is nobody any more."""
    from django.db import connections, transaction

    steps: Counter[str] = Counter()

    def passes(step: str) -> None:
        steps[step] += 1
        if (step, steps[step]) == (point, batch):
            os.kill(os.getpid(), signal.SIGKILL)

    def wrapper(execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        locks = sql.startswith("SELECT") and _LEDGER in sql
        if locks and steps["written"]:
            passes("dropped")
        if sql.startswith("SELECT") and _ROWS in sql:
            passes("taken")
        result = execute(sql, params, many, context)
        if locks:
            passes("locked")
        elif sql.startswith("UPDATE " + _ROWS):
            passes("changed")
        elif sql.startswith("UPDATE " + _LEDGER):
            transaction.on_commit(lambda: passes("committed"), using=alias)
            passes("written")
        return result

    connections[alias].execute_wrappers.append(wrapper)
    while True:
        _tell(flushing=os.getpid())
        views.flush()


def _fork(play: Callable[[], None]) -> int:
    """A child that plays; a thread of the parent tells of its end."""
    child = os.fork()
    if child == 0:
        _play(play)

    def wait() -> None:
        _tell(ended=child, code=os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

    threading.Thread(target=wait, daemon=True).start()
    return child


def _fork_with_pipe(play: Callable[[Any], None]) -> int:
    """A child that plays what it reads; the end to write to. It ends when that is closed, as by our own end."""
    reads, writes = os.pipe()
    if os.fork() == 0:
        os.close(writes)
        _play(lambda: play(os.fdopen(reads)))
    os.close(reads)
    return writes


def _play(play: Callable[[], None]) -> NoReturn:
    try:
        play()
    except BaseException:  # noqa: BLE001 - a child that fails must end here, and not go on as its parent
        import traceback

        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _tell(**what: Any) -> None:
    # In one piece: others write here, too.
    os.write(1, (json.dumps(what) + "\n").encode())


if __name__ == "__main__":
    main(sys.argv[1])
