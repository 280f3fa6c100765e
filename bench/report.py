"""What is printed, as Markdown that reads well as plain text too, and what is written as JSON."""

from __future__ import annotations

import datetime as dt
import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from statistics import median
from typing import Any

from bench.contestants import CASES, CONTESTANTS, HITS
from bench.driver import Pace, Run
from bench.figures import judged, ratio

__all__ = ["as_data", "as_markdown", "packages", "table"]

_TITLES = {
    "get": "get(pk)",
    "week": "week of 50, 3 relations",
    "count": "count()",
    "in_bulk": "in_bulk of 50",
    "miss": "get(pk), miss",
    "save": "save()",
}
_PACKAGES = ("Django", "redis", "hiredis", "django-redis", "django-cacheops", "django-cachalot", "redis-toolkit")


def as_data(run: Run, pace: Pace, transport: str) -> dict[str, Any]:
    """Everything measured, for ``--json``; times in microseconds, one for each round."""
    verdicts = judged(run.microseconds, _bytes(run, "get"))
    return {
        "about": {
            "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            "python": platform.python_version(),
            "packages": packages(),
            "servers": run.versions,
            "transport": transport,
            "processors": os.cpu_count(),
            "rounds": pace.rounds,
            "batch_seconds": pace.batch_seconds,
        },
        "absent": run.absent,
        "failed": run.failed,
        "microseconds": {
            case: {name: {"median": median(times), "rounds": list(times)} for name, times in times_of.items()}
            for case, times_of in run.microseconds.items()
        },
        "bytes_per_row": {case: _bytes(run, case) for case in run.weights},
        "aims": [
            {"aim": verdict.aim.sentence, "value": verdict.value, "reached": verdict.reached} for verdict in verdicts
        ],
    }


def as_markdown(run: Run, pace: Pace, transport: str) -> str:
    """The report: heading, the two tables of times, the table of bytes, the aims."""
    sections = [
        _heading(run, pace, transport),
        _times(run, HITS, "A hit", "every timed read checked to have asked the database nothing, plain Django's aside"),
        _times(run, CASES[len(HITS) :], "A miss and a write", "the cache emptied before, or filled with what is saved"),
        _weights(run),
        _aims(run),
        *(f"## Profile of {_TITLES[case]}\n\n```\n{text.strip()}\n```" for case, text in run.profiles.items()),
    ]
    return "\n\n".join(sections) + "\n"


def _heading(run: Run, pace: Pace, transport: str) -> str:
    measured = ", ".join(f"{name} {number}" for name, number in packages().items())
    servers = ", ".join(f"{name} {number}" for name, number in sorted(run.versions.items()))
    lines = [
        f"# Benchmark of {dt.datetime.now(dt.UTC):%Y-%m-%d}",
        "",
        f"Python {platform.python_version()}, {measured};",
        f"{servers}; Redis by {transport}; {os.cpu_count()} processors.",
        f"Medians of {pace.rounds} rounds in which the contestants took turns; only the ratios mean much elsewhere.",
    ]
    lines += [f"Not there: {name} ({reason})." for name, reason in run.absent.items()]
    lines += [f"FAILED: {name} ({reason})." for name, reason in run.failed.items()]
    return "\n".join(lines)


def _times(run: Run, cases: Sequence[str], title: str, remark: str) -> str:
    measure = next(name for name in ("ours", "redis-pickle", "django-sqlite") if name in run.microseconds["get"])
    rows = []
    for contestant in CONTESTANTS:
        cells = [_cell(run.microseconds[case], contestant.name, measure) for case in cases]
        if any(cells):
            rows.append([contestant.title, *cells])
    named = next(contestant.title for contestant in CONTESTANTS if contestant.name == measure)
    drawn = table([f"times {named} (µs)", *(_TITLES[case] for case in cases)], rows)
    return f"## {title}\n\n{drawn}\n\n({remark[0].upper()}{remark[1:]}.)"


def _cell(times: Mapping[str, Sequence[float]], name: str, measure: str) -> str:
    if name not in times:
        return ""
    return f"{ratio(times[name], times[measure]):.2f} ({median(times[name]):,.0f})"


def _weights(run: Run) -> str:
    rows = []
    for contestant in CONTESTANTS:
        if contestant.name in run.weights["get"] and contestant.name != "redis-get":
            found = [run.weights[case][contestant.name] for case in run.weights]
            rows.append([contestant.title, *(f"{w['bytes_per_row']:.0f}" for w in found)])
    drawn = table(["bytes in Redis per row", "500 single rows", "5 weeks of 50"], rows)
    return f"## Memory\n\n{drawn}\n\n(MEMORY USAGE of every key in the contestant's database.)"


def _aims(run: Run) -> str:
    words = {True: "reached", False: "NOT reached", None: "not judged"}
    rows = []
    for verdict in judged(run.microseconds, _bytes(run, "get")):
        value = "" if verdict.value is None else f"{verdict.value:.2f}"
        rows.append([verdict.aim.sentence, value, words[verdict.reached]])
    return f"## Aims\n\n{table(['aim', 'measured', 'verdict'], rows)}"


def _bytes(run: Run, case: str) -> dict[str, float]:
    return {name: weight["bytes_per_row"] for name, weight in run.weights[case].items()}


def packages(others: Sequence[str] = ()) -> dict[str, str]:
    """The versions of what is measured, ``others`` included, of those that are installed."""
    found = {}
    for name in (*_PACKAGES, *others):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown, its columns as wide as they must be."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        return "| " + " | ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]) + " |"

    rule = [f":{'-' * (widths[0] - 1)}", *(f"{'-' * (width - 1)}:" for width in widths[1:])]
    return "\n".join([line(head), line(rule), *(line(row) for row in rows)])
