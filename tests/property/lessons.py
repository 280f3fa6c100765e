"""Writes of lessons: instances saved and deleted in every way, and querysets that change many at once."""

from __future__ import annotations

from typing import Any

from asgiref.sync import async_to_sync
from django.core import serializers
from django.db import transaction
from django.db.models import Case, F, OuterRef, Q, Subquery, Value, When
from django.db.models.functions import Concat, Lower

from redis_toolkit.cache import invalidate
from tests.app.models import EarlyLesson, Group, Lesson, Room
from tests.battery import SLUGS
from tests.property.world import MADE_UP, World, write

__all__ = ["as_early"]


def as_early(lesson: Lesson) -> EarlyLesson:
    """The same row, as an instance of the proxy."""
    return EarlyLesson(**{field.attname: getattr(lesson, field.attname) for field in Lesson._meta.concrete_fields})


@write(forms=3)
def create(world: World, one: int, two: int, three: int, form: int) -> None:
    lesson = world.fresh(one, two)
    if form == 0:
        lesson.save(using=world.alias)
    elif form == 1:
        lesson.pk = MADE_UP + three % 3
        lesson.save(using=world.alias, force_insert=True)
    else:
        async_to_sync(lesson.asave)(using=world.alias)


@write(forms=3)
def save(world: World, one: int, two: int, three: int, form: int) -> None:
    lesson = world.lesson(one)
    lesson.group_id, lesson.weekday, lesson.title = world.groups[two % 2], 1 + three % 2, f"saved {two}"
    if form == 1 and lesson.pk:
        lesson = as_early(lesson)
    elif form == 2:
        lesson.pk, lesson.slug, lesson.period = MADE_UP + two % 3, SLUGS[three % 4], 1 + three % 3
    lesson.save(using=world.alias)


@write(forms=4)
def save_some_fields(world: World, one: int, two: int, three: int, form: int) -> None:
    lesson = world.lesson(one)
    lesson.room_id, lesson.period, lesson.title = [None, *world.rooms][two % 3], 1 + three % 3, f"some {three}"
    fields = [["title"], ["room"], ["period", "title"], ["room_id", "weekday"]][form]
    if lesson.pk:
        lesson.save(using=world.alias, update_fields=fields)


@write(forms=3)
def save_what_is_deferred(world: World, one: int, two: int, three: int, form: int) -> None:
    chosen = world.rows(Lesson).order_by("pk")
    ways = chosen.only("title", "group"), chosen.defer("room", "weekday"), chosen.select_related("room")
    lesson = ways[form].first()
    if lesson is not None:
        lesson.title, lesson.group_id = f"deferred {three}", world.groups[two % 2]
        lesson.save()


@write(forms=2)
def save_expression(world: World, one: int, two: int, three: int, form: int) -> None:
    lesson = world.lesson(one)
    if not lesson.pk:
        return
    lesson.period = F("period") + 1
    if form:
        lesson.weekday = Case(When(period=1 + three % 3, then=Value(2)), default=Value(1))
    try:
        lesson.save(using=world.alias, force_update=True)
    finally:
        world.kept = [each for each in world.kept if each is not lesson]


@write(forms=2)
def load_data(world: World, one: int, two: int, three: int, form: int) -> None:
    """What ``loaddata`` does: raw saves, many to many included."""
    lesson = world.fresh(one, two)
    lesson.pk = MADE_UP + three % 3
    text = serializers.serialize(["json", "python"][form], [lesson])
    for loaded in serializers.deserialize(["json", "python"][form], text, using=world.alias):
        loaded.m2m_data = {"students": [1 + two % 2]}
        loaded.save(using=world.alias)


@write(forms=2)
def save_locked(world: World, one: int, two: int, three: int, form: int) -> None:
    with transaction.atomic(using=world.alias):
        lesson = world.rows(Lesson).select_for_update().order_by("pk").first()
        if lesson is not None:
            lesson.title = f"locked {three}"
            lesson.refresh_from_db() if form else setattr(lesson, "weekday", 1 + two % 2)
            lesson.room_id = world.rooms[one % 2]
            lesson.save()


def filtered(world: World, lesson: Lesson, two: int) -> Any:
    filters = [Q(pk=lesson.pk), Q(pk__in=[lesson.pk, MADE_UP]), Q(group=world.groups[two % 2]), Q(slug=SLUGS[two % 4]),
               Q(weekday=1 + two % 2), Q(pk=lesson.pk, weekday=1), Q(group__code="a"), Q(),
               Q(pk__in=Lesson.objects.using(world.alias).filter(weekday=1).values("pk"))]  # fmt: skip
    return filters[two % 9]


@write(forms=12)
def update(world: World, one: int, two: int, three: int, form: int) -> None:
    lesson = world.lesson(one)
    others = Lesson.objects.using(world.alias).filter(weekday=OuterRef("weekday")).order_by("pk")
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
        {"group": Subquery(others.values("group")[:1])},
        {"title": Concat(F("slug"), Value(str(three))), "room": Subquery(others.values("room")[:1])},
        {"teacher": world.teachers[three % 2], "held": None},
    ]
    Lesson.objects.using(world.alias).filter(filtered(world, lesson, two)).update(**moves[form])


