"""Everything that may be written, each as a function of an alias and of numbers that choose what it is done to."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

from django.db import connections, transaction
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Lower

from redis_toolkit.cache import invalidate
from tests.app.models import Badge, Building, Cafe, Group, Lesson, Place, Room, Student, Teacher
from tests.battery import SLUGS

__all__ = ["MADE_UP", "WRITES", "World", "Write", "clear", "first_lessons", "seed"]

Write = Callable[["World", int, int, int], Any]
WRITES: dict[str, Write] = {}
#: The first of the keys that the database does not make.
MADE_UP = 900_001
DAY = datetime.date(2026, 3, 2)


class World:
    """What there is to write to on one database: the seeds' keys, and instances that were read earlier."""

    def __init__(self, alias: str) -> None:
        self.alias = alias
        self.groups: list[int] = []
        self.teachers: list[int] = []
        self.rooms: list[int] = []
        self.students: list[int] = []
        self.kept: list[Lesson] = []

    def lessons(self) -> list[Lesson]:
        return list(Lesson.objects.using(self.alias).order_by("pk"))

    def lesson(self, number: int) -> Lesson:
        """A lesson, read now or long ago; a new one where there is none."""
        found = [*self.lessons(), *self.kept[-2:]]
        if not found:
            return self.fresh(number, number)
        lesson = found[number % len(found)]
        self.kept.append(lesson)
        return lesson

    def fresh(self, one: int, two: int) -> Lesson:
        """A lesson that is not stored."""
        return Lesson(
            title=f"title {two}", slug=SLUGS[one % 4], group_id=self.groups[two % 2], teacher_id=self.teachers[one % 2],
            room_id=[None, *self.rooms][two % 3], weekday=1 + one % 2, period=1 + two % 3, held=[None, DAY][one % 2],
        )  # fmt: skip

    def some(self, model: Any, number: int) -> Any:
        found = list(model._base_manager.using(self.alias).order_by("pk"))
        return found[number % len(found)] if found else None


def write(act: Write) -> Write:
    WRITES[act.__name__] = act
    return act


@write
def create(world: World, one: int, two: int, three: int) -> None:
    world.fresh(one, two).save(using=world.alias)


@write
def save(world: World, one: int, two: int, three: int) -> None:
    lesson = world.lesson(one)
    lesson.group_id, lesson.weekday, lesson.title = world.groups[two % 2], 1 + three % 2, f"saved {two}"
    lesson.save(using=world.alias)


@write
def save_some_fields(world: World, one: int, two: int, three: int) -> None:
    lesson = world.lesson(one)
    lesson.room_id, lesson.period, lesson.title = [None, *world.rooms][two % 3], 1 + three % 3, f"some {three}"
    fields = [["title"], ["room"], ["period", "title"], ["room_id", "weekday"]][three % 4]
    if lesson.pk:
        lesson.save(using=world.alias, update_fields=fields)


@write
def save_expression(world: World, one: int, two: int, three: int) -> None:
    lesson = world.lesson(one)
    if not lesson.pk:
        return
    lesson.period = F("period") + 1
    if two % 2:
        lesson.weekday = Case(When(period=1 + three % 3, then=Value(2)), default=Value(1))
    try:
        lesson.save(using=world.alias, force_update=True)
    finally:
        world.kept = [each for each in world.kept if each is not lesson]


@write
def force_insert(world: World, one: int, two: int, three: int) -> None:
    lesson = world.fresh(one, two)
    lesson.pk = MADE_UP + three % 3
    lesson.save(using=world.alias, force_insert=True)


@write
def save_as_another(world: World, one: int, two: int, three: int) -> None:
    lesson = world.lesson(one)
    lesson.pk, lesson.slug, lesson.period = MADE_UP + two % 3, SLUGS[three % 4], 1 + three % 3
    lesson.save(using=world.alias)


@write
def update(world: World, one: int, two: int, three: int) -> None:
    lesson = world.lesson(one)
    filters = [Q(pk=lesson.pk), Q(pk__in=[lesson.pk, MADE_UP]), Q(group=world.groups[two % 2]), Q(slug=SLUGS[two % 4]),
               Q(weekday=1 + two % 2), Q(pk=lesson.pk, weekday=1), Q(group__code="a"), Q()]  # fmt: skip
    moves: list[dict[str, Any]] = [
        {"group": world.groups[three % 2]},
        {"title": f"updated {three}"},
        {"room": world.rooms[three % 2], "weekday": 1 + three % 2},
        {"room": None},
        {"group": F("group"), "title": Lower("title")},
        {"room": Case(When(weekday=1 + three % 2, then=Value(world.rooms[0])))},
        {"room": Case(When(pk=lesson.pk, then=Value(world.rooms[1])))},
        {"period": F("period") + 1},
        {"slug": SLUGS[three % 4]},
    ]
    Lesson.objects.using(world.alias).filter(filters[two % 8]).update(**moves[three % 9])


