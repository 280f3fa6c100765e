"""A page that everybody reads expires, and everybody asks for it at the same moment."""

from __future__ import annotations

import threading
from time import perf_counter
from typing import Any

from demo_project.lab.crews import Conditions, Seat, crew
from demo_project.lab.database import SlowDatabase
from demo_project.lab.outcomes import Outcome, Tell
from demo_project.lab.pauses import pause_until
from demo_project.lab.samples import Sample, quantile, take
from demo_project.timetable.models import Room
from demo_project.timetable.views import lessons
from redis_toolkit.testing import embedded_valkey

__all__ = ["LOAD", "SIZE", "play", "read"]

SIZE = 200  # readers
PROCESSES = 4
LOAD = 0.05  # seconds that the database takes for one question
AT_ONCE = 2  # questions it answers at a time, for each process
LIFE = 1.0  # seconds until the answer expires: all connections are open by then


def play(*, defended: bool, size: int, tell: Tell) -> Outcome:
    """`size` readers, spread over four processes, each read Hall A's week once."""
    with embedded_valkey() as server:
        conditions = Conditions(
            server.url,
            {
                "REDIS_TOOLKIT_SINGLE_FLIGHT": defended,
                "REDIS_TOOLKIT_LOADS": None,  # another defence, which would soften what this one is measured by
                "REDIS_TOOLKIT_TTL_JITTER": 0,
                # Nobody has read for a second, so all would have a look at the outbox first, which is another story.
                "REDIS_TOOLKIT_OUTBOX_INTERVAL": 3600,
                "REDIS_TOOLKIT_VERIFY_SAMPLE": 0,
            },
        )
        work = f"{__name__}:{read.__name__}"
        with crew(
            work, conditions, processes=PROCESSES, threads=max(1, size // PROCESSES), defended=defended
        ) as readers:
            tell(0.2)
            parts = readers.answers()
    taken = [Sample(*each) for part in parts for each in part["samples"]]
    waits = sorted((each.took, each.asked) for each in taken)
    milliseconds = [1000 * took for took, _ in waits]
    return Outcome(
        figures={
            "readers": len(taken),
            "questions": sum(part["questions"] for part in parts),
            "spared": sum(not each.asked for each in taken),
            "median": quantile(milliseconds, 0.5),
            "longest": milliseconds[-1],
        },
        series={"waits": [[round(1000 * took, 2), asked] for took, asked in waits]},
    )


def read(seat: Seat, *, defended: bool) -> dict[str, Any]:
    """One process: its threads wait until the answer has expired, and all ask for it at once.

    A machine with two processors does not let two hundred threads begin at once. So that they are a storm all the same,
    the database answers nobody before all have begun: without the defence, before it was asked by all of them.
    """
    raging, here = threading.Event(), threading.local()

    def may_answer() -> bool:
        if raging.is_set() and not defended and not hasattr(here, "asked"):
            here.asked = True
            seat.begin()
        return not raging.is_set() or seat.all_begun()

    database = SlowDatabase(seconds=LOAD, at_once=AT_ONCE, may_answer=may_answer)
    database.install()
    hall, other = Room.objects.order_by("code")[:2]
    before: list[int] = []

    def hot() -> object:
        if defended:
            seat.begin()
        return list(lessons(room=hall))

    def reader(number: int) -> Sample:
        list(lessons(room=other))  # opens this thread's connections
        seat.meet()
        if number == 0:
            list(lessons(room=hall).cache(ttl=LIFE))
        seat.meet()
        expired = perf_counter() + LIFE + 0.01
        before.append(database.questions)
        raging.set()
        pause_until(expired)
        seat.meet()
        return take(hot, perf_counter(), database)

    samples = seat.each(reader)
    return {"samples": samples, "questions": database.questions - before[0]}