@write(forms=5)
def update_by_another_manager(world: World, one: int, two: int, three: int, form: int) -> None:
    lesson = world.lesson(one)
    chosen = [
        Lesson._base_manager.using(world.alias), Lesson.cached.using(world.alias), EarlyLesson.objects.using(world.alias),
        Lesson.cached.db_manager(world.alias).early(), Lesson._default_manager.db_manager(world.alias).order_by("-pk"),
    ][form]  # fmt: skip
    chosen.filter(filtered(world, lesson, two)).update(title=f"other {three}", group=world.groups[three % 2])


@write(forms=6)
def delete(world: World, one: int, two: int, three: int, form: int) -> None:
    lesson = world.lesson(one)
    chosen = Lesson.objects.using(world.alias)
    if form == 0 and lesson.pk:
        lesson.delete(using=world.alias)
    elif form == 1:
        chosen.filter(pk=lesson.pk).delete()
    elif form == 2:
        chosen.filter(group=world.groups[two % 2]).delete()
    elif form == 3:
        chosen.filter(pk__in=chosen.filter(weekday=1 + two % 2).values("pk")).delete()
    elif form == 4:
        Lesson.students.through.objects.using(world.alias).filter(lesson__slug=SLUGS[two % 4]).delete()
        chosen.filter(slug=SLUGS[two % 4])._raw_delete(world.alias)
    elif lesson.pk:
        async_to_sync(lesson.adelete)(using=world.alias)


@write(forms=8)
def bulk_create(world: World, one: int, two: int, three: int, form: int) -> None:
    lessons = [world.fresh(one, two), world.fresh(one + 1, three)]
    for at, lesson in enumerate(lessons[: form % 3]):
        lesson.pk = MADE_UP + at
    how: list[dict[str, Any]] = [
        {}, {"ignore_conflicts": True}, {"batch_size": 1},
        {"update_conflicts": True, "unique_fields": ["slug"], "update_fields": ["group", "title"]},
        {"update_conflicts": True, "unique_fields": ["pk"], "update_fields": ["weekday", "room"]},
        {"update_conflicts": True, "unique_fields": ["teacher", "weekday", "period"], "update_fields": ["title", "group"]},
        {"ignore_conflicts": True, "batch_size": 1},
    ]  # fmt: skip
    if form < 7:
        Lesson.objects.using(world.alias).bulk_create(lessons, **how[form])
    else:
        async_to_sync(Lesson.cached.using(world.alias).abulk_create)(lessons, ignore_conflicts=True)


@write(forms=4)
def bulk_update(world: World, one: int, two: int, three: int, form: int) -> None:
    lessons = list(world.rows(Lesson).order_by("pk"))[: 1 + one % 3]
    for at, lesson in enumerate(lessons):
        lesson.group_id, lesson.title = world.groups[(two + at) % 2], f"bulk {three}"
        lesson.room_id, lesson.period = [None, *world.rooms][(three + at) % 3], F("period") + at
    fields = [["group"], ["title", "room"], ["group", "period"], ["room"]][form]
    Lesson.objects.using(world.alias).bulk_update(lessons, fields, batch_size=[None, 1][form % 2])


@write(forms=6)
def get_or_create(world: World, one: int, two: int, three: int, form: int) -> None:
    fresh = world.fresh(one, two)
    rest: dict[str, Any] = {
        name: getattr(fresh, name) for name in ("title", "group_id", "teacher_id", "weekday", "period")
    }
    manager = Lesson.objects.using(world.alias) if form % 2 else Lesson.cached.using(world.alias)
    if form < 2:
        manager.get_or_create(slug=fresh.slug, defaults=rest)
    elif form < 4:
        manager.update_or_create(slug=fresh.slug, defaults=rest)
    else:
        manager.update_or_create(slug=fresh.slug, defaults={"room_id": 1 + three % 2}, create_defaults=rest)


@write(forms=2)
def delete_and_write_again(world: World, one: int, two: int, three: int, form: int) -> None:
    lesson = world.some(Lesson, one)
    if lesson is not None:
        pk = lesson.pk
        lesson.delete()
        lesson.pk, lesson.group_id = pk if form else None, world.groups[two % 2]
        lesson.save(using=world.alias)


@write(forms=4)
def surroundings(world: World, one: int, two: int, three: int, form: int) -> None:
    room, group = world.some(Room, two), world.some(Group, two)
    if room is None or group is None:
        return
    if form == 0:
        room.capacity = three
        room.save()
    elif form == 1:
        Room.objects.using(world.alias).filter(pk=room.pk).update(code=["a", "c"][three % 2])
    elif form == 2:
        group.code = ["a", "b", "c"][three % 3]
        group.save()
    else:
        Group.objects.using(world.alias).bulk_update([group], ["code"])


@write(forms=5)
def by_hand(world: World, one: int, two: int, three: int, form: int) -> None:
    """No write at all: what invalidate() ends was true."""
    lesson = world.some(Lesson, one)
    if form == 0:
        invalidate(Lesson, using=world.alias)
    elif form == 1 and lesson is not None:
        invalidate(lesson, using=world.alias)
    elif form == 2:
        invalidate(Lesson, group=world.groups[two % 2], using=world.alias)
    elif form == 3:
        invalidate(Lesson, pk=MADE_UP, using=world.alias)
    else:
        # Instances from the cache are saved too.
        world.kept.extend(Lesson.cached.using(world.alias).filter(weekday=1 + one % 2))