@write
def delete(world: World, one: int, two: int, three: int) -> None:
    lesson = world.lesson(one)
    chosen = Lesson.objects.using(world.alias)
    if three % 4 == 0 and lesson.pk:
        lesson.delete(using=world.alias)
    elif three % 4 == 1:
        chosen.filter(pk=lesson.pk).delete()
    elif three % 4 == 2:
        chosen.filter(group=world.groups[two % 2]).delete()
    else:
        chosen.filter(slug=SLUGS[two % 4])._raw_delete(world.alias)


@write
def delete_what_others_need(world: World, one: int, two: int, three: int) -> None:
    model, keys = [(Group, world.groups), (Teacher, world.teachers), (Room, world.rooms), (Student, world.students)][
        one % 4
    ]
    key = keys[two % 2]
    if three % 3 == 0:
        model._base_manager.using(world.alias).filter(pk=key).delete()
    elif model is Room:
        Building.objects.using(world.alias).all().delete()
    seed(world)


@write
def bulk_create(world: World, one: int, two: int, three: int) -> None:
    lessons = [world.fresh(one, two), world.fresh(one + 1, three)]
    if three % 3 == 0:
        lessons[0].pk = MADE_UP + 1
        lessons = lessons[:1]
    how: list[dict[str, Any]] = [
        {}, {"ignore_conflicts": True},
        {"update_conflicts": True, "unique_fields": ["slug"], "update_fields": ["group", "title"]},
    ]  # fmt: skip
    Lesson.objects.using(world.alias).bulk_create(lessons, **how[two % 3])


@write
def bulk_update(world: World, one: int, two: int, three: int) -> None:
    lessons = world.lessons()[: 1 + one % 3]
    for at, lesson in enumerate(lessons):
        lesson.group_id, lesson.title = world.groups[(two + at) % 2], f"bulk {three}"
        lesson.room_id, lesson.period = [None, *world.rooms][(three + at) % 3], F("period") + at
    fields = [["group"], ["title", "room"], ["group", "period"]][two % 3]
    Lesson.objects.using(world.alias).bulk_update(lessons, fields)


@write
def get_or_create(world: World, one: int, two: int, three: int) -> None:
    fresh = world.fresh(one, two)
    rest = {name: getattr(fresh, name) for name in ("title", "group_id", "teacher_id", "weekday", "period")}
    manager = Lesson.objects.using(world.alias) if three % 2 else Lesson.cached.using(world.alias)
    if two % 2:
        manager.get_or_create(slug=fresh.slug, defaults=rest)
    else:
        manager.update_or_create(slug=fresh.slug, defaults=rest)


