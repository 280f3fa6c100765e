"""By what a visitor is counted, and what is left of it. Looking counts nothing.

The rules of `REDIS_TOOLKIT_THROTTLES` and the door's are asked by `standing`, those of Django REST framework by their
classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.http import HttpRequest

from demo_project.api.views import Search
from redis_toolkit.contrib.drf import AnonRateThrottle, ScopedRateThrottle, UserRateThrottle
from redis_toolkit.throttling import Decision, Quota, Rate, Rule, standing

__all__ = ["DOOR", "Counter", "Meter", "counters"]

#: A page that shows what happens when it is asked for too often.
DOOR = Rule("door", "2/m", key="ip")

ABOUT = {
    "site": ("The whole site", "Every page, whoever asks for it, by address."),
    "api": ("The API, by address", "All that one address asks of it, whoever is signed in there."),
    "api-token": ("The API, by token", "Each token by itself, beside all that counts its user."),
    "drf.anon": ("The API, for visitors", "Who is not signed in. The button uses this up."),
    "drf.user": ("The API, for everybody", "By user, or by the address of who is not signed in."),
    "drf.search": ("Searches by the API", "More work, so with a rate of their own."),
    DOOR.name: ("The narrow door", "A page that opens twice a minute, made to be denied."),
}
#: What is said where there are no figures, by who decided.
UNCOUNTED = {"open": "Not counted now.", "closed": "Nobody is let in now."}
UNITS = {1: "a second", 60: "a minute", 3600: "an hour", 86_400: "a day"}


@dataclass(frozen=True, slots=True)
class Meter:
    """What is left of one rate, in figures and in words; whether it keeps the visitor `out`."""

    id: str
    rate: str
    limit: int
    remaining: int
    out: bool
    text: str

    @classmethod
    def of(cls, decision: Decision, quota: Quota) -> Meter:
        wait = max(0.0, quota.retry_after - decision.age)
        return cls(
            id=f"{decision.name}-{quota.rate.seconds:g}s",
            rate=_words(quota.rate),
            limit=quota.rate.most_at_once,
            remaining=quota.remaining,
            out=wait > 0,
            text=f"next in {_span(wait)}" if wait else f"{quota.remaining:,} left",
        )


@dataclass(frozen=True, slots=True)
class Counter:
    """One rule and the visitor: whether a request would be `allowed` now, what is left, and what else is to be said."""

    name: str
    title: str
    about: str
    allowed: bool
    verdict: str
    meters: tuple[Meter, ...]

    @classmethod
    def of(cls, decision: Decision) -> Counter:
        title, about = ABOUT.get(decision.name, (decision.name, ""))
        meters = tuple(Meter.of(decision, quota) for quota in decision.quotas)
        return cls(decision.name, title, about, decision.allowed, _verdict(decision), meters)


def counters(request: HttpRequest) -> list[Counter]:
    """All that counts the client of this request."""
    decisions = (*_of_the_api(request), *standing(request), *standing(request, [DOOR]))
    return [Counter.of(decision) for decision in decisions]


def _of_the_api(request: HttpRequest) -> Iterator[Decision]:
    for throttle in (AnonRateThrottle(), UserRateThrottle(), ScopedRateThrottle()):
        decision = throttle.peek(request, Search)
        if decision is not None:
            yield decision


def _verdict(decision: Decision) -> str:
    """What the meters do not say."""
    if decision.banned:
        return f"Banned for {_span(decision.retry_after)}."
    return "" if decision.quotas else UNCOUNTED.get(decision.source, "Not asked now.")


def _span(seconds: float) -> str:
    if seconds < 10:
        return f"{max(seconds, 0.1):.1f} s"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} minutes"


def _words(rate: Rate) -> str:
    """A rate as it is said: "5 a second", "5 in 15 minutes"."""
    if rate.seconds in UNITS:
        return f"{rate.limit:,} {UNITS[int(rate.seconds)]}"
    return f"{rate.limit:,} in {_span(rate.seconds)}"
