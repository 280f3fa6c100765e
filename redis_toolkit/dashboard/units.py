"""How the pages write numbers for people."""

from __future__ import annotations

from typing import Final

from django.utils.formats import number_format
from django.utils.translation import gettext as _

__all__ = ["NONE", "duration", "percent", "size"]

#: What stands where there is no number.
NONE: Final = "\N{EN DASH}"

_MILLI: Final = 0.001
_MINUTE: Final = 60.0
_HOUR: Final = 3600.0
_TEN: Final = 10.0
_KILO: Final = 1024
_UNITS: Final = ("B", "KB", "MB", "GB", "TB")


def percent(share: float) -> str:
    """A share from 0 to 1, rounded down: 100 % is all of it."""
    return _("%(percent)d %%") % {"percent": int(share * 100 + 1e-9)}


def duration(seconds: float) -> str:
    """A length of time in a unit that fits it."""
    if abs(seconds) < 1:
        millis = seconds / _MILLI
        return _("%(number)s ms") % {"number": _short(millis, 2)}
    if abs(seconds) < _MINUTE:
        return _("%(number)s s") % {"number": _short(seconds, 1)}
    if abs(seconds) < _HOUR:
        return _("%(number)s min") % {"number": _short(seconds / _MINUTE, 1)}
    return _("%(number)s h") % {"number": _short(seconds / _HOUR, 1)}


def size(many: float) -> str:
    """Bytes in a unit that fits them: of 1024 each."""
    value, unit = float(many), _UNITS[0]
    for unit in _UNITS:  # noqa: B007 - the last one is wanted
        if abs(value) < _KILO:
            break
        value /= _KILO
    return f"{_short(value, 1)} {unit}"


def _short(value: float, places: int) -> str:
    """A number with as many places as tell something: none from 10 on, and none that are all 0."""
    rounded = round(value, places) if abs(value) < _TEN else round(value)
    return str(number_format(rounded, 0 if rounded == round(rounded) else places, force_grouping=True))
