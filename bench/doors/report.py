"""What is printed of sessions and tokens, as Markdown, and what is written as JSON."""

from __future__ import annotations

import datetime as dt
import os
import platform
from statistics import median
from typing import Any

from bench.doors.plan import CASES, CONTESTANTS, FLOORS, KINDS, PACKAGES, THREADS, VIEW_SECONDS, Pace, Row
from bench.doors.run import Doors
from bench.figures import ratio
from bench.report import packages, table

__all__ = ["as_data", "as_markdown", "heading"]


def as_data(found: Doors, pace: Pace, transport: str, seed: str) -> dict[str, Any]:
    """Everything measured, for ``--json``; times in microseconds, one for each round."""
    return {
        "about": {
            "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"), "python": platform.python_version(),
            "packages": packages(PACKAGES), "servers": found.versions, "transport": transport,
            "processors": os.cpu_count(), "seed": seed, "rounds": pace.rounds, "batch_seconds": pace.batch_seconds,
            "entries": pace.entries, "requests": pace.requests,
        },
        "absent": found.absent,
        "failed": found.failed,
        "wrong": found.wrong,
        "microseconds": {
            name: {case: {"median": median(times), "rounds": times} for case, times in times_of.items() if times}
            for name, times_of in found.microseconds.items()
        },
        "round_trips": {name: {case: each[0] for case, each in of.items()} for name, of in found.costs.items()},
        "statements": {name: {case: each[1] for case, each in of.items()} for name, of in found.costs.items()},
        "bytes": found.weights,
        "kept": found.kept,
    }  # fmt: skip


def as_markdown(found: Doors, pace: Pace, transport: str, seed: str) -> str:
    """The report: heading, a table for each kind, how to read them."""
    kinds = [kind for kind in KINDS if any(row.kind == kind for row in _rows(found))]
    tables = [f"## {KINDS[kind]}\n\n{_table(found, kind, pace)}" for kind in kinds]
    remarks = [_REMARKS, *(_OF_KIND[kind].format(pace=pace) for kind in kinds if kind in _OF_KIND)]
    lines = [*heading("Doors", found.versions, transport, seed), _TURNS.format(pace=pace)]
    lines += [f"Not there: {name} ({reason})." for name, reason in found.absent.items()]
    lines += [f"FAILED: {name} ({reason})." for name, reason in found.failed.items()]
    lines += [f"WRONG: {name} ({reason})." for name, reason in found.wrong.items()]
    return "\n\n".join(["\n".join(lines), *tables, *remarks]) + "\n"


def heading(title: str, versions: dict[str, str], transport: str, seed: str) -> list[str]:
    """What was measured, when and where."""
    measured = ", ".join(f"{name} {number}" for name, number in packages(PACKAGES).items())
    servers = ", ".join(f"{name} {number}" for name, number in sorted(versions.items()))
    return [
        f"# {title}, {dt.datetime.now(dt.UTC):%Y-%m-%d}",
        "",
        f"Python {platform.python_version()}, {measured};",
        f"{servers}; Redis by {transport}; {os.cpu_count()} processors. Seed {seed}.",
    ]


def _rows(found: Doors) -> list[Row]:
    return [row for row in CONTESTANTS if row.name in found.microseconds]


def _table(found: Doors, kind: str, pace: Pace) -> str:
    cases, races = CASES[kind], kind == "session"
    head = ["", *(cell for case in cases for cell in (f"{case}, µs", "/ floor"))]
    head += ["round trips", "SQL", "bytes: keys", "server", *([f"kept of {pace.requests}"] if races else [])]
    rows = []
    for row in _rows(found):
        if row.kind != kind:
            continue
        cells = [cell for case in cases for cell in _times(found, row, case)]
        cells += [" / ".join(f"{found.costs[row.name][case][at]:.3g}" for case in cases) for at in (0, 1)]
        cells += [f"{weight:,.0f}" if found.weights[row.name]["keys"] else "" for weight in _weights(found, row)]
        if races:
            cells.append(str(found.kept.get(row.name, "")))
        rows.append([f"WRONG: {row.title}" if row.name in found.wrong else row.title, *cells])
    return table(head, rows)


def _weights(found: Doors, row: Row) -> tuple[float, float]:
    weights = found.weights[row.name]
    return weights["keys"], weights["server"]


def _times(found: Doors, row: Row, case: str) -> tuple[str, str]:
    times, floor = found.microseconds[row.name][case], found.microseconds.get(FLOORS[row.kind], {}).get(case)
    return f"{median(times):,.0f}", f"{ratio(times, floor):.2f}" if floor else ""


_TURNS = "Medians of {pace.rounds} rounds in which the contestants took turns; only the ratios mean much elsewhere."

_REMARKS = """\
Every timed answer was looked at. In a round Redis, PostgreSQL's process and who asks them share a processor, since only
one of them has something to do at a time. Round trips to Redis are counted at the socket: something was sent on it,
then something was received. SQL: statements as Django counts them, BEGIN and COMMIT included; each is a round trip to
PostgreSQL, here by a socket on the same machine. Both are told case by case. Bytes are of one entry in Redis: of all
its keys (MEMORY USAGE), and by how much more memory the server had in use; what is in PostgreSQL is not weighed."""

_OF_KIND = {
    "session": f"""\
Sessions: {{pace.entries}}, each of a user of its own, with a log-in and a cart. Load: make the engine's store, and read
one value. Load and save: read, change one value, save. Begin: a new session of a user; ours is entered into the index
of the user's sessions with it. Kept: {{pace.requests}} requests for one session by {THREADS} threads; each loads it,
works for {1000 * VIEW_SECONDS:g} ms, puts a value of its own into it and saves: so many of the values are there at the
end. (Two that change the same value are another matter: the last one wins everywhere.)""",
    "class": """\
Tokens: {pace.entries} users have one each (where it says so ten, of which one is used). Unknown ones are written like
good ones. With db+redis the first use in a minute is one that is written down, and for which the row is looked at: that
has a line of its own. (The others write down no uses.)""",
}  # fmt: skip
