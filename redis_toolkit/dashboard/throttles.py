"""The page of the throttles: what was let through, rules, bans and who is denied most; who may, ends a ban, begins one.

Who somebody is (an address, a user) is shown to who may do something about it, and to others a part of a digest, by
which one can be told from another. What is done goes through the same calls as the command ``redis_throttle``, and is
written to the admin's log. The page is there when Redis is not: then it says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, Final, NamedTuple

from django.contrib import messages
from django.http import HttpRequest
from django.utils.translation import gettext as _

from redis_toolkit.conf import settings
from redis_toolkit.dashboard.charts import Series, areas
from redis_toolkit.dashboard.pages import may, record
from redis_toolkit.dashboard.spans import Period, chosen, labels
from redis_toolkit.dashboard.wording import length, share, whole
from redis_toolkit.exceptions import Misconfigured, StoreUnavailable
from redis_toolkit.models import Ban
from redis_toolkit.stats import Bucket, buckets, offenders, summed
from redis_toolkit.throttling import banning
from redis_toolkit.throttling.checking import drop_all, lift
from redis_toolkit.throttling.identities import is_digest
from redis_toolkit.throttling.rules import Declared, declared

__all__ = ["act", "context"]

#: Bans, and clients, that the page shows.
_BANS: Final = 200
_OFFENDERS: Final = 50
#: Throttles whose decisions are told apart.
_RULES: Final = 100
#: Digits of a digest that are shown to who may not see whose it is.
_SHOWN: Final = 8
#: What can be done, and the permission that it takes.
_ACTIONS: Final = {"unban": "delete", "forget": "delete", "ban": "add"}
#: What may become of a request.
_OUTCOMES: Final = ("allowed", "denied", "shadow", "local")


@dataclass(frozen=True, slots=True)
class RuleLine:
    """A rule of ``REDIS_TOOLKIT_THROTTLES`` as the page shows it."""

    name: str
    rate: str
    key: str
    paths: str
    on_outage: str
    bans: bool
    shadow: bool


class Decided(NamedTuple):
    """What one throttle has decided, in words; ``share``: of what it denied."""

    name: str
    allowed: str
    denied: str
    share: str
    shadow: str
    local: str


class Client(NamedTuple):
    """Somebody who is counted: ``who`` is what this reader may see of them; the rest is for forms."""

    who: str
    name: str
    identity: str
    told: str


def context(request: HttpRequest) -> dict[str, Any]:
    """What the page shows to this user."""
    may_ban, may_unban = may(request, "add", Ban), may(request, "delete", Ban)
    trouble: dict[str, None] = {}
    found: dict[str, Any] = {
        "counts_offenders": settings.THROTTLE_OFFENDERS,
        "counts": settings.STATS,
        "is_on": settings.THROTTLE,
        "may_unban": may_unban,
        "may_ban": may_ban,
        "sees_clients": may_ban or may_unban,
        "most_bans": _BANS,
        "period": chosen(request),
    }
    try:
        rules = declared(settings.THROTTLES)
        found["rules"] = [_line(name, each) for name, each in rules.items()]
    except Misconfigured as error:
        rules = {}
        trouble[str(error)] = None
    for part in (_clients, _decisions):
        try:
            found.update(part(found, rules))
        except (Misconfigured, StoreUnavailable) as error:
            trouble[str(error)] = None
    found["trouble"] = " ".join(trouble)
    return found


def act(request: HttpRequest) -> None:
    """Do what the page's form asks for, if this user may; what came of it is told by Django's messages."""
    action, name = request.POST.get("action", ""), request.POST.get("name", "")
    identity = request.POST.get("identity", "")
    if action not in _ACTIONS or not name or not is_digest(identity):
        messages.error(request, _("This cannot be done."))
        return
    if not may(request, _ACTIONS[action], Ban):
        messages.error(request, _("You are not allowed to do this."))
        return
    try:
        # Before it is done: then nobody knows any more who that was.
        told = _told_of(name, identity)
        done = _do(action, name, identity, told)
    except (Misconfigured, StoreUnavailable) as error:
        messages.error(request, str(error))
        return
    if done is None:
        messages.warning(request, _("Nothing was known of %(who)s under %(name)s.") % {"who": told, "name": name})
        return
    record(request, Ban, identity, f"{name}: {told}", done)
    messages.success(request, f"{name}: {told}: {done}")


def _do(action: str, name: str, identity: str, told: str) -> str | None:
    """What was done, in words; None: there was nothing to do. Raises Misconfigured, StoreUnavailable."""
    if action == "unban":
        return _("banned no more") if lift(name, identity) else None
    if action == "forget":
        return _("forgotten") if drop_all(name, identity) else None
    rules = declared(settings.THROTTLES)
    if name not in rules:
        raise Misconfigured(f"REDIS_TOOLKIT_THROTTLES has no rule {name!r}.")
    banning.ban(rules[name].rule.any_limits, identity, told, None)
    return _("banned")


def _told_of(name: str, identity: str) -> str:
    """Who that is for people: as it was written here, not as a form says. Raises StoreUnavailable."""
    told = banning.told_of(name, identity)
    if told is None and settings.THROTTLE_OFFENDERS:
        told = offenders.told_of(name, identity)
    return told or identity


def _clients(found: dict[str, Any], rules: dict[str, Declared]) -> dict[str, Any]:
    """Who is banned, and who is denied most. Raises StoreUnavailable."""
    sees = found["sees_clients"]
    bans = list(banning.listed(_BANS + 1))
    banned = {(ban.name, ban.identity) for ban in bans}
    denied = offenders.top(limit=_OFFENDERS) if settings.THROTTLE_OFFENDERS else []
    return {
        "bans": [(_client(ban, sees=sees), length(ceil(ban.seconds))) for ban in bans[:_BANS]],
        "has_more_bans": len(bans) > _BANS,
        "offenders": [
            (
                _client(each, sees=sees),
                whole(each.times),
                each.name in rules and rules[each.name].rule.bans and (each.name, each.identity) not in banned,
            )
            for each in denied
        ],
    }


def _client(each: banning.Banned | offenders.Offender, *, sees: bool) -> Client:
    who = (each.told or each.identity) if sees else f"{each.identity[:_SHOWN]}…"
    return Client(who, each.name, each.identity, who)


def _decisions(found: dict[str, Any], rules: dict[str, Declared]) -> dict[str, Any]:
    """What was decided over time, and by which throttle. Raises StoreUnavailable."""
    if not found["counts"]:
        return {}
    period: Period = found["period"]
    counted = buckets(period.span)
    figures = summed(counted)
    # (Throttles of views are in no setting; and a rule by which nothing was decided is one to know of.)
    names = list(dict.fromkeys([*rules, *figures.subjects("throttle")]))[:_RULES]
    decided = []
    for name in names:
        allowed, denied, shadow, local = (figures.count("throttle", name, each) for each in _OUTCOMES)
        decided.append(
            Decided(name, whole(allowed), whole(denied), share(denied, allowed + denied), whole(shadow), whole(local))
        )
    return {"decided": decided, "chart": _chart(counted, period)}


def _chart(counted: Sequence[Bucket], period: Period) -> Any:
    titles = {
        "allowed": (_("allowed"), "allowed"),
        "denied": (_("denied"), "denied"),
        "shadow": (_("only told (shadow)"), "miss"),
    }
    series = [
        Series(title, colour, [each.figures.count("throttle", None, outcome) for each in counted])
        for outcome, (title, colour) in titles.items()
    ]
    # (What was decided without Redis is among these.)
    title = _("Decisions in %(period)s") % {"period": period.title}
    return areas(title, labels(counted, period.span), series, whole)


def _line(name: str, each: Declared) -> RuleLine:
    rate = settings.THROTTLES[name]["rate"]
    shown = ", ".join(f"{tier}: {of}" for tier, of in rate.items()) if isinstance(rate, dict) else str(rate)
    rule = each.rule
    return RuleLine(name, shown, str(rule.key), ", ".join(each.paths), rule.on_outage, rule.bans, rule.shadow)
