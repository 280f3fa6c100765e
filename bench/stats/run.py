"""Hands out the turns, and says what came of them."""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from bench.contestants import Contestant
from bench.driver import Worker
from bench.servers import Servers
from bench.stats.player import CASES

__all__ = ["CONTESTANT", "MOST", "Found", "Pace", "as_data", "as_markdown", "run"]

CONTESTANT = Contestant("ours", "redis_toolkit", "CachedReader")
#: What statistics may cost a hit at most, as a share.
MOST = 0.05


@dataclass(frozen=True, slots=True)
class Pace:
    """How often each has its turn, for how many seconds, and of how many seconds it is measured what telling costs."""

    rounds: int
    seconds: float
    seconds_told: int


@dataclass(slots=True)
class Found:
    """By case: a pair of turns for each round, without statistics and with them."""

    turns: dict[str, list[tuple[dict[str, Any], dict[str, Any]]]] = field(default_factory=dict)
    #: Processor seconds of telling Redis what was counted in a second.
    told: dict[str, list[float]] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def wrong(self) -> list[str]:
        """What cannot be: a hit that cost another number of round trips, or was not counted."""
        return [
            f"{case}: {turn['trips']} round trips, {turn['calls']} calls, {turn['counted']} counted"
            for case, pairs in self.turns.items()
            for at, turn in ((at, turn) for pair in pairs for at, turn in enumerate(pair))
            if turn["trips"] != turn["calls"] or (at == 1 and turn["counted"] != turn["calls"])
        ]

    def ratios(self, case: str, what: str = "microseconds") -> list[float]:
        """What a hit took with statistics, in what it took without, of each round."""
        return [on[what] / off[what] for off, on in self.turns[case]]


def run(servers: Servers, pace: Pace, seed: str) -> Found:
    """Measure once. Raises ``WorkerError`` if the process fails."""
    found, order = Found(), random.Random(seed)
    worker = Worker(CONTESTANT, {**servers.job(0, CONTESTANT), "stats": True})
    try:
        found.versions = worker.ask("versions")
        for case in CASES:
            worker.ask("warm", case=case)
            pairs = found.turns[case] = []
            for at in range(pace.rounds + 1):
                turns = {on: worker.ask("turn", case=case, seconds=pace.seconds, on=on) for on in _order(order)}
                # (What is done once in a process's life is not what is asked for.)
                if at:
                    pairs.append((turns[False], turns[True]))
            found.told[case] = [worker.ask("tell", case=case) for _ in range(pace.seconds_told)]
    finally:
        worker.close()
    return found


def as_data(found: Found, pace: Pace, transport: str, seed: str) -> dict[str, Any]:
    """Everything, for machines."""
    about = {"seed": seed, "rounds": pace.rounds, "seconds": pace.seconds, "transport": transport}
    ratios = {case: statistics.median(found.ratios(case)) for case in found.turns}
    return {
        "about": about | {"versions": found.versions}, "turns": found.turns, "told": found.told, "ratios": ratios,
        "wrong": found.wrong,
    }  # fmt: skip


def as_markdown(found: Found, pace: Pace, transport: str, seed: str) -> str:
    """For people."""
    servers = ", ".join(f"{name} {number}" for name, number in sorted(found.versions.items()))
    how = (
        f"{servers}; {transport}. One process reads for {pace.seconds * 1000:g} ms without statistics and for as long"
        f" with them, {pace.rounds} times, in an order by seed {seed}; what a hit takes is what the quickest tenth of"
        " tens of calls does. A ratio is that of the two turns of a round: the median of all, the middle half, and"
        " between what the median of such runs lies (95 %, by resampling); the same of the reading thread's time on the"
        " processor; round trips of a hit without and with; and what the other thread takes of the processor each"
        " second."
    )
    lines = [
        f"# What statistics cost a hit, {datetime.now(UTC):%Y-%m-%d}",
        "",
        how,
        "",
        "| hit | without, µs | with, µs | ratio | middle half | 95 % | of the processor | round trips | the thread |",
        "|---|---|---|---|---|---|---|---|---|",
        *(_row(found, case) for case in found.turns),
        "",
        f"Aim: less than {MOST:.0%} in the median, and no round trip more.",
        *(f"\nWRONG: {each}" for each in found.wrong),
    ]
    return "\n".join(lines)


def _row(found: Found, case: str) -> str:
    off, on = ([pair[at]["microseconds"] for pair in found.turns[case]] for at in (0, 1))
    ratios = found.ratios(case)
    low, median, high = statistics.quantiles(ratios, n=4)
    least, most = _bounds(ratios)
    trips = [
        sum(pair[at]["trips"] for pair in found.turns[case]) / sum(pair[at]["calls"] for pair in found.turns[case])
        for at in (0, 1)
    ]
    processor = statistics.median(found.ratios(case, "processor"))
    told = statistics.median(found.told[case])
    return (
        f"| {case} | {statistics.median(off):.1f} | {statistics.median(on):.1f} | {median:.3f} | {low:.3f} to"
        f" {high:.3f} | {least:.3f} to {most:.3f} | {processor:.3f} | {trips[0]:g}, {trips[1]:g} |"
        f" {told * 1000:.2f} ms |"
    )


def _bounds(ratios: Sequence[float], times: int = 400) -> tuple[float, float]:
    """Between which the median lies, by resampling."""
    dice = random.Random(0)
    medians = sorted(statistics.median(dice.choices(ratios, k=len(ratios))) for _ in range(times))
    return medians[times // 40], medians[-1 - times // 40]


def _order(order: random.Random) -> Sequence[bool]:
    return order.sample((False, True), 2)