@write
def many_to_many(world: World, one: int, two: int, three: int) -> None:
    lesson, student = world.some(Lesson, one), world.some(Student, two)
    if lesson is None or student is None:
        return
    far, what = (lesson.students, student) if three % 2 else (student.lessons, lesson)
    [
        lambda: far.add(what), lambda: far.remove(what), lambda: far.set([what]), lambda: far.set([]),
        far.clear, lambda: far.add(what, through_defaults={}),
    ][three // 2 % 6]()  # fmt: skip


@write
def related_manager(world: World, one: int, two: int, three: int) -> None:
    lesson, group, room = world.some(Lesson, one), world.some(Group, two), world.some(Room, two)
    if lesson is None or group is None or room is None:
        return
    [
        lambda: group.lessons.add(lesson), lambda: group.lessons.add(lesson, bulk=False),
        lambda: room.lessons.add(lesson), lambda: room.lessons.remove(*room.lessons.all()[:1]),
        room.lessons.clear, lambda: room.lessons.set([lesson]), lambda: group.lessons.update(title="by group"),
        lambda: lesson.teacher.lessons.all().delete(),
    ][three % 8]()  # fmt: skip


@write
def surroundings(world: World, one: int, two: int, three: int) -> None:
    room, teacher, student, group = (world.some(model, two) for model in (Room, Teacher, Student, Group))
    if None in (room, teacher, student, group):
        return
    if one % 5 == 0:
        room.building = Building.objects.using(world.alias).create(name=f"B{three}") if three % 2 else None
        room.save()
    elif one % 5 == 1:
        teacher.name, teacher.mentor = ["Ann", "Bea"][three % 2], world.some(Teacher, three)
        teacher.save()
    elif one % 5 == 2:
        student.name = ["Eve", "Fay"][three % 2]
        student.save(update_fields=["name"])
    elif one % 5 == 3:
        Teacher.objects.using(world.alias).update(name=["Ann", "Bea"][three % 2])
    else:
        group.code = ["a", "b", "c"][three % 3]
        group.save()


@write
def parent_and_child(world: World, one: int, two: int, three: int) -> None:
    alias, place, cafe = world.alias, world.some(Place, two), world.some(Cafe, two)
    name, stars = ["Rex", "Sam"][one % 2], 1 + three % 2
    if one % 8 == 0 or place is None or cafe is None:
        Cafe(name=name, stars=stars, pk=[None, MADE_UP + two % 3][three % 2]).save(using=alias)
    elif one % 8 == 1:
        Place(name=name, pk=[None, MADE_UP + two % 3][three % 2]).save(using=alias)
    elif one % 8 == 2:
        place.name = name
        place.save()
    elif one % 8 == 3:
        cafe.name, cafe.stars = name, stars
        cafe.save(update_fields=[["name"], ["stars"], ["name", "stars"]][three % 3])
    elif one % 8 == 4:
        Cafe.objects.using(alias).filter(stars=stars).update(name=name, stars=F("stars") % 2 + 1)
    elif one % 8 == 5:
        place.delete()
    elif one % 8 == 6:
        cafe.delete(keep_parents=bool(three % 2))
    else:
        Cafe.objects.using(alias).filter(name=name).delete()


@write
def badges(world: World, one: int, two: int, three: int) -> None:
    alias, owner, badge = world.alias, world.some(Student, two), world.some(Badge, one)
    label = ["gold", "iron"][three % 2]
    if badge is None or one % 4 == 0:
        if owner is not None:
            Badge.cached.using(alias).update_or_create(owner=owner, defaults={"label": label})
    elif one % 4 == 1:
        badge.label = label
        badge.save()
    elif one % 4 == 2:
        Badge.cached.using(alias).filter(label=label).update(label="gold")
    else:
        badge.delete()


@write
def raw_sql(world: World, one: int, two: int, three: int) -> None:
    group, key = world.groups[two % 2], getattr(world.some(Lesson, one), "pk", 0)
    statements = [
        ("UPDATE app_lesson SET group_id = %s WHERE weekday = 1", [group]),
        ('UPDATE "app_lesson" SET "group_id" = %s WHERE "app_lesson"."id" = %s', [group, key]),
        ('UPDATE "app_lesson" SET "title" = %s /* , */, "group_id" = %s WHERE "app_lesson"."id" = %s', ["raw", group, key]),
        ("-- a remark\nDELETE FROM app_lesson WHERE id = %s", [key]),
        ("WITH m AS (SELECT id FROM app_lesson WHERE weekday = 2) UPDATE app_lesson SET title = 'cte'"
         " WHERE id IN (SELECT id FROM m)", []),
        ("delete from APP_LESSON_STUDENTS", []),
        ("UPDATE app_teacher SET name = 'Ann'", []),
        ('DELETE FROM "app_lesson" WHERE "app_lesson"."id" IN (%s, %s)', [key, MADE_UP]),
    ]  # fmt: skip
    with connections[world.alias].cursor() as cursor:
        if three % 9 == 8:
            cursor.executemany("UPDATE app_lesson SET weekday = %s WHERE id = %s", [(1, key), (2, key + 1)])
        else:
            if three % 9 in {3, 7}:
                Lesson.students.through.objects.using(world.alias).filter(lesson__in=[key, MADE_UP]).delete()
            cursor.execute(*statements[three % 9])


@write
def by_hand(world: World, one: int, two: int, three: int) -> None:
    lesson = world.some(Lesson, one)
    if three % 3 == 0:
        invalidate(Lesson, using=world.alias)
    elif three % 3 == 1 and lesson is not None:
        invalidate(lesson, using=world.alias)
    else:
        invalidate(Lesson, group=world.groups[two % 2], using=world.alias)


@write
def read_and_keep(world: World, one: int, two: int, three: int) -> None:
    """Instances from the cache are saved too."""
    world.kept.extend(Lesson.cached.using(world.alias).filter(weekday=1 + one % 2))


def seed(world: World) -> None:
    """See that there are two groups, teachers, rooms and students, under keys that do not change."""
    alias = world.alias
    for number, code in enumerate("ab", start=1):
        Group.objects.using(alias).get_or_create(pk=number, defaults={"code": code})
        Teacher.objects.using(alias).get_or_create(pk=number, defaults={"name": ["Ann", "Bea"][number - 1]})
        Room.objects.using(alias).get_or_create(pk=number, defaults={"code": code})
        Student.objects.using(alias).get_or_create(pk=number, defaults={"name": ["Eve", "Fay"][number - 1]})
    world.groups = world.teachers = world.rooms = world.students = [1, 2]


def first_lessons(world: World) -> None:
    """Three lessons to begin with, each with a student."""
    for number in range(3):
        lesson = world.fresh(number, number)
        lesson.save(using=world.alias)
        lesson.students.add(1 + number % 2)


def clear(alias: str) -> None:
    """Delete every row."""
    with transaction.atomic(using=alias):
        for model in (Lesson.students.through, Lesson, Badge, Cafe, Place, Student, Room, Building, Teacher, Group):
            model._base_manager.using(alias).all()._raw_delete(alias)
