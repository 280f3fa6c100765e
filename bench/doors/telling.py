"""Whether the time that an answer takes tells whether an address has an account: hands out the blocks, and reports."""

from __future__ import annotations

import datetime as dt
import os
import platform
from dataclasses import asdict, dataclass, field
from itertools import starmap
from random import Random
from typing import Any

from bench.contestants import Contestant
from bench.doors.chance import CONFIDENCE, Compared, compared
from bench.doors.report import heading
from bench.driver import Worker
from bench.report import packages, table
from bench.servers import Servers
from bench.throttle.processors import move, processors

__all__ = [
    "CLOCKS", "CONTESTANT", "DOORS", "EARLY", "KINDS", "KNOWN", "LOCKED_KNOWN", "LOCKED_UNKNOWN", "PAIRS", "UNKNOWN",
    "Pace", "Telling", "as_data", "as_markdown", "run",
]  # fmt: skip

CONTESTANT = Contestant("ours", "redis_toolkit", "", "postgres", needs=("psycopg",))
#: What is asked for: a code by POST of an address, and to be let in by POST of a wrong code.
DOORS = ("issuing", "verifying")
#: By which each request is timed: what somebody outside sees; and for how long the process that answers was at work,
#: which what else goes on on the machine hardly disturbs, so that far smaller differences show.
CLOCKS = ("the clock on the wall", "the processor's time")
KNOWN, UNKNOWN = "known", "unknown"
LOCKED_KNOWN, LOCKED_UNKNOWN = "locked out, known", "locked out, unknown"
#: Who is not known to a view that answers at once then, as some peers do.
EARLY = "unknown, answered at once"
KINDS = (KNOWN, UNKNOWN, LOCKED_KNOWN, LOCKED_UNKNOWN, EARLY)

#: Who must not be told from whom; and (True) who must be, or the tests see nothing. (Who is locked out is told so.)
PAIRS = (
    (KNOWN, UNKNOWN, False),
    (LOCKED_KNOWN, LOCKED_UNKNOWN, False),
    (KNOWN, EARLY, True),
    (KNOWN, LOCKED_KNOWN, True),
)


@dataclass(frozen=True, slots=True)
class Pace:
    """Blocks, how many subjects of each kind each has, and how often labels are dealt anew."""

    blocks: int
    size: int
    permutations: int


@dataclass(slots=True)
class Telling:
    """What one run found: µs by door and clock and by kind, block by block; comparisons; what was answered wrongly."""

    microseconds: dict[str, dict[str, list[list[float]]]] = field(default_factory=dict)
    compared: dict[str, dict[str, Compared]] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    wrong: dict[str, int] = field(default_factory=dict)


def run(servers: Servers, pace: Pace, seed: str) -> Telling:
    """Measure once. Raises ``WorkerError`` if the process fails."""
    found = Telling({f"{door}, {clock}": {kind: [] for kind in KINDS} for door in DOORS for clock in CLOCKS})
    worker = Worker(CONTESTANT, {**servers.job(0, CONTESTANT), "doors": {}, "codes": {}})
    try:
        found.versions = worker.ask("versions")
        for at in range(pace.blocks):
            if there := processors():
                processor = there[at % len(there)]
                move(servers.valkey.pid, processor)
                worker.ask("move", processor=processor)
            told = worker.ask("block", size=pace.size, seed=f"{seed} {at}")
            for door, of in found.microseconds.items():
                for kind, blocks in of.items():
                    blocks.append(told[door][kind])
            for said, times in told["wrong"].items():
                found.wrong[said] = found.wrong.get(said, 0) + times
    finally:
        worker.close()
    for door, of in found.microseconds.items():
        found.compared[door] = {
            f"{one} - {other}": compared(list(zip(of[one], of[other], strict=True)), pace.permutations, Random(seed))
            for one, other, _ in PAIRS
        }
    return found


def as_data(found: Telling, pace: Pace, transport: str, seed: str) -> dict[str, Any]:
    """Everything measured, for ``--json``; times in microseconds, block by block."""
    return {
        "about": {
            "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"), "python": platform.python_version(),
            "packages": packages(), "servers": found.versions, "transport": transport,
            "processors": os.cpu_count(), "seed": seed, "blocks": pace.blocks, "size": pace.size,
            "permutations": pace.permutations,
        },
        "wrong": found.wrong,
        "compared": {
            door: {
                pair: {
                    "numbers": each.numbers, "medians": each.medians, "apart": asdict(each.apart),
                    "auc": asdict(each.auc), "p": each.p, "chance": each.is_chance,
                }
                for pair, each in of.items()
            }
            for door, of in found.compared.items()
        },
        "microseconds": found.microseconds,
    }  # fmt: skip


def as_markdown(found: Telling, pace: Pace, transport: str, seed: str) -> str:
    """The report: heading, a table for each door, how to read them."""
    lines = heading("Codes: does the time tell who is known?", found.versions, transport, seed)
    lines.append(f"{pace.blocks} blocks of {pace.size} addresses of each kind, in random order, each asked for once.")
    lines += [f"WRONG: {said} ({times} times)." for said, times in found.wrong.items()]
    tables = [f"## {door.capitalize()}\n\n{_table(found, door)}" for door in found.compared]
    return "\n\n".join(["\n".join(lines), *tables, _REMARKS]) + "\n"


def _table(found: Telling, door: str) -> str:
    interval = f"{CONFIDENCE:.0%} interval"
    head = ["", "n", "median µs", "median µs", "apart µs", interval, "AUC", interval, "p, quantiles", ""]
    return table(head, list(starmap(lambda *pair: _line(found, door, pair), PAIRS)))


def _line(found: Telling, door: str, pair: tuple[str, str, bool]) -> list[str]:
    one, other, is_control = pair
    each = found.compared[door][f"{one} - {other}"]
    if is_control:
        verdict = "NO POWER" if each.is_chance else "told apart, as it must be"
    else:
        verdict = "told apart no better than chance" if each.is_chance else "TOLD APART"
    return [
        f"{'control: ' if is_control else ''}{one} - {other}", str(min(each.numbers)),
        *(f"{value:,.0f}" for value in each.medians),
        f"{each.apart.value:+,.0f}", f"{each.apart.low:+,.0f} to {each.apart.high:+,.0f}",
        f"{each.auc.value:.3f}", f"{each.auc.low:.3f} to {each.auc.high:.3f}", f"{each.p:.3f}", verdict,
    ]  # fmt: skip


_REMARKS = f"""\
A request is played through Django's handler with the middleware of sessions and of log-ins; its time ends with the
answer: what is sent is sent when that is out. It is told by the clock on the wall, which is what somebody outside sees,
and as the time for which the process that answers had a processor, which what else goes on there hardly disturbs.
Issuing: an address is posted to the page of log-ins, without a session. Verifying: in the session that then waits, a
wrong code. Locked out: ten wrong codes were typed before, from the same address of the network; that is told to whoever
asks, whether or not there is an account. Every answer was looked at: those for known and unknown are of one status and
length.

AUC: how often one request for the first, taken at random, takes longer than one for the second (Mann and Whitney, over
the blocks; the interval is DeLong's). Apart: by how much it takes longer (Hodges and Lehmann). p: how often the
quantiles from 1 % to 75 % are so far apart if it is chance who has which time (as Crosby, Wallach and Riedi, 2009;
labels are dealt anew within the blocks). No better than chance: the interval of the AUC covers 0.5, and p is not below
{1 - CONFIDENCE:.2f}; a difference outside the interval of "apart" would have been seen. Redis, PostgreSQL and Python
share a processor, and no network lies between: nobody measures as well from afar."""
