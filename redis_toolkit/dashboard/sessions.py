"""The page of sessions: how many there are, how they end, and those of a user, which who may ends.

What is shown of a session is what its user sees on the page of devices: a kind of browser, a network, times, and a
handle in the form, which opens nothing. Its id is not known here: it stands nowhere in Redis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from django.contrib import messages
from django.contrib.admin.utils import quote
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from redis_toolkit.conf import settings
from redis_toolkit.core import keys
from redis_toolkit.core.clock import now
from redis_toolkit.core.connections import link, pack
from redis_toolkit.dashboard import people
from redis_toolkit.dashboard.charts import Chart, Series, areas
from redis_toolkit.dashboard.pages import is_refresh, may, record
from redis_toolkit.dashboard.people import Person
from redis_toolkit.dashboard.remembered import Remembered
from redis_toolkit.dashboard.spans import Period, chosen, labels
from redis_toolkit.dashboard.wording import whole
from redis_toolkit.exceptions import Misconfigured, StoreUnavailable
from redis_toolkit.models import LiveSession
from redis_toolkit.sessions import Device, names, revoke, revoke_all, sessions_for
from redis_toolkit.sessions.problems import is_ours
from redis_toolkit.stats import Bucket, buckets, summed

__all__ = ["Count", "act", "context", "counted", "detail"]

#: Users that a search finds, and sessions that are shown of one: a program may have begun thousands.
_FOUND: Final = 20
_DEVICES: Final = 200
#: Keys that the server looks at for one answer, and answers that a count takes at most.
_AT_ONCE: Final = 1000
_ANSWERS: Final = 10
#: Seconds for which a count is good.
_GOOD: Final = 15.0
#: A session's record has a room, a tag and a digest in its key; what belongs to it has more.
_PARTS: Final = 3
#: What a session ends by other than time, and its colour.
_REASONS: Final = {"logout": "allowed", "revoked": "denied", "evicted": "miss", "password": "time"}


class Count(NamedTuple):
    """How many sessions there are; ``is_exact``: all keys were looked at, not some."""

    number: int
    is_exact: bool


def counted() -> Count:
    """How many sessions there are in Redis, those of visitors who are not logged in included.

    By SCAN, ten round trips at most: where the server has more keys than that looks at, what was seen stands for the
    others, of which DBSIZE tells the number. (SCAN goes by the order of hashes, which is no order of ours.) Raises
    StoreUnavailable.
    """
    target = link(settings.DURABLE_ALIAS)
    [room, *_rest] = keys.parts_of(names.record_key("", ""))
    cursor, seen = b"0", 0
    for _attempt in range(_ANSWERS):
        cursor, found = target.ask(pack(("SCAN", cursor, "MATCH", keys.pattern(room), "COUNT", _AT_ONCE)))
        seen += sum(len(keys.parts_of(key.decode("utf-8", "replace"))) == _PARTS for key in found)
        if cursor == b"0":
            return Count(seen, is_exact=True)
    size = target.ask(pack(("DBSIZE",)))
    return Count(round(seen * max(1.0, size / (_ANSWERS * _AT_ONCE))), is_exact=False)


_count: Final = Remembered(_GOOD, counted)


def context(request: HttpRequest) -> dict[str, Any]:
    """What the page shows to this user."""
    asked = request.GET.get("q", "")
    found: dict[str, Any] = {"is_ours": is_ours(), "q": asked, "engine": settings.django("SESSION_ENGINE")}
    if not found["is_ours"]:
        return found | {"refresh": None}
    trouble: dict[str, None] = {}
    found |= {"period": chosen(request), "counts": settings.STATS, "most_found": _FOUND}
    # (Whom a search has found stands in no part that is brought up to date, and may take the database long to find.)
    persons = [] if is_refresh(request) else people.found(asked, _FOUND + 1)
    for part in (_counting, _ending, lambda _found: {"people": _with_counts(persons[:_FOUND])}):
        try:
            found |= part(found)
        except (Misconfigured, StoreUnavailable) as error:
            trouble[str(error)] = None
    if "people" not in found:
        # They can be found when Redis is away; how many sessions they have can not.
        found["people"] = [(each, quote(each.key), None) for each in persons[:_FOUND]]
    found["has_more"] = len(persons) > _FOUND
    found["trouble"] = " ".join(trouble)
    return found


def detail(request: HttpRequest, key: str) -> dict[str, Any] | None:
    """The sessions of the user with this primary key. None: there is neither such a user nor a session of theirs."""
    if not is_ours():
        return None
    person = people.person(key)
    key = _written(key, person)
    found: dict[str, Any] = {
        "key": key,
        "person": person,
        "title": key if person is None else person.name,
        "tells_places": settings.SESSION_DEVICES,
        "may_end": may(request, "delete", LiveSession),
    }
    try:
        devices = sessions_for(key, request)
    except (Misconfigured, StoreUnavailable) as error:
        return {**found, "trouble": str(error)}
    if person is None and not devices and not _has_news(request):
        return None
    if len(devices) > _DEVICES:
        # (To read so many is not for every few seconds.)
        found |= {"most_devices": _DEVICES, "refresh": None}
    return {
        **found,
        "devices": [_local(each) for each in devices[:_DEVICES]],
        "others": sum(not each.is_current for each in devices),
    }


def act(request: HttpRequest) -> None:
    """End a session of a user, or all, if this user may; what came of it is told by Django's messages."""
    key, handle = request.POST.get("user", ""), request.POST.get("handle", "")
    if not is_ours() or not key or not (handle or "all" in request.POST):
        messages.error(request, _("This cannot be done."))
        return
    if not may(request, "delete", LiveSession):
        messages.error(request, _("You are not allowed to do this."))
        return
    person = people.person(key)
    key = _written(key, person)
    who = key if person is None else person.name
    try:
        if "all" in request.POST:
            _end_all(request, key, who)
        else:
            _end_one(request, key, who, handle)
    except (Misconfigured, StoreUnavailable) as error:
        messages.error(request, str(error))


