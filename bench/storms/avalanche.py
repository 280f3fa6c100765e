"""Ten thousand entries written together: when they end, drawn with and without the jitter of their lives."""

from __future__ import annotations

from collections import Counter
from typing import Any

from bench.contestants import CONTESTANTS
from bench.driver import Worker
from bench.servers import running

__all__ = ["as_markdown", "run"]

JITTERS = (0.0, 0.1)
BINS = 20
WIDTH = 50


def run(entries: int) -> dict[str, Any]:
    """By jitter: milliseconds that each of ``entries`` has to live, those of an hour."""
    [ours] = [contestant for contestant in CONTESTANTS if contestant.name == "ours"]
    with running([ours], tcp=False) as servers:
        worker = Worker(ours, {**servers.job(0, ours), "storm": {"first": True}})
        try:
            lives = {str(jitter): worker.ask("lives", entries=entries, jitter=jitter) for jitter in JITTERS}
        finally:
            worker.close()
    return {"entries": entries, "lives": lives}


def as_markdown(found: dict[str, Any]) -> str:
    """The drawings."""
    parts = [f"# {found['entries']:,} entries written together, of an hour's life"]
    for jitter, lives in found["lives"].items():
        parts.append(f"## REDIS_TOOLKIT_TTL_JITTER = {jitter}\n\n{_histogram([life / 1000 for life in lives])}")
    return "\n\n".join(parts)


def _histogram(seconds: list[float]) -> str:
    # Over the same stretch whatever the jitter: the tenth of an hour that the default spreads them over.
    first, step = 3600 * 0.9, 3600 * 0.1 / BINS
    bins = Counter(min(BINS - 1, max(0, int((life - first) / step))) for life in seconds)
    most = max(bins.values())
    lines = [
        f"{first + at * step:6.0f} s {'#' * round(WIDTH * bins[at] / most):{WIDTH}} {bins[at]:6,}" for at in range(BINS)
    ]
    second = max(Counter(int(life) for life in seconds).values())
    share, span = second / len(seconds), max(seconds) - min(seconds)
    told = f"In the fullest second {second:,} end, {share:.1%}; all within {span:.0f} s."
    return "\n".join(["```", *lines, "```", "", told])
