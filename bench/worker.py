"""One contestant in a process of its own: takes orders as JSON lines on its input, answers on its output.

``BENCH_JOB`` says who it is. It times nothing on its own initiative: the driver says whose turn it is.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import traceback
from typing import Any, TextIO

__all__: list[str] = []


def main() -> None:
    """Serve orders until the driver closes the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the driver, and with it the pipe this reads from
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a library prints goes to the terminal, not into the answers
    bench: Any = None
    for line in sys.stdin:
        order = json.loads(line)
        try:
            if bench is None:
                bench = _prepared()
            _reply(answers, result=getattr(bench, order.pop("do"))(**order))
        except Exception as error:  # noqa: BLE001  # the driver reports it and goes on without this contestant
            _reply(answers, error=f"{type(error).__name__}: {error}", trace=traceback.format_exc())


def _reply(answers: TextIO, **reply: Any) -> None:
    answers.write(json.dumps(reply) + "\n")


def _prepared() -> Any:
    job = json.loads(os.environ["BENCH_JOB"])
    own = next(
        (f"bench.{kind}.settings" for kind in ("doors", "stampede", "throttle") if kind in job), "bench.settings"
    )
    os.environ["DJANGO_SETTINGS_MODULE"] = own
    import django

    django.setup()
    orders = next((of(job) for kind, of in _KINDS.items() if kind in job), None) or _stopwatch(job)
    gc.collect()
    gc.freeze()
    return orders


def _stopwatch(job: dict[str, Any]) -> Any:
    from bench.stopwatch import Stopwatch
    from bench.timetable import fill

    fill()
    return Stopwatch(job["reader"])


def _player(job: dict[str, Any]) -> Any:
    from bench.mix.plan import GROUPS
    from bench.mix.player import Player
    from bench.timetable import fill

    if job["mix"]["process"] == 0:
        fill(GROUPS)
    return Player(job["reader"], **job["mix"])


def _callers(job: dict[str, Any]) -> Any:
    from bench.stampede.callers import callers
    from bench.stampede.loads import create
    from bench.timetable import fill

    if job["stampede"]["first"]:
        fill(1)
        create()
    return callers(job["reader"], job["stampede"]["callers"])


def _prober(job: dict[str, Any]) -> Any:
    from bench.penetration.prober import Prober

    return Prober(**job["penetration"])


def _victim(job: dict[str, Any]) -> Any:
    from bench.storms.victim import Victim
    from bench.timetable import fill

    if job["storm"]["first"]:
        fill()
    return Victim()


def _counting(job: dict[str, Any]) -> Any:
    from bench.behind.player import Player
    from bench.timetable import fill

    fill(1)
    return Player(**job["behind"])


def _asker(job: dict[str, Any]) -> Any:
    from bench.throttle.asker import Asker

    return Asker(job["throttle"])


def _door(job: dict[str, Any]) -> Any:
    if "codes" in job:
        from bench.doors.teller import Teller

        return Teller()
    from bench.doors.player import Player

    return Player(**job["doors"])


def _reading(_job: dict[str, Any]) -> Any:
    from bench.stats.player import Player
    from bench.timetable import fill

    fill()
    return Player()


#: What is played, where it is not the stopwatch, by the word its job has.
_KINDS = {
    "behind": _counting, "doors": _door, "mix": _player, "penetration": _prober, "stampede": _callers,
    "stats": _reading, "storm": _victim, "throttle": _asker,
}  # fmt: skip


if __name__ == "__main__":
    main()
