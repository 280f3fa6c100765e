"""What is printed of checks, as Markdown, and what is written as JSON."""

from __future__ import annotations

import datetime as dt
import os
import platform
from collections.abc import Iterator
from statistics import median
from typing import Any, NamedTuple

from bench.figures import ratio
from bench.report import packages, table
from bench.throttle.plan import (
    ALLOWED,
    CASES,
    CONTESTANTS,
    DAYS,
    DENIED,
    FLOOR,
    GENEROUS,
    HITS,
    KINDS,
    OURS,
    PACKAGES,
    REMEMBERED,
    THREADS,
    TIGHT,
    WEIGHED_HITS,
    Pace,
    Row,
)  # fmt: skip
from bench.throttle.run import Checks

__all__ = ["Aim", "aims", "as_data", "as_markdown"]

#: Times a bare EVALSHA, and microseconds.
MOST, FEW = 1.25, 3.0
#: Ours, and who does the same: the same kind of call.
_MATCHES = (
    ("a check", OURS, ("limits-fixed", "limits-moving", "limits-sliding", "throttled", "ratelimit")),
    ("a throttle of Django REST framework", "ours-drf", ("drf",)),
    ("a view", "ours-view", ("ratelimit-view",)),
    ("a view of Django REST framework", "ours-drf-view", ("drf-view",)),
)


class Aim(NamedTuple):
    """One sentence, what came out, and whether that is what was aimed at (None: it could not be judged)."""

    sentence: str
    measured: str
    reached: bool | None


def aims(found: Checks) -> Iterator[Aim]:
    """The aims, judged."""
    allowed, denied = (found.microseconds[case] for case in CASES)
    for case in CASES:
        times = found.microseconds[case]
        sentence = f"{OURS}, {case}: within {MOST} of a bare EVALSHA through redis-py"
        if OURS in times and FLOOR in times:
            value = ratio(times[OURS], times[FLOOR])
            yield Aim(sentence, f"{value:.2f}", value <= MOST)
        else:
            yield Aim(sentence, "", None)
    for what, ours, peers in _MATCHES:
        for case, times in ((ALLOWED, allowed), (DENIED, denied)):
            there = [peer for peer in peers if peer in times]
            sentence = f"{what}, {case}: faster than every peer"
            if ours in times and there:
                value, name = min((ratio(times[peer], times[ours]), peer) for peer in there)
                yield Aim(sentence, f"{name} takes {value:.2f} of {ours}", value > 1)
            else:
                yield Aim(sentence, "", None)
    sentence = f"a denied client under {FEW:g} µs"
    if REMEMBERED in denied:
        value = median(denied[REMEMBERED])
        yield Aim(sentence, f"{value:.2f} µs", value < FEW)
    else:
        yield Aim(sentence, "", None)


def as_data(found: Checks, pace: Pace, transport: str, seed: str) -> dict[str, Any]:
    """Everything measured, for ``--json``; times in microseconds, one for each round."""
    return {
        "about": {
            "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"), "python": platform.python_version(),
            "packages": packages(PACKAGES), "servers": found.versions, "transport": transport,
            "processors": os.cpu_count(), "seed": seed, "rounds": pace.rounds, "batch_seconds": pace.batch_seconds,
        },
        "absent": found.absent,
        "failed": found.failed,
        "wrong": found.wrong,
        "microseconds": {
            case: {name: {"median": median(times), "rounds": times} for name, times in times_of.items() if times}
            for case, times_of in found.microseconds.items()
        },
        "round_trips": found.round_trips,
        "server_microseconds": {
            case: {name: median(times) for name, times in times_of.items() if times}
            for case, times_of in found.server.items()
        },
        "admitted": found.admitted,
        "bytes_per_client": found.weights,
        "aims": [{"aim": aim.sentence, "measured": aim.measured, "reached": aim.reached} for aim in aims(found)],
    }  # fmt: skip


def as_markdown(found: Checks, pace: Pace, transport: str, seed: str) -> str:
    """The report: heading, a table for each kind of call, how to read them, the aims."""
    tables = [f"## {title}\n\n{_table(found, kind)}" for kind, title in KINDS.items() if _rows(found, kind)]
    profiles = [f"## Profile of {title}\n\n```\n{text.strip()}\n```" for title, text in found.profiles.items()]
    return "\n\n".join([_heading(found, pace, transport, seed), *tables, _REMARKS, _aims(found), *profiles]) + "\n"


