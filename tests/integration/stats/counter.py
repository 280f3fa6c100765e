"""A process that hears reads: ``python -m tests.integration.stats.counter <reads> [how]``.

``how``: "exit" (the default), "raise" (ends by an error), "fork" (a child reads as many), "multiprocessing" (a child of
that module's does all of it), "killed" (it says that it is ready, and waits).
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from typing import Any

import django

__all__ = ["main", "read"]


def read(times: int) -> None:
    """So many hits of one model, each of a second less than the load."""
    from redis_toolkit.cache.telling import report
    from tests.app.models import Lesson

    for _ in range(times):
        report(model=Lesson, kind="get", outcome="hit", alias="default", seconds=0.5, loaded=1.5, key="rt:r:1")


def main(times: int, how: str = "exit") -> None:
    """Read, and end in that way."""
    django.setup()
    if how == "multiprocessing":
        child: Any = multiprocessing.get_context("fork").Process(target=read, args=(times,))
        child.start()
        child.join()
        sys.exit(child.exitcode)
    read(times)
    if how == "fork":
        pid = os.fork()
        if pid:
            sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        read(times)
    elif how == "raise":
        raise SystemExit(3)


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
