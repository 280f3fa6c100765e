"""The report: a line for each scenario, and examples of what was wrong."""

from __future__ import annotations

import os
import platform
import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import django

from bench.consistency.outcome import Outcome

__all__ = ["as_data", "examples", "head", "line"]

_COLUMNS = (
    "scenario", "what happened", "reads", "commits", "hit ratio", "stale", "uncommitted", "own write", "wrong at rest",
    "errors", "oldest s", "of it since Redis was back", "worst read ms", "while away ms", "time-outs", "added ms",
    "usually", "verdict",
)  # fmt: skip


def head(subject: str, seed: str, seconds: float) -> str:
    """The heading, and the first two lines of the table."""
    return "\n".join(
        (
            f"# Consistency of {subject}",
            "",
            f"Seed {seed}; {seconds:g} s of load a scenario; Django {django.__version__}; {_python()}.",
            "",
            "| " + " | ".join(_COLUMNS) + " |",
            "|" + "---|" * len(_COLUMNS),
        )
    )


def line(outcome: Outcome, *, full: bool) -> str:
    """One scenario's line of the table."""
    counts = outcome.verdicts.counts
    events = {**outcome.happened, "messages of writers lost": outcome.unheard}
    happened = ", ".join(f"{number} {what}" for what, number in events.items() if number) or "nothing"
    stale = str(counts["stale"])
    if counts["stale"] and outcome.verdicts.allowed:
        stale += f" ({counts['intolerable']} after {outcome.verdicts.allowed:g} s)"
    if counts["early"]:
        stale += f" + {counts['early']} before the commit returned"
    broken = [*outcome.violations, *outcome.idle]
    verdict = "**BROKEN**" if broken else "exact" if not counts["stale"] else "within its bound"
    if outcome.slack:
        verdict += ("; **missed: " if full else "; not judged: ") + ", ".join(outcome.slack) + ("**" if full else "")
    cells = (
        outcome.scenario.title, happened, outcome.reads, outcome.commits, _share(outcome.hit_ratio), stale,
        counts["uncommitted"], counts["own"], len(outcome.wrong), len(outcome.errors), f"{outcome.verdicts.oldest:.2f}",
        f"{outcome.verdicts.longest:.2f}",
        _ms(outcome.worst), _ms(outcome.worst_away), "" if outcome.worst_away is None else outcome.slow_away,
        _ms(outcome.added_away, 1), _ms(outcome.added_usually, 1), verdict,
    )  # fmt: skip
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def _share(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.0%}"


def _python() -> str:
    return f"Python {platform.python_version()}, {os.cpu_count()} processors"


def _ms(seconds: float | None, digits: int = 0) -> str:
    return "" if seconds is None else f"{seconds * 1000:.{digits}f}"


def examples(outcome: Outcome) -> str:
    """The first few of what was wrong in a scenario."""
    lines = [
        f"{finding.fault}, {finding.age:.3f} s old, {finding.process}: {finding.read}"
        for finding in outcome.verdicts.examples
    ]
    lines += [
        f"wrong: {kind} {argument}: {said} ({how}), not {right}"
        for kind, argument, said, right, how in outcome.wrong[:5]
    ]
    lines += [f"error: {error}" for error in outcome.errors[:3]]
    return textwrap.indent("\n".join(line[:2000] for line in lines), f"{outcome.scenario.name}: ")


def as_data(outcomes: Sequence[Outcome], seed: str, seconds: float) -> dict[str, Any]:
    """Everything counted, for machines."""
    return {
        "seed": seed,
        "seconds": seconds,
        "outcomes": {
            outcome.scenario.name: {
                "hit_ratio": outcome.hit_ratio,
                **{
                    name: value
                    for name, value in asdict(outcome).items()
                    if name not in {"scenario", "verdicts", "wrong", "errors"}
                },
                "counts": dict(outcome.verdicts.counts),
                "oldest": outcome.verdicts.oldest,
                "longest": outcome.verdicts.longest,
                "wrong": len(outcome.wrong),
                "errors": outcome.errors,
                "violations": outcome.violations,
                "idle": outcome.idle,
                "slack": outcome.slack,
            }
            for outcome in outcomes
        },
    }
