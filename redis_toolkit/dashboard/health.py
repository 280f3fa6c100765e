"""The page of the servers' health: the doctor's report, the slow log, the biggest keys.

To examine a server takes it some milliseconds, so what was found is good for some seconds in this process, whoever
asks; and what takes a walk over its keys for longer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeVar

from django.contrib import messages
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.urls import NoReverseMatch, reverse
from django.utils.formats import number_format
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from redis_toolkit.conf import settings
from redis_toolkit.core import keys
from redis_toolkit.dashboard.remembered import Remembered
from redis_toolkit.dashboard.wording import length, moment
from redis_toolkit.doctor import Finding, Key, Report, Server, Slow, biggest, examine, slow_log
from redis_toolkit.doctor.slowness import without_values
from redis_toolkit.exceptions import Misconfigured, StoreUnavailable
from redis_toolkit.stats.names import masked

__all__ = ["REFRESH", "act", "context", "report"]

T = TypeVar("T")

#: Seconds after which the page is brought up to date, and for which an examination and a walk over keys are good.
REFRESH: Final = 30
_EXAMINED: Final = 15.0
_WALKED: Final = 120.0
#: Keys that are looked at, and lines that are shown.
_SAMPLE: Final = 1000
_LINES: Final = 10
#: The page of all keys of a server, where dj-redis-panel is installed: by the name of its URL.
_PANEL: Final = "dj_redis_panel:index"
#: Facts in the order in which they are looked for; others follow.
_FIRST: Final = (
    "role", "memory", "maxmemory", "policy", "evicted", "append-only file", "last snapshot", "replicas", "clients",
    "latency",
)  # fmt: skip
_LEVELS: Final[dict[str, tuple[str | Promise, str]]] = {
    "error": (gettext_lazy("Error"), "bad"),
    "warning": (gettext_lazy("Warning"), "warning"),
    "advice": (gettext_lazy("Advice"), ""),
    "good": (gettext_lazy("Good"), "good"),
}


class Look(NamedTuple):
    """What can be told of one alias beside the report; ``trouble``: why not all of it."""

    slow: list[Slow]
    keys: list[Key]
    trouble: str


class Line(NamedTuple):
    """A finding as the page shows it."""

    level: str | Promise
    state: str
    finding: Finding


def context(request: HttpRequest) -> dict[str, Any]:  # noqa: ARG001 - all who see the page see the same
    """What the page shows."""
    known, found = _report.get()
    looks, walked = _looks.get()
    lines = [_line(each) for level in _LEVELS for each in known.findings if each.level == level]
    return {
        "refresh": REFRESH,
        "found": moment(found),
        "walked": moment(walked),
        "findings": [line for line in lines if line.finding.level != "good"],
        "goods": [line for line in lines if line.finding.level == "good"],
        "servers": [_server(each, looks.get(each.alias)) for each in known.servers],
        "sample": _SAMPLE,
        "panel": _panel(),
    }


def act(request: HttpRequest) -> None:
    """There is nothing to do on this page."""
    messages.error(request, _("This cannot be done."))


def _examined() -> Report:
    return examine(sample=_SAMPLE)


def _walked() -> dict[str, Look]:
    """What takes most, by alias. No error: what a server does not tell is told in words."""
    return {each.alias: _look(each.alias) for each in _report.get().answer.servers}


def _look(alias: str) -> Look:
    trouble: dict[str, None] = {}

    def asked(question: Callable[[], list[T]]) -> list[T]:
        try:
            return question()
        except (Misconfigured, StoreUnavailable) as error:
            trouble[str(error)] = None
            return []

    return Look(
        slow=asked(lambda: slow_log(alias, limit=_LINES)),
        keys=asked(lambda: biggest(alias, sample=_SAMPLE, limit=_LINES)),
        trouble=" ".join(trouble),
    )


def _life(looks: dict[str, Look]) -> float:
    """For how long: what a server did not tell is asked again soon."""
    return _EXAMINED if any(each.trouble for each in looks.values()) else _WALKED


_report: Final = Remembered(_EXAMINED, _examined)
_looks: Final = Remembered(_life, _walked)


def report() -> Report:
    """What the doctor has found, not long ago."""
    return _report.get().answer


def _line(finding: Finding) -> Line:
    level, state = _LEVELS[finding.level]
    return Line(level, state, finding)


def _server(server: Server, look: Look | None) -> dict[str, Any]:
    slow = look.slow if look else []
    order = {name: place for place, name in enumerate(_FIRST)}
    return {
        "server": server,
        "facts": sorted(server.facts.items(), key=lambda fact: order.get(fact[0], len(order))),
        "slow": [(moment(each.moment), _milliseconds(each.seconds), each.command) for each in slow],
        "keys": [_key(each) for each in (look.keys if look else [])],
        "trouble": look.trouble if look else "",
    }


def _key(key: Key) -> dict[str, Any]:
    return {
        "name": _short(key.name),
        "room": key.room,
        "size": filesizeformat(key.bytes),
        "ttl": None if key.ttl is None else length(round(key.ttl)),
        "idle": None if key.idle is None else length(round(key.idle)),
    }


def _short(name: str) -> str:
    """A key without the prefix that all have, and without values of columns but those of a row's primary key."""
    shown = masked(name) if keys.parts_of(name)[:1] == ["r"] else without_values(name)
    return shown.removeprefix(settings.PREFIX).lstrip(":")


def _milliseconds(seconds: float) -> str:
    return str(number_format(seconds * 1000, 1))


def _panel() -> str | None:
    try:
        return reverse(_PANEL)
    except NoReverseMatch:
        return None
