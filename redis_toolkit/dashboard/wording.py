"""Numbers, parts and times in the words of the reader's language."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from django.utils import timezone
from django.utils.formats import number_format
from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

__all__ = ["length", "moment", "share", "whole"]

#: Up to here a length of time is told in seconds.
_SECONDS: Final = 120


def whole(number: float) -> str:
    """A number without a fraction."""
    return str(number_format(round(number), force_grouping=True))


def share(part: float, of: float) -> str:
    """A part as a percentage; nothing where there is nothing to be a part of."""
    if not of:
        return ""
    return _("%(number)s %%") % {"number": number_format(100 * part / of, 1)}


def length(seconds: int) -> str:
    """A length of time."""
    if seconds < _SECONDS:
        return ngettext("%(seconds)d second", "%(seconds)d seconds", seconds) % {"seconds": seconds}
    begin = timezone.now()
    return timesince(begin, begin + timedelta(seconds=seconds), depth=1)


def moment(seconds: float) -> datetime:
    """Seconds since the epoch as a time in the reader's zone, also in a project without zones."""
    return datetime.fromtimestamp(seconds, UTC).astimezone(timezone.get_current_timezone())
