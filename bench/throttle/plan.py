"""Who takes part, in what, and what limits and clients all of them are given."""

from __future__ import annotations

from dataclasses import dataclass

from bench.contestants import Contestant

__all__ = [
    "ALLOWED", "CASES", "CONTESTANTS", "DAYS", "DENIED", "FLOOR", "GENEROUS", "HITS", "KINDS", "LIBRARIES", "OURS",
    "PACKAGES", "REMEMBERED", "THREADS", "TIGHT", "WEIGHED_HITS", "Pace", "Row", "chosen",
]  # fmt: skip

ALLOWED, DENIED = "allowed", "denied"
CASES = (ALLOWED, DENIED)

#: The period of all limits: while a run lasts nothing is given back, and hardly a window ends.
DAYS = 30
#: Units of who is allowed, more than any client of a run uses up. (A log keeps each unit, so it is no more than that.)
GENEROUS = 1000
#: Units of who is to be denied.
TIGHT = 100

#: Hits of each client whose memory is looked at.
WEIGHED_HITS = 50
#: Threads that hit at once, and how often each does.
THREADS, HITS = 4, 200

FLOOR = "floor"
OURS = "ours-gcra"
REMEMBERED = "ours-remembered"
PACKAGES = ("djangorestframework", "django-ratelimit", "limits", "throttled-py")


@dataclass(frozen=True, slots=True)
class Pace:
    """How long to measure, and how often four threads hit at once."""

    rounds: int
    batch_seconds: float
    crowds: int


@dataclass(frozen=True, slots=True)
class Row:
    """One way to check a limit: a line of the report. ``library``: whose process it is played in."""

    name: str
    title: str
    library: str
    kind: str
    cases: tuple[str, ...] = CASES


LIBRARIES = (
    Contestant("redis-py", "redis-py", "bare"),
    Contestant("ours", "redis_toolkit", "ours", needs=("redis_toolkit.throttling", "rest_framework")),
    Contestant("ours-remembering", "redis_toolkit", "ours", needs=("redis_toolkit.throttling",)),
    Contestant("drf", "Django REST framework", "rest", needs=("rest_framework",)),
    Contestant("django-ratelimit", "django-ratelimit", "peers", needs=("django_ratelimit",)),
    Contestant("limits", "limits", "peers", needs=("limits",)),
    Contestant("throttled-py", "throttled-py", "peers", needs=("throttled",)),
)

#: What is called in each of the tables.
KINDS = {
    "check": "A check",
    "rest": "A throttle of Django REST framework, `allow_request`",
    "view": "A view, called with a request",
}

CONTESTANTS = (
    Row(FLOOR, "a bare EVALSHA by redis-py, GCRA", "redis-py", "check"),
    Row(OURS, "redis_toolkit, gcra", "ours", "check"),
    Row("ours-fixed-window", "redis_toolkit, fixed_window", "ours", "check"),
    Row("ours-sliding-counter", "redis_toolkit, sliding_counter", "ours", "check"),
    Row("ours-sliding-log", "redis_toolkit, sliding_log", "ours", "check"),
    Row("ours-three-rates", "redis_toolkit, gcra, three rates", "ours", "check"),
    Row(REMEMBERED, "redis_toolkit, gcra, a denial remembered", "ours-remembering", "check", (DENIED,)),
    Row("limits-fixed", "limits, FixedWindow", "limits", "check"),
    Row("limits-moving", "limits, MovingWindow", "limits", "check"),
    Row("limits-sliding", "limits, SlidingWindowCounter", "limits", "check"),
    Row("throttled", "throttled-py, GCRA", "throttled-py", "check"),
    Row("ratelimit", "django-ratelimit, get_usage", "django-ratelimit", "check"),
    Row("ours-drf", "redis_toolkit.contrib.drf", "ours", "rest"),
    Row("drf", "Django REST framework", "drf", "rest"),
    Row("ours-view", "@throttle of redis_toolkit", "ours", "view"),
    Row("ours-view-remembered", "@throttle, a denial remembered", "ours-remembering", "view", (DENIED,)),
    Row("ratelimit-view", "@ratelimit of django-ratelimit", "django-ratelimit", "view"),
    Row("drf-bare-view", "APIView without a throttle", "drf", "view", (ALLOWED,)),
    Row("ours-drf-view", "APIView, redis_toolkit.contrib.drf", "ours", "view"),
    Row("drf-view", "APIView, the framework's throttle", "drf", "view"),
)  # fmt: skip


def chosen(only: str | None) -> list[Row]:
    """The contestants named in a comma-separated list and the floor; without one all of them.

    Raises ``ValueError`` on a name unknown.
    """
    if only is None:
        return list(CONTESTANTS)
    names = {name.strip() for name in only.split(",")}
    if unknown := names - {row.name for row in CONTESTANTS}:
        there = ", ".join(row.name for row in CONTESTANTS)
        raise ValueError(f"nobody who throttles is called {', '.join(sorted(unknown))}; there are {there}")
    return [row for row in CONTESTANTS if row.name in names | {FLOOR}]
