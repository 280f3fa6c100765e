"""Somebody asks for lessons that do not exist, by one number after the other."""

from __future__ import annotations

from functools import partial
from itertools import accumulate
from time import perf_counter
from typing import Any

from django.core.management import call_command
from django.db.models import Max

from demo_project.lab.crews import Conditions, Seat, crew
from demo_project.lab.database import SlowDatabase
from demo_project.lab.outcomes import Outcome, Tell
from demo_project.lab.samples import Sample, quantile, take
from demo_project.timetable.models import Lesson
from redis_toolkit.testing import embedded_valkey

__all__ = ["POINTS", "SIZE", "play", "read"]

SIZE = 10_000  # lookups
PROCESSES = 4
THREADS = 5
POINTS = 100  # of the drawing
LOAD = 0.002  # seconds that the database takes for one question
AT_ONCE = 2  # questions it answers at a time, for each process


def play(*, defended: bool, size: int, tell: Tell) -> Outcome:
    """`size` lookups by twenty threads of numbers that no lesson has, each once. The defence is a filter."""
    with embedded_valkey() as server:
        conditions = Conditions(server.url, {"REDIS_TOOLKIT_VERIFY_SAMPLE": 0, "REDIS_TOOLKIT_OUTBOX_INTERVAL": 3600})
        work = f"{__name__}:{read.__name__}"
        with crew(work, conditions, processes=PROCESSES, threads=THREADS, size=size, filtered=defended) as readers:
            tell(0.2)
            parts = readers.answers()
    samples = sorted(Sample(*each) for part in parts for each in part["samples"])
    asked = list(accumulate(each.asked for each in samples))
    step = max(1, len(samples) // POINTS)
    return Outcome(
        figures={
            "lookups": len(samples),
            "questions": sum(part["questions"] for part in parts),
            "spared": sum(not each.asked for each in samples),
            "found": sum(part["found"] for part in parts),
            "median": 1000 * quantile([each.took for each in samples], 0.5),
            "seconds": max(each.began + each.took for each in samples),
        },
        series={"asked": [[at + 1, asked[at]] for at in range(step - 1, len(samples), step)]},
    )


def read(seat: Seat, *, size: int, filtered: bool) -> dict[str, Any]:
    """One process: each thread asks for its share of the numbers."""
    database = SlowDatabase(seconds=LOAD, at_once=AT_ONCE)
    highest: int = Lesson.objects.aggregate(last=Max("pk"))["last"] or 0
    if filtered and seat.number == 0:
        call_command("redis_bloom", "timetable.Lesson", verbosity=0)
    everyone = PROCESSES * THREADS
    found: list[Lesson] = []
    before: list[int] = []
    database.install()

    def reader(number: int) -> list[Sample]:
        found.extend(Lesson.cached.filter(pk=0))  # opens this thread's connections
        mine = range(highest + 1 + number, highest + 1 + size, everyone)
        seat.meet()
        before.append(database.questions)
        seat.meet()
        origin = perf_counter()
        return [take(partial(_look_up, pk, found), origin, database) for pk in mine]

    samples = [sample for taken in seat.each(reader) for sample in taken]
    return {"samples": samples, "questions": database.questions - before[0], "found": len(found)}


def _look_up(pk: int, found: list[Lesson]) -> None:
    try:
        found.append(Lesson.cached.get(pk=pk))
    except Lesson.DoesNotExist:
        return
