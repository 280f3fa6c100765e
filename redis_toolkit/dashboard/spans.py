"""Which time a page tells of: an hour, a day or a month, as its reader has chosen by ``?span=``; and its labels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple

from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from redis_toolkit.stats import DAY, HOUR, MONTH, Bucket, Span

__all__ = ["Choice", "Period", "chosen", "labels"]

_SPANS: Final = {"hour": HOUR, "day": DAY, "month": MONTH}
_TITLES: Final = {
    "hour": gettext_noop("the last hour"),
    "day": gettext_noop("the last day"),
    "month": gettext_noop("the last 30 days"),
}


class Choice(NamedTuple):
    """A span that can be chosen: its title, where it is, whether it is this one."""

    title: str
    address: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Period:
    """What was chosen: ``title`` goes into sentences ("the last hour")."""

    name: str
    span: Span
    title: str
    choices: tuple[Choice, ...]


def chosen(request: HttpRequest) -> Period:
    """The span that is asked for; an hour where none is, or none of that name."""
    asked = request.GET.get("span", "")
    name = asked if asked in _SPANS else "hour"
    choices = []
    for each, title in _TITLES.items():
        query = request.GET.copy()
        query["span"] = each
        choices.append(Choice(_(title), f"?{query.urlencode()}", each == name))
    return Period(name, _SPANS[name], _(_TITLES[name]), tuple(choices))


def labels(buckets: Iterable[Bucket], span: Span) -> list[str]:
    """When each began, in the reader's time zone, as short as the span allows."""
    is_days = span.step >= DAY.step * DAY.count
    # (Days are counted in UTC: elsewhere they would seem to begin on the day before.)
    zone = UTC if is_days else timezone.get_current_timezone()
    shape = "j M" if is_days else "H:i"
    return [date_format(datetime.fromtimestamp(each.start, UTC).astimezone(zone), shape) for each in buckets]
