"""What is printed of a mix, as Markdown, and what is written as JSON."""

from __future__ import annotations

import datetime as dt
import os
import platform
from statistics import median
from typing import Any, NamedTuple

from bench.contestants import CONTESTANTS
from bench.figures import ratio
from bench.mix.plan import EXPONENT, GROUPS, MOVES, WRITES
from bench.mix.run import PROCESSES, Mix, Slice, Total
from bench.report import packages, table
from bench.timetable import LESSONS_PER_GROUP

__all__ = ["Verdict", "as_data", "as_markdown", "judged"]

OURS, PEER, FLOOR = "ours-postgres", "cacheops-postgres", "django-postgres"
READS = ("week", "get")


class Verdict(NamedTuple):
    """An aim, what came out, and whether that reaches it; None where a contestant was not there."""

    sentence: str
    value: float | None
    reached: bool | None


def judged(totals: dict[str, Total]) -> list[Verdict]:
    """Every aim with its value."""
    hits = rates = None
    if OURS in totals and PEER in totals:
        ours, peer = totals[OURS], totals[PEER]
        hits = ours.hit_ratio(*READS) / max(1e-9, peer.hit_ratio(*READS))
        rates = ratio(ours.rates, peer.rates)
    wrong = totals[OURS].wrong if OURS in totals else None
    return [
        Verdict("hit ratio, over django-cacheops': at least 1", hits, None if hits is None else hits >= 1),
        Verdict("operations a second, over django-cacheops': at least 2", rates, None if rates is None else rates >= 2),
        Verdict("wrong answers at rest: 0", wrong, None if wrong is None else wrong == 0),
    ]


def as_data(mix: Mix, pace: Slice, transport: str, seed: str) -> dict[str, Any]:
    """Everything measured, for ``--json``."""
    return {
        "about": {
            "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"), "python": platform.python_version(),
            "packages": packages(), "servers": mix.versions, "transport": transport, "processors": os.cpu_count(),
            "seed": seed, "processes": PROCESSES, "rounds": pace.rounds, "operations": pace.operations,
        },
        "absent": mix.absent,
        "contestants": {
            name: {
                "rates": total.rates, "hit_ratio": total.hit_ratio(*READS), "done": dict(total.done),
                "hits": dict(total.hits), "seconds": dict(total.seconds), "wrong": total.wrong,
            }
            for name, total in mix.totals.items()
        },
        "aims": [verdict._asdict() for verdict in judged(mix.totals)],
    }  # fmt: skip


def as_markdown(mix: Mix, pace: Slice, transport: str, seed: str) -> str:
    """The report: heading, the table, what it leaves out, the aims."""
    return "\n\n".join([_heading(mix, transport, seed), _figures(mix), _remarks(pace), _aims(mix)]) + "\n"


def _heading(mix: Mix, transport: str, seed: str) -> str:
    servers = ", ".join(f"{name} {number}" for name, number in sorted(mix.versions.items()))
    lines = [
        f"# Reads and writes of {dt.datetime.now(dt.UTC):%Y-%m-%d}",
        "",
        f"Python {platform.python_version()}, {', '.join(f'{name} {number}' for name, number in packages().items())};",
        f"{servers}; Redis by {transport}; {os.cpu_count()} processors. Seed {seed}.",
        f"{PROCESSES} processes, {GROUPS} groups of {LESSONS_PER_GROUP} lessons, chosen by Zipf's law with {EXPONENT}.",
        f"{1 - WRITES:.0%} reads: weeks of a group with 3 relations, and as many get(pk).",
        f"{WRITES:.0%} writes: a get(pk) and a save(); {MOVES:.0%} of them move the lesson to another group.",
    ]
    lines += [f"Not there: {name} ({reason})." for name, reason in mix.absent.items()]
    return "\n".join(lines)


def _figures(mix: Mix) -> str:
    rows = []
    for contestant in CONTESTANTS:
        total = mix.totals.get(contestant.name)
        if total is not None:
            spent = {kind: total.seconds[kind] / max(1, total.done[kind]) * 1e6 for kind in (*READS, "save")}
            times = ratio(total.rates, mix.totals[FLOOR].rates) if FLOOR in mix.totals else None
            rows.append(
                [
                    contestant.title, f"{median(total.rates):,.0f}", "" if times is None else f"{times:.2f}",
                    *(f"{total.hit_ratio(*kinds):.1%}" for kinds in (READS, READS[:1], READS[1:])),
                    *(f"{spent[kind]:,.0f}" for kind in (*READS, "save")), str(total.wrong),
                ]
            )  # fmt: skip
    head = ["", "operations/s", "times Django", "hits", "of weeks", "of get", "week µs", "get µs", "save µs", "wrong"]
    return table(head, rows)


def _remarks(pace: Slice) -> str:
    return f"""\
Each contestant had {pace.rounds} turns of {PROCESSES} x {pace.operations} operations, in each process the same ones in
the same order; the table has the median of the turns. A hit is a read during which no statement went to the database
through Django; the read in front of a save counts as part of the save. Times are what a process waited, the others at
work beside it on the same processors. Wrong is what differs from the database when all is quiet. Left out: starting,
one read of everything there is, a first turn; and, from the hits but not from the times, the look at the outbox that
each of our processes takes twice a second."""


def _aims(mix: Mix) -> str:
    words = {True: "reached", False: "NOT reached", None: "not judged"}
    rows = [
        [verdict.sentence, "" if verdict.value is None else f"{verdict.value:.3f}", words[verdict.reached]]
        for verdict in judged(mix.totals)
    ]
    return f"## Aims\n\n{table(['aim', 'measured', 'verdict'], rows)}"
