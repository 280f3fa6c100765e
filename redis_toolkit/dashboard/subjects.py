"""The page of one thing that is cached: a model, a function, a fragment or a view."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import quote as urlquote

from django.contrib.admin.utils import quote
from django.http import HttpRequest
from django.utils.translation import gettext as _

from redis_toolkit.conf import settings
from redis_toolkit.dashboard import entries
from redis_toolkit.dashboard.advice import advise
from redis_toolkit.dashboard.declared import Subject, named
from redis_toolkit.dashboard.deeds import ROWS, SAMPLE, SECONDS
from redis_toolkit.dashboard.drawings import of_ratio, of_reads
from redis_toolkit.dashboard.measures import hit_time, load_time, queries_saved, reads
from redis_toolkit.dashboard.pages import is_refresh, may
from redis_toolkit.dashboard.reasons import KINDS, coded, ended, reason
from redis_toolkit.dashboard.spans import Period, chosen, labels
from redis_toolkit.dashboard.tiles import Tile
from redis_toolkit.dashboard.units import NONE, duration, percent, size
from redis_toolkit.dashboard.wording import whole
from redis_toolkit.exceptions import Misconfigured, StoreUnavailable
from redis_toolkit.models import Statistic
from redis_toolkit.stats import Bucket, Figures, buckets, summed
from redis_toolkit.stats.figures import HITS

__all__ = ["address", "counted", "detail"]

_SECONDS_OF_AN_HOUR: Final = 3600


class KindLine(NamedTuple):
    """Reads of one kind."""

    kind: str
    hits: str
    misses: str
    bypasses: str
    hit_time: str
    load_time: str


def address(name: str, period: Period) -> str:
    """Where the page of a subject is, from the page of all."""
    return f"{urlquote(quote(name))}/change/?span={period.name}"


def detail(request: HttpRequest, key: str) -> dict[str, Any] | None:
    """What the page of the subject called ``key`` shows to this user; None: there is none."""
    subject = named(key)
    if subject is None:
        return None
    period = chosen(request)
    found: dict[str, Any] = {
        "subject": subject, "period": period, "counts": settings.STATS, "may_change": may(request, "change", Statistic),
        "seconds": round(SECONDS), "rows": whole(ROWS), "sample": SAMPLE, "warmer": settings.WARMER,
        "depends_on": ", ".join(each._meta.label for each in subject.depends_on),
        "declared": _declared(subject), "reasons": None, "enders": None,
    }  # fmt: skip
    try:
        told = buckets(period.span)
        found |= _figures(subject, told, labels(told, period.span))
        hours = period.span.step * period.span.count // _SECONDS_OF_AN_HOUR
        found["hottest"] = entries.most_read(subject.name, hours)
        # (Not anew every few seconds: it stands in no part that is brought up to date.)
        if subject.model is not None and not is_refresh(request):
            found["coldest"] = _coldest(subject.name)
    except (Misconfigured, StoreUnavailable) as error:
        found["trouble"] = str(error)
    return found


def counted(counts: dict[str, int]) -> list[tuple[str, str]]:
    """Words for people and how often, the most frequent first."""
    return [(word, whole(counts[word])) for word in sorted(counts, key=lambda word: (-counts[word], word))]


def _coldest(label: str) -> list[tuple[entries.Cold, str, str, str]] | None:
    found = entries.coldest(label)
    if found is None:
        return None
    return [
        (each, duration(each.idle), size(each.bytes), "" if each.ttl is None else duration(each.ttl)) for each in found
    ]


def _declared(subject: Subject) -> list[tuple[str, str]]:
    ttl = subject.facts.ttl
    by = ", ".join(" + ".join(names) for names in subject.facts.by)
    return [("ttl", duration(ttl) if ttl else ""), *([("by", by)] if by else [])]


def _figures(subject: Subject, told: Sequence[Bucket], times: list[str]) -> dict[str, Any]:
    name, figures, each = subject.name, summed(told), [bucket.figures for bucket in told]
    advice = advise(figures, {name: subject.facts}, [name], settings.ALIAS)
    reasons = {reason(word): figures.count("reason", name, word) for word in figures.details("reason", name)}
    enders = {ended(what): figures.count("ended", name, what) for what in figures.details("ended", name)}
    return {
        "tiles": _tiles(figures, name),
        "charts": [drawing(times, each, name) for drawing in (of_ratio, of_reads)],
        "kinds": _kinds(figures, name),
        "reasons": counted(reasons),
        "enders": counted(enders),
        "advice": [(coded(one.sentence), coded(one.cure)) for one in advice],
    }


def _tiles(figures: Figures, name: str) -> list[Tile]:
    ratio, many, stored = figures.hit_ratio(name), reads(figures, name), figures.count("bytes", name)
    saved, hit, load = queries_saved(figures, name), hit_time(figures, name), load_time(figures, name)
    mean = figures.total("bytes", name) / stored if stored else None
    rows = _("and %(number)s rows by key") % {"number": whole(saved.rows)} if saved.rows else ""
    whose = _("of %(number)s reads") % {"number": whole(many)}
    return [
        Tile(_("Hit ratio"), NONE if ratio is None else percent(ratio), whose),
        Tile(_("Queries saved"), whole(saved.number + saved.calls), rows),
        Tile(_("Time saved"), duration(figures.seconds_saved(name))),
        Tile(_("A hit takes"), NONE if hit is None else duration(hit)),
        Tile(_("A load takes"), NONE if load is None else duration(load)),
        Tile(_("Writes"), whole(figures.count("write", name))),
        Tile(
            _("Entries stored"), whole(stored), "" if mean is None else _("%(size)s on average") % {"size": size(mean)}
        ),
    ]


def _kinds(figures: Figures, name: str) -> list[KindLine]:
    found = []
    for kind in dict.fromkeys(detail.partition(".")[0] for detail in figures.details("read", name)):
        hits = sum(figures.count("read", name, f"{kind}.{outcome}") for outcome in HITS)
        exact, loads = figures.count("read", name, f"{kind}.hit"), figures.count("load", name, kind)
        found.append(
            KindLine(
                str(KINDS.get(kind, kind)), whole(hits), whole(figures.count("read", name, f"{kind}.miss")),
                whole(figures.count("read", name, f"{kind}.bypass")),
                duration(figures.total("read", name, f"{kind}.hit") / exact) if exact else "",
                duration(figures.total("load", name, kind) / loads) if loads else "",
            )
        )  # fmt: skip
    return found
