"""The page of the cache: whether it helps, what it costs, how its server is; and a page for each thing it remembers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.safestring import SafeString

from redis_toolkit.conf import settings
from redis_toolkit.dashboard import drawings, subjects
from redis_toolkit.dashboard.advice import Advice, advise
from redis_toolkit.dashboard.charts import Chart
from redis_toolkit.dashboard.declared import every
from redis_toolkit.dashboard.deeds import act
from redis_toolkit.dashboard.health import report
from redis_toolkit.dashboard.measures import queries_saved, reads
from redis_toolkit.dashboard.pages import may
from redis_toolkit.dashboard.reasons import coded, reason
from redis_toolkit.dashboard.spans import chosen, labels
from redis_toolkit.dashboard.tiles import of_the_cache
from redis_toolkit.dashboard.units import duration, percent
from redis_toolkit.dashboard.wording import whole
from redis_toolkit.exceptions import Misconfigured, StoreUnavailable
from redis_toolkit.models import Server
from redis_toolkit.stats import Bucket, Figures, buckets, summed

__all__ = ["act", "context", "detail"]

#: Subjects, and pieces of advice, that the page shows.
_SUBJECTS: Final = 50
_ADVICE: Final = 12


class Line(NamedTuple):
    """A subject in the table."""

    name: str
    address: str
    reads: str
    ratio: str
    queries: str
    time: str
    writes: str
    advice: SafeString
    more: int


detail = subjects.detail


def context(request: HttpRequest) -> dict[str, Any]:
    """What the page shows to this user."""
    period = chosen(request)
    found: dict[str, Any] = {"period": period, "counts": settings.STATS, "reasons": None}
    told: list[Bucket] | None = None
    try:
        told = buckets(period.span)
    except (Misconfigured, StoreUnavailable) as error:
        found["trouble"] = str(error)
    figures = None if told is None else summed(told)
    found["tiles"] = of_the_cache(told, figures)
    if may(request, "view", Server):
        found |= _health(request)
    if told is None or figures is None:
        return found
    known = every()
    names = _ordered(figures, known)
    advice = advise(figures, {name: each.facts for name, each in known.items()}, names, settings.ALIAS)
    return found | {
        "charts": _charts(told, labels(told, period.span)),
        "lines": [
            _line(name, figures, advice, subjects.address(name, period) if name in known else "")
            for name in names[:_SUBJECTS]
        ],
        "most_subjects": _SUBJECTS if len(names) > _SUBJECTS else None,
        "advice": [(coded(each.sentence), coded(each.cure)) for each in advice[:_ADVICE]],
        "reasons": reasons_of(figures, None),
    }


def reasons_of(figures: Figures, subject: str | None) -> list[tuple[str, str]]:
    """Why reads were no hits, each as a sentence and how often, the most frequent first."""
    counts = {word: figures.count("reason", subject, word) for word in figures.details("reason", subject)}
    return [(reason(word), whole(counts[word])) for word in sorted(counts, key=lambda word: (-counts[word], word))]


def _ordered(figures: Figures, known: Iterable[str]) -> list[str]:
    """The subjects that were read, the most read first, and those that could be."""
    counted = {name: reads(figures, name) for name in {*figures.subjects("read"), *known}}
    return sorted(counted, key=lambda name: (-counted[name], name))


def _line(name: str, figures: Figures, advice: Sequence[Advice], address: str) -> Line:
    ratio = figures.hit_ratio(name)
    own = [each for each in advice if each.subject == name]
    return Line(
        name, address, whole(reads(figures, name)),
        "" if ratio is None else percent(ratio), whole(queries_saved(figures, name).number),
        duration(figures.seconds_saved(name)), whole(figures.count("write", name)),
        coded(own[0].sentence) if own else SafeString(""), max(0, len(own) - 1),
    )  # fmt: skip


def _health(request: HttpRequest) -> dict[str, Any]:
    match = request.resolver_match
    try:
        # (In the admin that this page is in: a project may have several.)
        address = reverse("admin:redis_toolkit_server_changelist", current_app=match.namespace if match else None)
    except NoReverseMatch:
        address = ""
    states = {"error": "bad", "warning": "warning"}
    return {
        "findings": [
            (states.get(each.level, ""), each.subject, coded(each.sentence)) for each in report().of("warning")
        ],
        "health_address": address,
        "is_examined": True,
    }


def _charts(told: Sequence[Bucket], times: list[str]) -> list[Chart]:
    each = [bucket.figures for bucket in told]
    return [
        drawings.of_reads(times, each),
        drawings.of_ratio(times, each),
        drawings.of_times(times, each),
        drawings.of_memory(times, each, settings.ALIAS),
        drawings.of_evictions(times, each, settings.ALIAS),
    ]
