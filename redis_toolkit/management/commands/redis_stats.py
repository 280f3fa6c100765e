from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from redis_toolkit.conf import settings
from redis_toolkit.dashboard.measures import Saved, queries_saved
from redis_toolkit.exceptions import RedisToolkitError
from redis_toolkit.stats import DAY, HOUR, MONTH, Figures, buckets, hottest, summed

_SPANS = {"hour": HOUR, "day": DAY, "month": MONTH}
#: What is told but reads: metrics, and how their lines begin.
_FURTHER = {
    "throttle": "throttle", "ban": "bans", "code": "codes", "session": "sessions", "token": "tokens",
    "error": "errors", "breaker": "breaker", "dropped": "not told",
}  # fmt: skip


class Command(BaseCommand):
    help = "Shows what the cache saves, what throttles deny and what became of codes, sessions and tokens."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--span", choices=tuple(_SPANS), default="hour", help="Of how long. Default: the last hour."
        )
        parser.add_argument("--json", action="store_true", help="Print one JSON object.")

    def handle(self, *, span: str, **options: Any) -> None:
        try:
            figures = summed(buckets(_SPANS[span]))
            hot = hottest(limit=5)
        except RedisToolkitError as error:
            raise CommandError(f"{str(error).rstrip('.')}. Run it again when Redis is back.") from error
        if options["json"]:
            told = {
                "span": span,
                "reads": {subject or "": reads(figures, subject) for subject in figures.subjects("read")},
                **{metric: counts(figures, metric) for metric in _FURTHER},
                "hottest": [each._asdict() for each in hot],
            }
            self.stdout.write(json.dumps(told, indent=2))
            return
        if not settings.STATS:
            self.stdout.write("REDIS_TOOLKIT_STATS is False: nothing is counted by this project.")
        self.stdout.write("\n".join(lines(figures, span)))
        for each in hot:
            self.stdout.write(f"read {each.times} times lately: {each.key} ({each.subject})")


def reads(figures: Figures, subject: str | None) -> dict[str, Any]:
    """What is told of the reads of one subject, or of all. Seconds."""
    return {
        "hit_ratio": figures.hit_ratio(subject),
        "reads": figures.hits(subject) + figures.misses(subject) + figures.bypasses(subject),
        "hits": figures.hits(subject),
        "misses": figures.misses(subject),
        "bypasses": figures.bypasses(subject),
        "loads": figures.count("load", subject),
        "seconds_saved": round(figures.seconds_saved(subject), 6),
        "writes": figures.count("write", subject),
    }


def counts(figures: Figures, metric: str) -> dict[str, dict[str, int]]:
    """How many, by subject and detail."""
    return {
        subject: {
            detail: number
            for detail in figures.details(metric, subject)
            if (number := figures.count(metric, subject, detail))
        }
        for subject in figures.subjects(metric)
    }


def lines(figures: Figures, span: str) -> Iterator[str]:
    """What is said to people: a row for each model or function, those that are read most first, and the others."""
    told = {subject: reads(figures, subject) for subject in figures.subjects("read")}
    if not told:
        yield f"Nothing was read through the cache in the last {span}."
    else:
        title = f"the last {span}"
        width = max(len(_shown(subject)) for subject in (*told, title))
        yield f"{title:{width}}  hit ratio     reads  queries saved  seconds saved  writes"
        ordered = sorted(told.items(), key=lambda item: -item[1]["reads"])
        for subject, each in ordered:
            yield _row(_shown(subject), each, queries_saved(figures, subject), width)
        yield _row("all", reads(figures, None), queries_saved(figures), width)
    for metric, name in _FURTHER.items():
        for subject, found in counts(figures, metric).items():
            if found:
                said = ", ".join(f"{number} {detail}".rstrip() for detail, number in found.items())
                yield f"{f'{name} {subject}'.rstrip()}: {said}"


def _row(subject: str, each: dict[str, Any], saved: Saved, width: int) -> str:
    ratio = "" if each["hit_ratio"] is None else f"{each['hit_ratio']:.1%}"
    return (
        f"{subject:{width}}  {ratio:>9}  {each['reads']:>8}  {saved.number + saved.calls:>13}"
        f"  {each['seconds_saved']:>13.3f}  {each['writes']:>6}"
    )


def _shown(subject: str) -> str:
    return subject or "(no name)"
