"""Redis hangs, then dies, then comes back empty, while readers read."""

from __future__ import annotations

from functools import partial
from itertools import cycle
from time import perf_counter
from typing import Any

from demo_project.lab.crews import Conditions, Seat, crew
from demo_project.lab.database import SlowDatabase
from demo_project.lab.outcomes import Outcome, Tell
from demo_project.lab.pauses import pause, pause_until
from demo_project.lab.samples import Sample, quantile, take
from demo_project.timetable.models import Lesson, Room
from demo_project.timetable.views import lessons
from redis_toolkit.signals import breaker_changed
from redis_toolkit.testing import embedded_valkey

__all__ = ["PHASES", "SIZE", "STEP", "play", "read"]

SIZE = 20  # readers
PROCESSES = 2
LOAD = 0.005  # seconds that the database takes for one question
AT_ONCE = 4  # questions it answers at a time, for each process
PAUSE = 0.02  # seconds a reader rests after each read
STEP = 0.1  # seconds of one column of the drawing
FOREVER = 3600

#: When Redis hangs, when it is gone, when it is back, and when the storm is over; seconds.
PHASES = (1.5, 3.0, 4.0, 8.0)


def play(*, defended: bool, size: int, tell: Tell) -> Outcome:
    """`size` readers in two processes read the rooms' weeks. Undefended is redis-py as it comes: it waits for ever."""
    unguarded = {"REDIS_TOOLKIT_READ_TIMEOUT": FOREVER, "REDIS_TOOLKIT_BREAKER_FAILURES": 10**9}
    with embedded_valkey() as server:
        conditions = Conditions(server.url, {"REDIS_TOOLKIT_VERIFY_SAMPLE": 0, **({} if defended else unguarded)})
        work = f"{__name__}:{read.__name__}"
        threads = max(1, size // PROCESSES)
        with crew(work, conditions, processes=PROCESSES, threads=threads, joined=True) as readers:
            readers.meet()
            began = perf_counter()
            hangs, gone, back, over = PHASES
            for moment, act in ((hangs, server.pause), (gone, server.kill), (back, server.start)):
                pause_until(began + moment)
                act()
                tell(0.2 + 0.7 * moment / over)
            parts = readers.answers()
    return _outcome([Sample(*each) for part in parts for each in part["samples"]], parts)


def read(seat: Seat) -> dict[str, Any]:
    """One process: its threads read one room's week after the other until the storm is over."""
    database = SlowDatabase(seconds=LOAD, at_once=AT_ONCE)
    rooms = list(Room.objects.all())
    truth = {room.pk: list(lessons(room=room).nocache()) for room in rooms}
    changes: list[tuple[float, str]] = []
    wrong: list[int] = []
    database.install()

    def reader(number: int) -> list[Sample]:
        for room in rooms:
            list(lessons(room=room))
        seat.meet()
        origin = perf_counter()
        if number % seat.threads == 0:
            breaker_changed.connect(partial(_note, changes, origin), weak=False)
        taken: list[Sample] = []
        for room in cycle(rooms[number % len(rooms) :] + rooms[: number % len(rooms)]):
            if perf_counter() - origin > PHASES[-1]:
                break
            found: list[Lesson] = []
            taken.append(take(partial(_read_week, room, found), origin, database))
            if found != truth[room.pk]:
                wrong.append(room.pk)
            pause(PAUSE)
        return taken

    samples = [sample for taken in seat.each(reader) for sample in taken]
    return {"samples": samples, "questions": database.questions, "changes": changes, "wrong": len(wrong)}


def _read_week(room: Room, found: list[Lesson]) -> None:
    found.extend(lessons(room=room))


def _note(changes: list[tuple[float, str]], origin: float, *, state: str, **_: Any) -> None:
    changes.append((perf_counter() - origin, state))


def _outcome(samples: list[Sample], parts: list[dict[str, Any]]) -> Outcome:
    columns: dict[int, list[Sample]] = {}
    for sample in samples:
        columns.setdefault(int((sample.began + sample.took) / STEP), []).append(sample)
    hung = [each for each in samples if PHASES[0] <= each.began + each.took < PHASES[1]]
    return Outcome(
        figures={
            "reads": len(samples),
            "wrong": sum(part["wrong"] for part in parts),
            "spared": sum(not each.asked for each in samples),
            "hung": len(hung),
            "median": 1000 * quantile([each.took for each in samples], 0.5),
            "longest": 1000 * max((each.took for each in samples), default=0.0),
        },
        series={
            "columns": [
                {
                    "at": round(column * STEP, 3),
                    "spared": sum(not each.asked for each in taken),
                    "asked": sum(each.asked for each in taken),
                    "longest": round(1000 * max(each.took for each in taken), 2),
                }
                for column, taken in sorted(columns.items())
            ],
            "phases": PHASES,
            "breaker": [[round(at, 2), state] for at, state in parts[0]["changes"]],
        },
    )