def _heading(found: Checks, pace: Pace, transport: str, seed: str) -> str:
    measured = ", ".join(f"{name} {number}" for name, number in packages(PACKAGES).items())
    servers = ", ".join(f"{name} {number}" for name, number in sorted(found.versions.items()))
    lines = [
        f"# Checks of limits, {dt.datetime.now(dt.UTC):%Y-%m-%d}",
        "",
        f"Python {platform.python_version()}, {measured};",
        f"{servers}; Redis by {transport}; {os.cpu_count()} processors. Seed {seed}.",
        f"Medians of {pace.rounds} rounds in which the contestants took turns; only the ratios mean much elsewhere.",
    ]
    lines += [f"Not there: {name} ({reason})." for name, reason in found.absent.items()]
    lines += [f"FAILED: {name} ({reason})." for name, reason in found.failed.items()]
    lines += [f"WRONG: {name} ({reason})." for name, reason in found.wrong.items()]
    return "\n".join(lines)


def _rows(found: Checks, kind: str) -> list[Row]:
    return [row for row in CONTESTANTS if row.kind == kind and any(found.microseconds[c].get(row.name) for c in CASES)]


def _table(found: Checks, kind: str) -> str:
    head = [
        "", "allowed, µs", "/ floor", "denied, µs", "/ floor", "Redis, µs", "round trips", f"admitted of {TIGHT}",
        "bytes",
    ]  # fmt: skip
    rows = []
    for row in _rows(found, kind):
        cells = [cell for case in CASES for cell in _times(found, case, row.name)]
        server = {case: {name: median(each) for name, each in of.items() if each} for case, of in found.server.items()}
        cells += [_both(server, row, ".0f"), _both(found.round_trips, row, ".3g")]
        rows.append([_title(found, row), *cells, _admitted(found, row.name), _weight(found, row)])
    return table(head, rows)


def _both(numbers: dict[str, dict[str, float]], row: Row, form: str) -> str:
    return " / ".join(format(numbers[case][row.name], form) if row.name in numbers[case] else "" for case in CASES)


def _title(found: Checks, row: Row) -> str:
    return f"WRONG: {row.title}" if row.name in found.wrong else row.title


def _times(found: Checks, case: str, name: str) -> tuple[str, str]:
    times = found.microseconds[case]
    if not times.get(name):
        return "", ""
    return _microseconds(median(times[name])), f"{ratio(times[name], times[FLOOR]):.2f}" if FLOOR in times else ""


def _microseconds(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:,.1f}"


def _admitted(found: Checks, name: str) -> str:
    numbers = sorted(set(found.admitted.get(name, ())))
    return "" if not numbers else str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"


def _weight(found: Checks, row: Row) -> str:
    # (Of what keeps nothing, and of denials, there is nothing to be told.)
    return f"{found.weights[row.name]:,.0f}" if ALLOWED in row.cases and found.weights.get(row.name) else ""


_REMARKS = f"""\
All are asked the same: {GENEROUS:,} in {DAYS} days of a hundred clients who come in turn, which allows everything; and
{TIGHT} of five clients who have used it up. (Of Django REST framework's own throttle in a day: it can have no longer
period, and keeps no windows.) Every timed answer was looked at, and ours had to be from Redis, or from what the process
remembers where the line says so. A refusal of @throttle is a response with fields and a body, that of @ratelimit an
exception.

In a round, Redis and who asks it share a processor, since only one of the two has something to do: so a check costs
what both do for it, and not what it takes the kernel to wake up another processor. Redis, allowed / denied: what its
one thread that answers had of a processor for a check. Round trips, allowed / denied, are counted at the socket:
something was sent on it, then something was received.

Admitted: {THREADS} threads hit {HITS} times each, at once, for one client. Bytes: of all keys of a client who was
counted {WEIGHED_HITS} times (MEMORY USAGE). A log grows with each hit, as do the times of Django REST framework's own
throttle, which keeps one: here its clients had few."""


def _aims(found: Checks) -> str:
    words = {True: "yes", False: "NO", None: "not judged"}
    rows = [[aim.sentence, aim.measured, words[aim.reached]] for aim in aims(found)]
    return f"## Aims\n\n{table(['aim', 'measured', ''], rows)}"
