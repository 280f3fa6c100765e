"""The whole site is read at once after a restart; an hour later all of it expires."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from time import perf_counter
from typing import Any

import redis

from demo_project.lab.crews import Conditions, Seat, crew
from demo_project.lab.outcomes import Outcome, Tell
from demo_project.timetable.hours import Weekday
from demo_project.timetable.models import Attendance, Course, Department, Lesson, Room, StudentGroup, Teacher
from demo_project.timetable.views import lessons
from redis_toolkit.testing import embedded_valkey

__all__ = ["LIFE", "SIZE", "STEP", "play", "warm"]

SIZE = 2000  # entries, at most: there are about a thousand questions
LIFE = 3600  # seconds each entry is given
STEP = 10  # seconds of one bar of the drawing


def play(*, defended: bool, size: int, tell: Tell) -> Outcome:
    """Up to `size` answers are stored, one after the other, for an hour; then Redis is asked when each expires."""
    with embedded_valkey() as server:
        conditions = Conditions(
            server.url, {"REDIS_TOOLKIT_TTL_JITTER": 0.1 if defended else 0, "REDIS_TOOLKIT_VERIFY_SAMPLE": 0}
        )
        with crew(f"{__name__}:{warm.__name__}", conditions, processes=1, threads=1, size=size) as readers:
            tell(0.2)
            [filled] = readers.answers()
        tell(0.8)
        ends = _expiries(server.url)
    # In seconds after the last one was written; none is later than its life.
    busiest = Counter(int(end) for end in ends).most_common(1)
    return Outcome(
        figures={
            "entries": len(ends),
            "written_within": filled["seconds"],
            "busiest": busiest[0][1] if busiest else 0,
            "spread": max(ends) - min(ends) if ends else 0.0,
        },
        series={"bars": sorted(Counter(int(end // STEP) * STEP for end in ends).items())},
    )


def warm(seat: Seat, *, size: int) -> dict[str, Any]:
    """Ask every question that the pages ask, and for every row by its key."""
    began = perf_counter()
    asked = sum(1 for _ in islice(_questions(), size))
    return {"asked": asked, "seconds": perf_counter() - began, "seat": seat.number}


def _questions() -> Iterator[object]:
    """Each step asks one question of the cache, and each of them is another."""
    for model in (Department, Teacher, Room, Course, StudentGroup, Attendance, Lesson):
        for key in model._default_manager.values_list("pk", flat=True):
            yield model.cached.cache(ttl=LIFE).get(pk=key)
    for name, subjects in (("course", Course), ("teacher", Teacher), ("room", Room)):
        for subject in subjects._default_manager.all():
            yield list(lessons(**{name: subject}).cache(ttl=LIFE))
    for room in Room.objects.all():
        for weekday in Weekday.values:
            yield list(lessons(room=room, weekday=weekday).cache(ttl=LIFE))


def _expiries(address: str) -> list[float]:
    """Seconds until each entry expires. What lives longer is a stamp, what lives a moment a claim."""
    with redis.Redis.from_url(address) as client:
        keys = list(client.scan_iter(count=1000))
        pipeline = client.pipeline(transaction=False)
        for key in keys:
            pipeline.pttl(key)
        lives = [life / 1000 for life in pipeline.execute()]
    return [life for life in lives if LIFE / 2 <= life <= LIFE]
