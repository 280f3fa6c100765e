"""Reading what was counted, in one round trip each time."""

from __future__ import annotations

from collections import Counter
from math import isfinite
from typing import Final

from redis_toolkit.conf import settings
from redis_toolkit.core.clock import now
from redis_toolkit.core.connections import link, pack
from redis_toolkit.stats import names
from redis_toolkit.stats.figures import HOUR, Bucket, Figures, Hot, Span
from redis_toolkit.stats.telling import HOT_HOURS, MOST_HOT

__all__ = ["buckets", "hottest", "whole"]

_CALLED: Final = {seconds: resolution for resolution, seconds in names.RESOLUTIONS.items()}


def buckets(span: Span = HOUR) -> list[Bucket]:
    """The last buckets of that ``span``, the oldest first; the last is the one that is being counted in.

    As many as ``span.count``: one in which nothing was counted is empty. What the processes have counted in the last
    second is missing (:func:`flush` tells what this one has). Days are those of UTC. One round trip. Raises
    StoreUnavailable, and ValueError for a step that is not 60, 3600 or 86400.
    """
    if span.step not in _CALLED or span.count < 1:
        raise ValueError(f"Buckets are of 60, 3600 or 86400 seconds, one at least, not {span!r}.")
    last = int(now() // span.step)
    wanted = range(last - span.count + 1, last + 1)
    commands = [pack(("HGETALL", names.bucket_key(_CALLED[span.step], number))) for number in wanted]
    answers = link(settings.STATS_ALIAS).ask_many(b"".join(commands), len(commands))
    return [
        Bucket(number * span.step, names.figures_of(answer)) for number, answer in zip(wanted, answers, strict=True)
    ]


def whole() -> Figures:
    """Everything since counting began, or since Redis has lost what it had. One round trip. Raises StoreUnavailable."""
    return names.figures_of(link(settings.STATS_ALIAS).ask(pack(("HGETALL", names.whole_key()))))


def hottest(hours: int = 1, limit: int = 20) -> list[Hot]:
    """The entries that were read most since the hour that began so many ``hours`` ago, the most first.

    An hour remembers a thousand of them. One round trip. Raises StoreUnavailable.
    """
    hour = int(now() // 3600)
    wanted = [names.hot_key(hour - back) for back in range(max(0, min(hours, HOT_HOURS - 1)) + 1)]
    commands = [pack(("ZREVRANGE", key, 0, MOST_HOT - 1, "WITHSCORES")) for key in wanted]
    counts: Counter[tuple[str, str]] = Counter()
    for answer in link(settings.STATS_ALIAS).ask_many(b"".join(commands), len(commands)):
        for member, score in zip(answer[::2], answer[1::2], strict=True):
            entry = names.read_list(member, 2)
            times = float(score)
            if entry is not None and isfinite(times):
                counts[entry[0], entry[1]] += int(times)
    return [Hot(*entry, times) for entry, times in counts.most_common(limit)]