def _written(key: str, person: Person | None) -> str:
    """A primary key as their sessions have it: an address may have "07" for 7, or a UUID without its dashes."""
    return key if person is None else person.key


def _end_one(request: HttpRequest, key: str, who: str, handle: str) -> None:
    device = next((each for each in sessions_for(key, request) if each.handle == handle), None)
    if device is not None and device.is_current:
        messages.warning(request, _("This is the session that you are using: log out to end it."))
        return
    if device is None or not revoke(key, handle):
        messages.warning(request, _("That session of %(who)s had ended already.") % {"who": who})
        return
    place = ", ".join(filter(None, (device.browser, device.network)))
    record(request, LiveSession, key, f"{who} {place}".rstrip(), _("session %(handle)s ended") % {"handle": handle})
    messages.success(request, _("A session of %(who)s was ended.") % {"who": who})


def _end_all(request: HttpRequest, key: str, who: str) -> None:
    """All but the one in use: who does this to himself wants to see what came of it."""
    many = revoke_all(key, keep=request)
    if not many:
        messages.warning(request, _("%(who)s had no session to end.") % {"who": who})
        return
    said = ngettext("%(many)d session ended", "%(many)d sessions ended", many) % {"many": many}
    record(request, LiveSession, key, who, said)
    messages.success(request, f"{who}: {said}")


def _has_news(request: HttpRequest) -> bool:
    """Whether something was just done here: then the page is shown once more, though nothing is left on it."""
    return bool(len(messages.get_messages(request)))


def _counting(_found: dict[str, Any]) -> dict[str, Any]:
    known = _count.get()
    return {"sessions": whole(known.answer.number), "is_exact": known.answer.is_exact}


def _ending(found: dict[str, Any]) -> dict[str, Any]:
    if not found["counts"]:
        return {}
    period: Period = found["period"]
    counts = buckets(period.span)
    figures = summed(counts)
    tiles = [{"name": _title(each), "value": whole(figures.count("session", None, each))} for each in _REASONS]
    return {"tiles": tiles, "chart": _chart(counts, period)}


def _chart(counts: Sequence[Bucket], period: Period) -> Chart:
    series = [
        Series(_title(each), colour, [bucket.figures.count("session", None, each) for bucket in counts])
        for each, colour in _REASONS.items()
    ]
    title = _("Sessions ended in %(period)s") % {"period": period.title}
    return areas(title, labels(counts, period.span), series, whole)


def _title(reason: str) -> str:
    titles = {
        "logout": _("logged out"),
        "revoked": _("ended by hand"),
        "evicted": _("too many of one user"),
        "password": _("password changed"),
    }
    return titles[reason]


def _with_counts(persons: Sequence[Person]) -> list[tuple[Person, str, int | None]]:
    """Users, their keys as addresses have them, and how many sessions each has: one round trip for all."""
    if not persons:
        return []
    since = f"({now() * 1000:.0f}"
    commands = [
        pack(("ZCOUNT", names.index_key(names.user_digest(each.key)), since, "+inf")) for each in persons
    ]  # fmt: skip
    answers = link(settings.DURABLE_ALIAS).ask_many(b"".join(commands), len(commands))
    return [(each, quote(each.key), many) for each, many in zip(persons, answers, strict=True)]


def _local(device: Device) -> Device:
    """Its times in the reader's zone, also in a project without zones."""
    zone = timezone.get_current_timezone()
    return replace(
        device,
        created=device.created.astimezone(zone),
        last_seen=device.last_seen.astimezone(zone),
        expires=device.expires.astimezone(zone),
    )
