"""The numbers at the head of the cache's page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from django.db import Error, connections
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from redis_toolkit.cache import Health, health, outbox
from redis_toolkit.cache.databases import each_once
from redis_toolkit.conf import settings
from redis_toolkit.dashboard.measures import evicted, hit_time, load_time, memory, queries_saved, reads
from redis_toolkit.dashboard.units import NONE, duration, percent, size
from redis_toolkit.dashboard.wording import moment, whole
from redis_toolkit.exceptions import Misconfigured
from redis_toolkit.stats import Bucket, Figures

__all__ = ["Tile", "of_the_cache", "outbox_rows"]

#: Hit ratios that are shown as good, and as a reason to look closer; and reads from which on they tell something.
_GOOD: Final = 0.8
_POOR: Final = 0.3
_ENOUGH: Final = 100


class Tile(NamedTuple):
    """A number with its name; ``state``: "", "good", "warning" or "bad"."""

    name: str
    value: str
    note: str = ""
    state: str = ""
    unit: str = ""


def of_the_cache(told: Sequence[Bucket] | None, figures: Figures | None) -> list[Tile]:
    """What was counted (None: nobody knows), and how the cache of this process, its server and its outboxes are.

    Two round trips, and one query to each database that has an outbox.
    """
    return [*_counted(told, figures), *_now(), _dropped(figures)]


def outbox_rows() -> int | None:
    """How many rows wait in the outboxes; None: a database does not answer."""
    rows = 0
    for alias in each_once(None):
        connection = connections[alias]
        try:
            if outbox.is_there(connection):
                rows += outbox.rows_in(connection).count()
        except Error:
            return None
    return rows


def _counted(told: Sequence[Bucket] | None, figures: Figures | None) -> list[Tile]:
    names = _("Hit ratio"), _("Database queries saved"), _("Time saved"), _("Memory"), _("Evicted keys")
    if figures is None or told is None:
        return [Tile(name, _("not known")) for name in names]
    ratio, saved = figures.hit_ratio(), queries_saved(figures)
    beside = [
        text % {"number": whole(number)}
        for text, number in ((_("%(number)s calls"), saved.calls), (_("%(number)s rows by key"), saved.rows))
        if number
    ]
    many = reads(figures)
    state = "" if ratio is None or many < _ENOUGH else "good" if ratio >= _GOOD else "warning" if ratio < _POOR else ""
    used = next(
        (used for bucket in reversed(told) if (used := memory(bucket.figures, settings.ALIAS)) is not None), None
    )
    gone = evicted(figures, settings.ALIAS)
    return [
        Tile(
            names[0], NONE if ratio is None else percent(ratio),
            ngettext("of %(number)s read", "of %(number)s reads", many) % {"number": whole(many)}, state,
        ),
        Tile(names[1], whole(saved.number), _("and %(what)s") % {"what": ", ".join(beside)} if beside else ""),
        Tile(names[2], duration(figures.seconds_saved()), _means(figures)),
        Tile(names[3], NONE if used is None else size(used), _("of the server, all of it")),
        Tile(names[4], whole(gone), "", "warning" if gone else ""),
    ]  # fmt: skip


def _means(figures: Figures) -> str:
    hit, load = hit_time(figures), load_time(figures)
    if hit is None or load is None:
        return ""
    return _("a hit takes %(hit)s, a load %(load)s") % {"hit": duration(hit), "load": duration(load)}


def _now() -> list[Tile]:
    try:
        found = health(ask=True)
    except Misconfigured:
        # (The health of the servers says what is wrong.)
        return [Tile(name, _("not known")) for name in (_("Redis answers in"), _("Breaker"))] + [_outbox()]
    return [_latency(found), _breaker(found), _outbox()]


def _latency(found: Health) -> Tile:
    name = _("Redis answers in")
    if found.latency is None:
        return Tile(name, _("not known"), _("It did not answer."), "bad")
    return Tile(name, duration(found.latency))


def _breaker(found: Health) -> Tile:
    states = {"closed": _("closed"), "open": _("open"), "half-open": _("half open")}
    since = _("since %(time)s") % {"time": date_format(moment(found.since), "SHORT_DATETIME_FORMAT")}
    is_well = found.state == "closed" and found.trusted
    note = since if is_well else _("%(since)s; the database answers") % {"since": since}
    return Tile(_("Breaker"), states.get(found.state, found.state), note, "good" if is_well else "bad")


def _outbox() -> Tile:
    rows = outbox_rows()
    if rows is None:
        return Tile(_("Outbox"), _("not known"), _("A database did not answer."), "bad")
    note = _("writes that Redis has not been told of") if rows else ""
    return Tile(_("Outbox"), whole(rows), note, "warning" if rows else "")


def _dropped(figures: Figures | None) -> Tile:
    if figures is None:
        return Tile(_("Statistics dropped"), _("not known"))
    dropped = figures.count("dropped")
    return Tile(
        _("Statistics dropped"), whole(dropped), _("counted while Redis was away") if dropped else "",
        "warning" if dropped else "",
    )  # fmt: skip
