"""What visitors do, over HTTP; and, now and then, the timetable office beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import product
from random import Random

from django.db import IntegrityError, transaction

from demo_project.doors.mail import take
from demo_project.timetable.hours import PERIODS, Weekday
from demo_project.timetable.models import Course, Lesson, Room, StudentGroup, Teacher
from demo_project.visitors.people import Pace, Visitor

__all__ = ["LOOK", "Place", "come_in_by_code", "look_around", "moved_lesson", "try_the_door"]

#: What is asked for, and how often of a hundred times.
PAGES = {
    "/groups/{group}/": 26,
    "/rooms/{room}/": 14,
    "/rooms/{room}/{day}/": 8,
    "/teachers/{teacher}/": 9,
    "/courses/{course}/": 8,
    "/groups/?q={word}": 6,
    "/groups/": 3,
    "/rooms/": 2,
    "/teachers/": 2,
    "/courses/": 2,
    "/": 1,
    "/groups/{group}/calendar.ics": 2,
    "/api/rooms/{room}/lessons/": 3,
    "/api/groups/{group}/lessons/": 3,
    "/api/groups/{nothing}/": 1,
}
#: And what with a token.
CALLS = {"/api/me/": 2, "/api/rooms/{room}/lessons/": 4, "/api/groups/{group}/": 2, "/api/search/?q={word}": 1}
WORDS = ("physics", "hall", "civil", "march", "economics", "control", "zebra", "c0346", "electronics")
#: A token that nobody has made is tried once in so many times.
STRANGERS = 60
TRIES = 10  # lessons that are looked at: some rooms are full all week
MAIL, LOOK = 25, 0.2  # looks for a letter, and seconds between two


@dataclass(frozen=True, slots=True)
class Place:
    """What there is to be looked at, by codes; those that are liked come first."""

    groups: list[str]
    rooms: list[str]
    teachers: list[str]
    courses: list[str]

    @classmethod
    def found(cls, random: Random) -> Place:
        """All there is in the database, in an order of these visitors' own."""
        lists = [
            sorted(model.objects.values_list("code", flat=True)) for model in (StudentGroup, Room, Teacher, Course)
        ]
        for codes in lists:
            random.shuffle(codes)
        return cls(*lists)

    def somewhere(self, paths: dict[str, int], random: Random) -> str:
        """One of the paths, with all that it leaves open."""
        [path] = random.choices(list(paths), list(paths.values()))
        return path.format(
            group=_liked(self.groups, random),
            room=_liked(self.rooms, random),
            teacher=_liked(self.teachers, random),
            course=_liked(self.courses, random),
            day=random.choice(Weekday.values),
            word=random.choice(WORDS),
            nothing=f"q9{random.randrange(100):02}",
        )


def look_around(visitor: Visitor, place: Place, random: Random) -> None:
    """A page, mostly; or something of the API, with a token or without."""
    if random.randrange(STRANGERS) == 0:
        visitor.get("/api/me/", Authorization=f"Bearer rtk_live_{random.getrandbits(128):032x}")
    elif random.randrange(8) == 0:
        visitor.call(place.somewhere(CALLS, random))
    else:
        visitor.get(place.somewhere(PAGES, random))


def come_in_by_code(visitor: Visitor, pace: Pace) -> bool:
    """Log in with a wrong code and then the right one, look at one's devices, log out. False: no code came."""
    visitor.forget()
    page = visitor.get("/log-in/?next=/devices/")
    page = visitor.post("/log-in/", page, email=visitor.email, next="/devices/")
    code = _mailed(visitor, pace)
    if not code:
        return False
    page = visitor.post("/log-in/code/", page, code=f"{(int(code) + 1) % 1_000_000:06}")
    devices = visitor.post("/log-in/code/", page, code=code)
    handle = devices.hidden("handle")
    visitor.post("/devices/", devices, handle=handle)
    visitor.forget()
    return bool(handle)


def try_the_door(visitor: Visitor) -> bool:
    """Go through the narrow door once too often. Whether one was kept out in the end."""
    return [visitor.get("/limits/door/").status for _ in range(3)][-1] == 429


@contextmanager
def moved_lesson(random: Random) -> Iterator[Lesson | None]:
    """Within the block a lesson is where its room and its teacher were free, as if the office had moved it; None: none.

    It is put back where it was, unless somebody has moved it meanwhile, or has put another in its place.
    """
    lessons = list(Lesson.objects.select_related("room", "course"))
    for lesson in random.sample(lessons, min(TRIES, len(lessons))):
        before, after = (lesson.weekday, lesson.period), _free(lesson, random)
        if after and _move(lesson, before, after):
            break
    else:
        yield None
        return
    try:
        yield lesson
    finally:
        _move(lesson, after, before)


def _move(lesson: Lesson, before: tuple[int, int], after: tuple[int, int]) -> bool:
    with suppress(IntegrityError), transaction.atomic():
        held = Lesson.objects.select_for_update().filter(pk=lesson.pk, weekday=before[0], period=before[1]).first()
        if held:
            held.weekday, held.period = after
            held.save()  # as the office does; `update()` would end the answers about every lesson
            return True
    return False


def _free(lesson: Lesson, random: Random) -> tuple[int, int] | None:
    """A day and period in which neither the lesson's room nor its teacher has another."""
    taken = {
        *Lesson.objects.filter(room=lesson.room_id).values_list("weekday", "period"),
        *Lesson.objects.filter(teacher=lesson.teacher_id).values_list("weekday", "period"),
    }
    free = [each for each in product(Weekday.values, PERIODS) if each not in taken]
    return random.choice(free) if free else None


def _mailed(visitor: Visitor, pace: Pace) -> str:
    """The code that was sent to them; empty if none has come."""
    for _ in range(MAIL):
        letter = take(visitor.email)
        if letter:
            return next((part for part in letter.paragraphs if part.isdigit()), "")
        pace.rest(LOOK)
    return ""


def _liked(codes: Sequence[str], random: Random) -> str:
    """One of them: the second half as often as the first, the third a third as often."""
    return random.choices(codes, [1 / rank for rank in range(1, len(codes) + 1)])[0]
