"""The page of one-time codes: by purpose how many were sent, refused and tried, and with what outcome.

It shows numbers alone: neither codes, nor who they were for, nor where they went.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from django.contrib import messages
from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from redis_toolkit.conf import settings
from redis_toolkit.dashboard.charts import Chart, Series, areas
from redis_toolkit.dashboard.spans import Period, chosen, labels
from redis_toolkit.dashboard.wording import length, share, whole
from redis_toolkit.exceptions import Misconfigured, StoreUnavailable
from redis_toolkit.otp.budgets import Window
from redis_toolkit.otp.codes import OneTimeCode, declared
from redis_toolkit.stats import Bucket, Figures, buckets, summed

__all__ = ["Limits", "Purpose", "act", "context"]

_MICRO: Final = 1_000_000
#: Purposes that are shown: projects have a few.
_MOST: Final = 100
#: What may become of a wish for a code, and of a try, in the order of the columns: detail, title, colour.
_SENT: Final[tuple[tuple[str, str | Promise, str], ...]] = (
    ("issued", gettext_lazy("issued"), "allowed"),
    ("resent", gettext_lazy("resent"), "time"),
    ("refused", gettext_lazy("refused"), "denied"),
)
_TRIED: Final[tuple[tuple[str, str | Promise, str], ...]] = (
    ("verified", gettext_lazy("verified"), "hit"),
    ("wrong", gettext_lazy("wrong"), "miss"),
    ("expired", gettext_lazy("expired"), "bypass"),
    ("spent", gettext_lazy("used before"), "time"),
    ("locked", gettext_lazy("locked"), "denied"),
)


class Purpose(NamedTuple):
    """What was counted of one purpose, in the order of the columns; ``good``: the share of codes that were verified."""

    name: str
    counts: tuple[str, ...]
    good: str


class Limits(NamedTuple):
    """What a purpose was declared with, in words."""

    name: str
    look: str
    life: str
    attempts: str
    cooldown: str
    sends: str
    per_address: str
    lockout: str


def context(request: HttpRequest) -> dict[str, Any]:
    """What the page shows to this user."""
    period = chosen(request)
    codes = {each.name: each for each in declared()}
    found: dict[str, Any] = {
        "period": period,
        "counts": settings.STATS,
        "limits": [_limits(each) for each in codes.values()],
        "titles": [title for _detail, title, _colour in (*_SENT, *_TRIED)],
    }
    if not found["counts"]:
        return found
    try:
        counted = buckets(period.span)
    except (Misconfigured, StoreUnavailable) as error:
        return found | {"trouble": str(error)}
    figures = summed(counted)
    names = list(dict.fromkeys([*codes, *figures.subjects("code")]))[:_MOST]
    return found | {
        "tiles": _tiles(figures),
        "purposes": [_purpose(figures, name) for name in names],
        "charts": [
            _chart(_("Asked for in %(period)s"), counted, period, _SENT),
            _chart(_("Tried in %(period)s"), counted, period, _TRIED),
        ],
    }


def act(request: HttpRequest) -> None:
    """There is nothing to do on this page."""
    messages.error(request, _("This cannot be done."))


def _tiles(figures: Figures) -> list[dict[str, str]]:
    sent, verified = _sent(figures, None), figures.count("code", None, "verified")
    locked = figures.count("code", None, "locked")
    part = _("%(share)s of those sent") % {"share": share(verified, sent)} if sent else ""
    return [
        {"name": _("Codes and links sent"), "value": whole(sent)},
        {"name": _("Verified"), "value": whole(verified), "note": part},
        {"name": _("Wrong tries"), "value": whole(figures.count("code", None, "wrong"))},
        {"name": _("Locked"), "value": whole(locked), "state": "warning" if locked else ""},
    ]  # fmt: skip


def _sent(figures: Figures, name: str | None) -> int:
    return figures.count("code", name, "issued") + figures.count("code", name, "resent")


def _purpose(figures: Figures, name: str) -> Purpose:
    counts = tuple(whole(figures.count("code", name, detail)) for detail, _title, _colour in (*_SENT, *_TRIED))
    return Purpose(name, counts, share(figures.count("code", name, "verified"), _sent(figures, name)))


def _chart(
    title: str, counted: Sequence[Bucket], period: Period, shown: Sequence[tuple[str, str | Promise, str]]
) -> Chart:
    series = [
        Series(str(name), colour, [each.figures.count("code", None, detail) for each in counted])
        for detail, name, colour in shown
    ]
    return areas(title % {"period": period.title}, labels(counted, period.span), series, whole)


def _limits(code: OneTimeCode) -> Limits:
    policy = code._kind.policy  # noqa: SLF001 - what it was declared with is told nowhere else
    failures, seconds = policy.tiers[0]
    return Limits(
        name=code.name,
        look=_("%(length)d of %(variety)s") % {"length": code.length, "variety": len(code.alphabet)},
        life=_length(policy.life),
        attempts=whole(policy.attempts),
        cooldown=_length(policy.cooldown),
        sends=_budget(policy.sends),
        per_address=_budget(policy.per_ip),
        lockout=_("%(length)s after %(failures)d failures") % {"length": _length(seconds), "failures": failures},
    )


def _length(microseconds: int) -> str:
    return length(round(microseconds / _MICRO))


def _budget(window: Window | None) -> str:
    if window is None:
        return _("no limit")
    return _("%(limit)s in %(length)s") % {"limit": whole(window.limit), "length": _length(window.period)}
