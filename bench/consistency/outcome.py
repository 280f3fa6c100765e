"""What one scenario came to: counts, times, and whether that is as promised."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.consistency.history import History, Moments
from bench.consistency.journal import Read
from bench.consistency.judge import Judge, Verdicts
from bench.consistency.scenarios import CORNER, Scenario
from bench.consistency.stage import Stage

__all__ = ["Outcome", "outcome_of"]

HIT_RATIO = 0.6
#: A run with fewer hits than this, however short and however busy the machine, shows little.
FEW_HITS = 0.4
#: With fewer reads than this in a scenario, most of them are the first of their kind.
MANY_READS = 1000
WORST_AWAY = 1.0
ADDED_AWAY = 0.005
#: A read that took so much longer than any without a cache waited for a time-out.
SLOW = 0.2
#: Seconds after an outage until every breaker has closed and every process trusts Redis again.
RECOVERY = 2.5


@dataclass(slots=True)
class Outcome:
    """The figures of one scenario. Times in seconds; those that nothing was measured for are None.

    ``calm``: reads while Redis could be reached and was trusted, and ``hits`` those of them. Of the reads while Redis
    was away: ``worst_away``; ``slow_away``, the most that one process waited for time-outs; what the others took longer
    than reads without a cache did meanwhile, ``added_away`` at the 95th percentile, ``added_usually`` at the median.
    ``unheard``: how often a writer could not tell Redis of a write; ``stray``: how often without any outage. A busy
    machine may cause a time-out that no script asked for; then the bound of the documented corner holds.
    """

    scenario: Scenario
    subject: str
    happened: dict[str, int]
    verdicts: Verdicts
    reads: int = 0
    commits: int = 0
    calm: int = 0
    hits: int = 0
    worst: float = 0.0
    worst_away: float | None = None
    added_away: float | None = None
    added_usually: float | None = None
    slow_away: int = 0
    wrong: list[Any] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    crashed: int = 0
    unheard: int = 0
    stray: int = 0

    @property
    def hit_ratio(self) -> float | None:
        """The share of hits, own reads of writers aside, while Redis could be reached and was trusted."""
        return self.hits / self.calm if self.calm else None

    @property
    def keeps_marks(self) -> bool:
        """Whether every mark stood from before its write until after its commit."""
        return self.scenario.keeps_marks and not self.stray

    @property
    def lies(self) -> list[str]:
        """The wrong answers that break a promise, in words."""
        counts = self.verdicts.counts
        return _told(
            {
                "stale": counts["intolerable"],
                "stale before the commit returned": counts["early"] if self.keeps_marks else 0,
                "uncommitted": counts["uncommitted"],
                "own write not seen": counts["own"],
                "wrong after quiescence": len(self.wrong),
            }
        )

    @property
    def violations(self) -> list[str]:
        """All the promises that were broken, in words."""
        others = {
            "errors": len(self.errors),
            "plain reads judged wrong: the harness is": self.verdicts.counts["harness"],
            "processes that did not end well": self.crashed,
        }
        return self.lies + _told(others)

    @property
    def idle(self) -> list[str]:
        """What should have happened and did not: a run in which it did not shows nothing."""
        scenario = self.scenario
        expected = scenario.fault.__name__ != "nothing" or scenario.lives
        return [
            word
            for word, lacks in (
                ("no reads", not self.reads),
                ("no commits", not self.commits),
                ("nothing went wrong", expected and not sum(self.happened.values())),
            )
            if lacks
        ]

    @property
    def slack(self) -> list[str]:
        """Aims of speed that were missed: judged in a full run only, as a busy machine misses them, too."""
        found = []
        if self.hit_ratio is not None and self.hit_ratio <= HIT_RATIO:
            found.append(f"hit ratio {self.hit_ratio:.0%}")
        if self.scenario.away and self.worst_away is not None and self.worst_away > WORST_AWAY:
            found.append(f"a read of {self.worst_away:.2f} s")
        if self.scenario.away and self.slow_away > 1:
            found.append(f"{self.slow_away} reads of one process waited for time-outs")
        if self.scenario.away and self.added_away is not None and self.added_away > ADDED_AWAY:
            found.append(f"{self.added_away * 1000:.1f} ms added while away")
        return found


def _told(counts: Mapping[str, int]) -> list[str]:
    return [f"{number} {what}" for what, number in counts.items() if number]


def outcome_of(
    scenario: Scenario, subject: str, stage: Stage, noted: Sequence[tuple[str, tuple[Any, ...]]],
    audit: Sequence[Any], codes: Sequence[int | None],
) -> Outcome:  # fmt: skip
    """Join the journals with the audit table."""
    judge = Judge(History(audit, _moments(noted)))
    outcome = Outcome(scenario, subject, dict(stage.happened), Verdicts(scenario.allowed_seconds, stage.outages))
    outcome.commits = judge.history.commits
    outcome.crashed = sum(code != 0 for code in codes)
    reads = _sorted(outcome, noted, stage.outages)
    if outcome.stray:
        outcome.verdicts.allowed = max(outcome.verdicts.allowed, CORNER)
    for process, read in reads:
        for finding in judge.findings(process, read):
            outcome.verdicts.add(finding)
    _measure(outcome, reads, stage.outages)
    return outcome


def _sorted(
    outcome: Outcome, noted: Sequence[tuple[str, tuple[Any, ...]]], outages: Sequence[Sequence[float]]
) -> list[tuple[str, Read]]:
    """The reads; everything else that was noted is counted."""
    reads: list[tuple[str, Read]] = []
    for process, (what, *details) in noted:
        match what:
            case "read":
                reads.append((process, details[0]))
            case "error":
                outcome.errors.append(details[0])
            case "wrong":
                outcome.wrong.append(details)
            case "own":
                outcome.verdicts.counts["own"] += 1
            case "unheard":
                outcome.unheard += 1
                outcome.stray += not _near(outages, details[1], details[1])
            case "killed":
                outcome.happened["kills"] = outcome.happened.get("kills", 0) + 1
    return reads


def _moments(noted: Sequence[tuple[str, tuple[Any, ...]]]) -> dict[str, Moments]:
    known: dict[str, dict[str, float]] = {}
    for _, (what, *details) in noted:
        if what in Moments._fields:
            known.setdefault(details[0], {})[what] = details[1]
    for moments in known.values():
        if "returned" in moments:
            moments.setdefault("committed", moments["returned"])
    return {tag: Moments(**moments) for tag, moments in known.items()}


def _measure(outcome: Outcome, reads: Sequence[tuple[str, Read]], outages: Sequence[Sequence[float]]) -> None:
    cached = [(process, read) for process, read in reads if read.outcome != "plain"]
    outcome.reads = len(cached)
    outcome.worst = max((read.ended - read.began for _, read in cached), default=0.0)
    calm = Counter(read.outcome for _, read in cached if not read.own and not _near(outages, read.began, read.ended))
    outcome.calm, outcome.hits = calm.total(), calm["hit"]
    during = [
        (process, read)
        for process, read in reads
        if any(begun <= read.ended and read.began <= ended for begun, ended in outages)
    ]
    times = {
        is_plain: sorted(read.ended - read.began for _, read in during if (read.outcome == "plain") is is_plain)
        for is_plain in (True, False)
    }
    if times[True] and times[False]:
        outcome.worst_away = times[False][-1]
        # What the database itself makes wait is not Redis's doing.
        slow = SLOW + times[True][-1]
        quick = [time for time in times[False] if time < slow]
        outcome.added_away = _at(quick, 0.95) - _at(times[True], 0.95)
        outcome.added_usually = _at(quick, 0.5) - _at(times[True], 0.5)
        waited = Counter(
            process for process, read in during if read.outcome != "plain" and read.ended - read.began >= slow
        )
        outcome.slow_away = max(waited.values(), default=0)


def _near(outages: Sequence[Sequence[float]], began: float, ended: float) -> bool:
    """Whether something happened during an outage, or soon after it."""
    return any(away <= ended and began <= back + RECOVERY for away, back in outages)


def _at(times: Sequence[float], share: float) -> float:
    return times[int(len(times) * share)] if times else 0.0
