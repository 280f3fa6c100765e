"""What is printed of stampedes, as Markdown, and what is written as JSON."""

from __future__ import annotations

import datetime as dt
import os
import platform
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from itertools import chain
from statistics import median
from typing import Any

from bench.figures import ratio
from bench.report import packages, table
from bench.stampede.figures import Turn, judged, percentile
from bench.stampede.plan import BOUND, CONTESTANTS, LIFE, LOAD, OURS, PACKAGES, PROCESSES, SOFT, Pace
from bench.stampede.run import Stampede

__all__ = ["as_data", "as_markdown"]

_TITLES = {
    "expired": "The entry has expired",
    "invalidated": "The row was saved",
    "servable": f"Past the soft time ({SOFT} s), not past the hard one ({LIFE} s)",
    "killed": "The entry has expired, and who loads is killed in the middle",
}


def as_data(found: Stampede, pace: Pace, transport: str, seed: str) -> dict[str, Any]:
    """Everything measured, for ``--json``; times in seconds."""
    return {
        "about": {
            "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"), "python": platform.python_version(),
            "packages": packages(PACKAGES), "servers": found.versions, "transport": transport,
            "processors": os.cpu_count(), "seed": seed, "processes": PROCESSES, "callers": pace.callers,
            "rounds": pace.rounds, "patience": pace.patience, "load": LOAD, "soft": SOFT, "life": LIFE, "bound": BOUND,
        },
        "absent": found.absent,
        "unable": found.unable,
        "failed": found.failed,
        "turns": {
            scenario: {name: [asdict(turn) for turn in turns] for name, turns in played.items()}
            for scenario, played in found.turns.items()
        },
        "aims": [
            {"aim": verdict.aim.sentence, "value": verdict.value, "reached": verdict.reached}
            for verdict in judged(found.turns)
        ],
    }  # fmt: skip


def as_markdown(found: Stampede, pace: Pace, transport: str, seed: str) -> str:
    """The report: heading, a table for each scenario, how to read them, the aims."""
    drawn = [_scenario(found, scenario, pace) for scenario, played in found.turns.items() if played]
    return "\n\n".join([_heading(found, pace, transport, seed), *drawn, _remarks(found, pace), _aims(found)]) + "\n"


def _heading(found: Stampede, pace: Pace, transport: str, seed: str) -> str:
    measured = ", ".join(f"{name} {number}" for name, number in packages(PACKAGES).items())
    servers = ", ".join(f"{name} {number}" for name, number in sorted(found.versions.items()))
    lines = [
        f"# Stampedes of {dt.datetime.now(dt.UTC):%Y-%m-%d}",
        "",
        f"Python {platform.python_version()}, {measured};",
        f"{servers}; Redis by {transport}; {os.cpu_count()} processors. Seed {seed}.",
        f"{PROCESSES} processes of {pace.callers} callers ask for a row at once; its query takes {LOAD * 1000:.0f} ms.",
        f"{pace.rounds} stampedes of each kind, in turns.",
    ]
    lines += [f"Not there: {name} ({reason})." for name, reason in found.absent.items()]
    lines += [f"Past a soft time not there: {name} ({reason})." for name, reason in found.unable.items()]
    lines += [f"FAILED: {name} ({reason})." for name, reason in found.failed.items()]
    return "\n".join(lines)


def _scenario(found: Stampede, scenario: str, pace: Pace) -> str:
    played = found.turns[scenario]
    measure = [turn.p99 for turn in played.get(OURS, [])]
    rows = []
    for contestant in CONTESTANTS:
        turns = played.get(contestant.name)
        if turns:
            times = f"{ratio([turn.p99 for turn in turns], measure):.2f}" if measure else ""
            rows.append([contestant.title, *_figures(turns, pace), times, _amiss(turns)])
    head = ["", "loads", "p50 ms", "p99 ms", "longest ms", "p99 / load", "p99 / ours", "amiss"]
    return f"## {_TITLES[scenario]}\n\n{table(head, rows)}"


def _figures(turns: Sequence[Turn], pace: Pace) -> list[str]:
    waits = list(chain.from_iterable(turn.waits for turn in turns))
    p99 = median(turn.p99 for turn in turns)
    loads = [turn.loads for turn in turns]
    least, most = min(loads), max(loads)

    def shown(wait: float) -> str:
        return f"> {pace.patience * 1000:,.0f}" if wait >= pace.patience else f"{wait * 1000:,.1f}"

    return [
        f"{median(loads):.0f}" if least == most else f"{median(loads):.0f} ({least} to {most})",
        *(shown(wait) for wait in (percentile(waits, 50), p99, max(waits))),
        f"{p99 / LOAD:.2f}",
    ]


def _amiss(turns: Sequence[Turn]) -> str:
    counts = {
        "old": sum(turn.old for turn in turns),
        "unanswered": sum(turn.unanswered for turn in turns),
        **Counter(error.partition(":")[0] for turn in turns for error in turn.errors),
    }
    return ", ".join(f"{count} {what}" for what, count in counts.items() if count)


def _remarks(found: Stampede, pace: Pace) -> str:
    late = [turn.late for played in found.turns.values() for turns in played.values() for turn in turns]
    return f"""\
Loads are counted by the query itself: the median stampede, and the fewest and most. p99 is the median stampede's; p50
and the longest are of all callers. Times are from a caller's call to his answer, with everybody else at work on the
same processors; callers of a process that was killed are left out. Who has no answer after {pace.patience:g} s is
unanswered and counts with that time, who has an exception with his; old are answers from before the write. No process
let its callers go more than {max(late, default=0) * 1000:.1f} ms late."""


def _aims(found: Stampede) -> str:
    words = {True: "reached", False: "NOT reached", None: "not judged"}
    rows = [
        [verdict.aim.sentence, "" if verdict.value is None else f"{verdict.value:.2f}", words[verdict.reached]]
        for verdict in judged(found.turns)
    ]
    return f"## Aims of ours\n\n{table(['aim', 'measured', 'verdict'], rows)}"
