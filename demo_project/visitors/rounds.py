"""The visitors' day: who does what, and when, from a seed."""

from __future__ import annotations

from contextlib import suppress
from itertools import count, cycle
from random import Random

from demo_project.lab import running
from demo_project.visitors.addresses import PEOPLE
from demo_project.visitors.deeds import Place, come_in_by_code, look_around, moved_lesson, try_the_door
from demo_project.visitors.people import Over, Pace, Visitor, ensure_people
from redis_toolkit.exceptions import RedisToolkitError

__all__ = ["MOST", "visit"]

#: Requests a second of all visitors together, at most.
MOST = 3.0
#: Once in so many steps, of half a second or more, somebody is denied, a lesson is moved, a code is asked for. None of
#: these is divided by two or three, so it is another's turn each time; and five codes an hour, in steps of a third of a
#: second, are what each may have.
DOOR, LESSON, CODE = 71, 41, 361
REST = 0.35  # seconds after each step, on an average
AWAY = 2.0  # seconds after which one tries again, where the site or Redis does not answer


def visit(site: str, *, seed: int, over: Over, steps: int | None = None, per_second: float = MOST) -> int:
    """Visit the site, an address, until it is over, or for so many steps; how many were done.

    In the end there is nothing left of them but their accounts.
    """
    random, pace = Random(seed), Pace(min(per_second, MOST), over)
    ensure_people()
    place = Place.found(random)
    visitors = [Visitor(number, site, pace) for number in range(PEOPLE)]
    for visitor in visitors:
        visitor.leave()
    done = 0
    turns = cycle(visitors)
    try:
        for step in count() if steps is None else range(steps):
            _step(step, next(turns), place, random, pace)
            done += 1
    except KeyboardInterrupt:
        pass
    finally:
        for visitor in visitors:
            with suppress(RedisToolkitError):  # Redis may have ended before us, and what it had with it
                visitor.leave()
    return done


def _step(step: int, visitor: Visitor, place: Place, random: Random, pace: Pace) -> None:
    while running.underway():  # a storm of the lab is measured, and wants the machine for itself
        pace.rest(1.0)
    try:
        if step % CODE == 10:
            come_in_by_code(visitor, pace)
        elif step % DOOR == 20:
            try_the_door(visitor)
        elif step % LESSON == 30:
            with moved_lesson(random) as lesson:
                if lesson:
                    visitor.get(f"/rooms/{lesson.room.code}/")
                    visitor.get(f"/courses/{lesson.course.code}/")
        else:
            look_around(visitor, place, random)
        pace.rest(random.uniform(0, 2 * REST))
    except (OSError, RedisToolkitError):
        pace.rest(AWAY)
