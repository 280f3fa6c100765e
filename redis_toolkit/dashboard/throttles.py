"""The page of the throttles: rules, bans and who is denied most; who may, ends a ban, begins one, forgets a client.

What is done goes through the same calls as the command ``redis_throttle``, and is written to the admin's log. The page
is there when Redis is not: then it says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from math import ceil
from typing import Any, Final

from django.contrib import messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth import get_permission_codename
from django.contrib.contenttypes.models import ContentType
from django.http import HttpRequest
from django.utils import timezone
from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from redis_toolkit.conf import settings
from redis_toolkit.exceptions import Misconfigured, StoreUnavailable
from redis_toolkit.models import Ban
from redis_toolkit.stats import offenders
from redis_toolkit.throttling import banning
from redis_toolkit.throttling.checking import drop_all, lift
from redis_toolkit.throttling.identities import is_digest
from redis_toolkit.throttling.rules import Declared, declared

__all__ = ["act", "context"]

#: Bans, and clients, that the page shows.
_BANS: Final = 200
_OFFENDERS: Final = 50
#: Up to here a length of time is told in seconds.
_SECONDS: Final = 120
#: What can be done, and the permission that it takes.
_ACTIONS: Final = {"unban": "delete", "forget": "delete", "ban": "add"}


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


def context(request: HttpRequest) -> dict[str, Any]:
    """What the page shows to this user."""
    found: dict[str, Any] = {
        "counts_offenders": settings.THROTTLE_OFFENDERS,
        "is_on": settings.THROTTLE,
        "may_unban": _may(request, "delete"),
        "may_ban": _may(request, "add"),
        "most_bans": _BANS,
    }
    try:
        rules = declared(settings.THROTTLES)
        found["rules"] = [_line(name, each) for name, each in rules.items()]
    except Misconfigured as error:
        rules = {}
        found["trouble"] = str(error)
    try:
        bans = list(banning.listed(_BANS + 1))
        found["bans"] = [(ban, _length(ceil(ban.seconds))) for ban in bans[:_BANS]]
        found["has_more_bans"] = len(bans) > _BANS
        banned = {(ban.name, ban.identity) for ban in bans}
        found["offenders"] = [
            (each, each.name in rules and rules[each.name].rule.bans and (each.name, each.identity) not in banned)
            for each in (offenders.top(limit=_OFFENDERS) if settings.THROTTLE_OFFENDERS else ())
        ]
    except StoreUnavailable as error:
        found["trouble"] = str(error)
    return found


def act(request: HttpRequest) -> None:
    """Do what the page's form asks for, if this user may; what came of it is told by Django's messages."""
    action, name = request.POST.get("action", ""), request.POST.get("name", "")
    identity = request.POST.get("identity", "")
    if action not in _ACTIONS or not name or not is_digest(identity):
        messages.error(request, _("This cannot be done."))
        return
    if not _may(request, _ACTIONS[action]):
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
    LogEntry.objects.create(
        user_id=str(request.user.pk), content_type_id=_content_type().pk, object_id=identity,
        object_repr=f"{name}: {told}"[:200], action_flag=CHANGE, change_message=done,
    )  # fmt: skip
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


def _content_type() -> ContentType:
    return ContentType.objects.get_for_model(Ban, for_concrete_model=False)


def _line(name: str, each: Declared) -> RuleLine:
    rate = settings.THROTTLES[name]["rate"]
    shown = ", ".join(f"{tier}: {of}" for tier, of in rate.items()) if isinstance(rate, dict) else str(rate)
    rule = each.rule
    return RuleLine(name, shown, str(rule.key), ", ".join(each.paths), rule.on_outage, rule.bans, rule.shadow)


def _length(seconds: int) -> str:
    """A length of time in the words of the reader's language."""
    if seconds < _SECONDS:
        return ngettext("%(seconds)d second", "%(seconds)d seconds", seconds) % {"seconds": seconds}
    moment = timezone.now()
    return timesince(moment, moment + timedelta(seconds=seconds), depth=1)


def _may(request: HttpRequest, what: str) -> bool:
    return bool(request.user.has_perm(f"redis_toolkit.{get_permission_codename(what, Ban._meta)}"))
