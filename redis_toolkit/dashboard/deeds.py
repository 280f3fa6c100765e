"""What the buttons of a subject's page do: end its entries, fill them, compare them with the database.

By the same calls as the commands ``redis_invalidate``, ``redis_warm`` and ``redis_verify``, but bounded in time: a
request waits for them. What was done is told by Django's messages, and written to the admin's log.
"""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Iterable
from itertools import islice
from typing import Any, Final

from django.contrib import messages
from django.db import Error, connections
from django.db.models import Model
from django.http import HttpRequest
from django.utils.module_loading import import_string
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from redis_toolkit.cache import invalidate
from redis_toolkit.cache.verification import DatabaseAway, Finding, Inventory, Outcome, Verifier, choose
from redis_toolkit.cache.warming import declared, warm
from redis_toolkit.conf import settings
from redis_toolkit.core.clock import monotonic
from redis_toolkit.core.connections import link
from redis_toolkit.dashboard.declared import Subject, named
from redis_toolkit.dashboard.pages import may, record
from redis_toolkit.dashboard.wording import whole
from redis_toolkit.exceptions import RedisToolkitError
from redis_toolkit.models import Statistic

__all__ = ["ROWS", "SAMPLE", "SECONDS", "act"]

_log = logging.getLogger("redis_toolkit.dashboard")

#: Seconds that a button may take, rows that it fills, entries that it compares, and differences that are told.
SECONDS: Final = 5.0
ROWS: Final = 2000
SAMPLE: Final = 200
_TOLD: Final = 5
#: Round trips of a thousand keys in which entries to be compared are looked for.
_TRIPS: Final = 20
#: Things that are looked at of one name in REDIS_TOOLKIT_WARM, to learn which models it is about.
_THINGS: Final = 50


def act(request: HttpRequest) -> None:
    """Do what the form asks for, if this user may."""
    action, subject = request.POST.get("action", ""), named(request.POST.get("name", ""))
    deed = _DEEDS.get(action)
    if deed is None or subject is None or (subject.model is None and action != "invalidate"):
        messages.error(request, _("This cannot be done."))
        return
    if not may(request, "change", Statistic):
        messages.error(request, _("You are not allowed to do this."))
        return
    try:
        done = deed(request, subject)
    except (RedisToolkitError, DatabaseAway) as error:
        messages.error(request, str(error))
        return
    except Error as error:
        messages.error(request, _("A database did not answer: %(error)s") % {"error": error})
        return
    record(request, Statistic, subject.name, subject.name, done)


def _invalidate(request: HttpRequest, subject: Subject) -> str:
    told = [invalidate(model) for model in subject.depends_on]
    done = _("invalidated")
    if subject.model is None:
        done = _("invalidated, with all that depends on %(models)s") % {
            "models": ", ".join(each._meta.label for each in subject.depends_on)
        }
    if all(told):
        messages.success(request, _told(subject, done))
    else:
        messages.warning(
            request,
            _("Redis is away and could not be told (%(name)s). Whoever drains the outbox tells it when it is back.")
            % {"name": subject.name},
        )
    return done


def _told(subject: Subject, done: str) -> str:
    return f"{capfirst(done)} ({subject.name})."


class _Enough(Exception):
    """As much was filled as one request may fill."""


def _warm(request: HttpRequest, subject: Subject) -> str:
    names = [name for name in declared() if subject.model in _models_of(name)]
    models = [] if names else [subject.name]
    if settings.WARMER is not None:
        _send(settings.WARMER, names, models)
        done = _("given to a worker to be warmed")
        messages.success(request, _told(subject, done))
        return done
    until, answers = monotonic() + SECONDS, Counter[str]()

    def progress(name: str, number: int, _total: int | None) -> None:
        answers[name] = number
        if monotonic() >= until or answers.total() >= ROWS:
            raise _Enough

    is_whole, stored = True, 0
    try:
        for warmed in warm(names, models=models, progress=progress):
            stored += warmed.loaded
            answers[warmed.name] = warmed.done
    except _Enough:
        is_whole = False
    number = answers.total()
    done = ngettext("%(number)s answer warmed", "%(number)s answers warmed", number) % {"number": whole(number)}
    if is_whole:
        messages.success(request, _told(subject, done))
    else:
        messages.warning(
            request,
            _("%(told)s That is as much as one request does: manage.py redis_warm does the rest.")
            % {"told": _told(subject, done)},
        )
    return done


def _models_of(name: str) -> set[type[Model] | None]:
    """The models that a name in REDIS_TOOLKIT_WARM is about, by the first of its things."""
    try:
        given = import_string(name)()
    except ImportError:
        # (What warms it says so.)
        return set()
    alone = isinstance(given, type) or hasattr(given, "model") or not isinstance(given, Iterable)
    things: Iterable[Any] = (given,) if alone else islice(given, _THINGS)
    return {each if isinstance(each, type) else getattr(each, "model", None) for each in things} - {None}


def _send(path: str, names: list[str], models: list[str]) -> None:
    try:
        sender = import_string(path)
    except ImportError as error:
        raise RedisToolkitError(f"REDIS_TOOLKIT_WARMER is {path!r}, which cannot be imported: {error}") from error
    try:
        sender(names, models)
    except Exception as error:  # (a broker that is away raises errors of its own, of whatever kind)
        # What it says may have the broker's address in it, with a password.
        _log.exception("%s could not give to a worker what is to be warmed", path)
        raise RedisToolkitError(f"{path} raised {type(error).__name__}, which the log explains.") from error


def _verify(request: HttpRequest, subject: Subject) -> str:
    verifier, until = Verifier(link(), list(connections)), monotonic() + SECONDS
    inventory = Inventory(link(), (), [subject.name.lower()], _TRIPS)
    counts, wrong = Counter[Outcome](), list[Finding]()
    for key in choose(inventory, SAMPLE, random.Random()):  # noqa: S311 - a sample, no secret
        if monotonic() >= until:
            break
        finding = verifier.look(key)
        counts[finding.outcome] += 1
        if finding.outcome is Outcome.DIFFERENT:
            wrong.append(finding)
    parts = ", ".join(f"{number} {_OUTCOMES[outcome]()}" for outcome, number in counts.most_common())
    number = counts.total()
    done = ngettext("%(number)s entry compared", "%(number)s entries compared", number) % {"number": whole(number)}
    done += f": {parts}" if parts else ""
    (messages.error if wrong else messages.success)(request, _told(subject, done))
    for finding in wrong[:_TOLD]:
        messages.error(request, _difference(finding))
    return done


def _difference(finding: Finding) -> str:
    """Which columns differ; the values are for the command, which may be asked to show them."""
    columns = finding.difference.columns if finding.difference else ()
    return _(
        "%(key)s differs in %(columns)s. Invalidate ends it; manage.py redis_verify --values shows the values."
    ) % {
        "key": finding.key, "columns": ", ".join(columns),
    }  # fmt: skip


_OUTCOMES: Final = {
    Outcome.EQUAL: lambda: _("equal"),
    Outcome.DIFFERENT: lambda: _("different"),
    Outcome.DEAD: lambda: _("not served any more"),
    Outcome.CHANGED: lambda: _("changed while looked at"),
    Outcome.UNREADABLE: lambda: _("unreadable"),
    Outcome.FORGED: lambda: _("with a forged transcript"),
    Outcome.INCOMPARABLE: lambda: _("not comparable"),
}
_DEEDS: Final = {"invalidate": _invalidate, "warm": _warm, "verify": _verify}
