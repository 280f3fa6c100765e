"""Writes by way of relations: many to many on both sides, related managers, generic relations, and what goes with a row."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import F

from tests.app.models import (
    Album,
    Author,
    Badge,
    Basket,
    Building,
    City,
    Country,
    Group,
    Ledger,
    Lesson,
    Line,
    Membership,
    Owner,
    Pet,
    Poem,
    Room,
    Student,
    Tag,
    Teacher,
    Team,
    Topic,
)
from tests.property.world import MADE_UP, World, seed, write

__all__: list[str] = []


@write(forms=14)
def many_to_many(world: World, one: int, two: int, three: int, form: int) -> None:
    lesson, student = world.some(Lesson, one), world.some(Student, two)
    if lesson is None or student is None:
        return
    far, what = (lesson.students, student) if form % 2 else (student.lessons, lesson)
    [
        lambda: far.add(what), lambda: far.remove(what), lambda: far.set([what]), lambda: far.set([]), far.clear,
        lambda: far.add(what, through_defaults={}), lambda: far.set([what], clear=True),
    ][form // 2]()  # fmt: skip


@write(forms=4)
def many_to_many_made(world: World, one: int, two: int, three: int, form: int) -> None:
    lesson = world.some(Lesson, one)
    if lesson is None:
        return
    name = ["Eve", "Fay"][two % 2]
    if form == 0:
        lesson.students.create(name=name)
    elif form == 1:
        lesson.students.get_or_create(name=name)
    elif form == 2:
        lesson.students.update_or_create(name=name, defaults={"name": "Eve"})
    else:
        lesson.students.update(name=name)


@write(forms=6)
def between(world: World, one: int, two: int, three: int, form: int) -> None:
    """Rows of a table between, written as rows: the one that Django made, and one of the project's own."""
    made: Any = Lesson.students.through
    lesson, team = world.some(Lesson, one), world.some(Team, two)
    if lesson is None or team is None:
        return
    if form == 0:
        world.rows(made).bulk_create([made(lesson=lesson, student_id=1 + two % 2)], ignore_conflicts=True)
    elif form == 1:
        world.rows(made).filter(lesson=lesson).update(student_id=1 + two % 2)
    elif form == 2:
        world.rows(made).filter(student_id=1 + two % 2).delete()
    elif form == 3:
        world.rows(Membership).update_or_create(team=team, member_id=1 + three % 2, defaults={"role": f"role {three}"})
    elif form == 4:
        world.rows(Membership).filter(team=team).update(role=F("role"), member=1 + three % 2)
    else:
        world.rows(Membership).filter(member=1 + three % 2).delete()


@write(forms=8)
def by_way_of_a_model(world: World, one: int, two: int, three: int, form: int) -> None:
    team, owner = world.some(Team, one), world.some(Owner, two)
    if team is None or owner is None:
        return
    far, what = (team.members, owner) if form % 2 else (owner.teams, team)
    [
        lambda: far.add(what, through_defaults={"role": f"role {three}"}), lambda: far.remove(what),
        lambda: far.set([what], through_defaults={"role": "set"}), far.clear,
    ][form // 2]()  # fmt: skip


@write(forms=6)
def friends_and_albums(world: World, one: int, two: int, three: int, form: int) -> None:
    """Many to many with itself, and with a model whose default manager is cached."""
    owner, friend = world.some(Owner, one), world.some(Owner, two)
    album, badge = world.some(Album, one), world.some(Badge, two)
    if None in (owner, friend, album, badge):
        return
    [
        lambda: owner.friends.add(friend), lambda: owner.friends.remove(friend), owner.friends.clear,
        lambda: album.badges.add(badge), lambda: album.badges.set([badge]), lambda: badge.albums.remove(album),
    ][form]()  # fmt: skip


@write(forms=16)
def related_manager(world: World, one: int, two: int, three: int, form: int) -> None:
    lesson, group, room = world.some(Lesson, one), world.some(Group, two), world.some(Room, two)
    if lesson is None or group is None or room is None:
        return
    fresh = world.fresh(one, two)
    rest = {name: getattr(fresh, name) for name in ("title", "slug", "teacher_id", "weekday", "period")}
    [
        lambda: group.lessons.add(lesson), lambda: group.lessons.add(lesson, bulk=False),
        lambda: room.lessons.add(lesson), lambda: room.lessons.remove(*room.lessons.all()[:1]),
        room.lessons.clear, lambda: room.lessons.set([lesson]), lambda: group.lessons.update(title="by group"),
        lambda: lesson.teacher.lessons.all().delete(), lambda: room.lessons.clear(bulk=False),
        lambda: room.lessons.set([lesson], bulk=False), lambda: room.lessons.remove(*room.lessons.all(), bulk=False),
        lambda: room.lessons.set([lesson], clear=True), lambda: group.lessons.create(**rest),
        lambda: group.lessons.get_or_create(slug=fresh.slug, defaults=rest),
        lambda: group.lessons.update_or_create(slug=fresh.slug, defaults=rest),
        lambda: group.lessons.add(fresh, bulk=False),
    ][form]()  # fmt: skip


@write(forms=6)
def what_is_joined(world: World, one: int, two: int, three: int, form: int) -> None:
    room, teacher, student = (world.some(model, two) for model in (Room, Teacher, Student))
    if None in (room, teacher, student):
        return
    if form == 0:
        room.building = world.rows(Building).create(name=f"B{three}") if three % 2 else None
        room.save()
    elif form == 1:
        teacher.name, teacher.mentor = ["Ann", "Bea"][three % 2], world.some(Teacher, three)
        teacher.save()
    elif form == 2:
        student.name = ["Eve", "Fay"][three % 2]
        student.save(update_fields=["name"])
    elif form == 3:
        world.rows(Teacher).update(name=["Ann", "Bea"][three % 2])
    elif form == 4:
        world.rows(Building).update_or_create(pk=1, defaults={"name": f"B{three}"})
        world.rows(Room).filter(pk=room.pk).update(building=1)
    else:
        world.rows(Building).update(name=f"B{three}")


@write(forms=7)
def delete_what_others_need(world: World, one: int, two: int, three: int, form: int) -> None:
    """Down a chain of cascades; a mentor is set to NULL."""
    key = 1 + two % 2
    if form < 4:
        world.rows([Group, Teacher, Room, Student][form]).filter(pk=key).delete()
    elif form == 4:
        world.rows(Building).all().delete()
    elif form == 5:
        world.rows(Student).filter(badge__label="gold").delete()
    else:
        teacher = world.some(Teacher, two)
        world.rows(Teacher).exclude(pk=teacher.pk).update(mentor=teacher)
        teacher.delete()
    seed(world)


@write(forms=6)
def pets(world: World, one: int, two: int, three: int, form: int) -> None:
    owner, pet = world.some(Owner, one), world.some(Pet, two)
    key = [None, 1, 2, MADE_UP][three % 4]
    if form == 0:
        world.rows(Owner).update_or_create(pk=MADE_UP, defaults={"label": ["a", "b"][two % 2]})
    elif form == 1:
        world.rows(Pet).update_or_create(pk=1 + two % 3, defaults={"label": "cat", "owner": owner, "keeper": owner})
    elif pet is None:
        return
    elif form == 2:
        pet.keeper_id, pet.vet_id, pet.guard_id = key, key, [None, key][one % 2]
        pet.save()
    elif form == 3:
        owner.patients.set([pet])
    elif form == 4:
        owner.kept.add(pet)
    else:
        pet.delete()


@write(forms=4)
def owners_go(world: World, one: int, two: int, three: int, form: int) -> None:
    """SET_DEFAULT, SET(…), SET_NULL and PROTECT, of one row and of many."""
    if form == 0:
        owner = world.some(Owner, two)
        owner.delete()
    elif form == 1:
        world.rows(Owner).filter(pk=2).delete()
    elif form == 2:
        world.rows(Owner).exclude(pk=1).delete()
    else:
        world.rows(Pet).filter(guard__isnull=False).update(guard=None)
        world.rows(Owner).filter(label="b", pk__gt=1).delete()
    seed(world)


@write(forms=8)
def generic(world: World, one: int, two: int, three: int, form: int) -> None:
    topic, tag = world.some(Topic, one), world.some(Tag, two)
    text = ["new", "old"][three % 2]
    if topic is None or tag is None:
        world.rows(Topic).update_or_create(pk=1 + one % 2, defaults={"name": "Art"})[0].tags.create(text=text)
        return
    [
        lambda: topic.tags.create(text=text), lambda: topic.tags.add(tag), lambda: topic.tags.add(tag, bulk=False),
        lambda: topic.tags.remove(*topic.tags.all()[:1]), lambda: topic.tags.set([tag]), topic.tags.clear,
        lambda: topic.tags.update(text=text), topic.delete,
    ][form]()  # fmt: skip


@write(forms=6)
def by_the_database(world: World, one: int, two: int, three: int, form: int) -> None:
    """Chains down which, on Django 6.1, the database itself deletes and forgets."""
    line = world.rows(Line).update_or_create(pk=1 + one % 2, defaults={"name": ["U1", "U2"][two % 2]})[0]
    basket = world.rows(Basket).get_or_create(pk=1 + one % 2)[0]
    stop = line.stop_set.first() or line.stop_set.create(name="Zoo")
    [
        line.delete, stop.delete, lambda: world.rows(Line).filter(name="U1").delete(), basket.delete,
        lambda: basket.fruit_set.create().seed_set.create(), lambda: world.rows(Basket).filter(label="best").delete(),
    ][form]()  # fmt: skip


@write(forms=6)
def keys_of_others(world: World, one: int, two: int, three: int, form: int) -> None:
    """A key that is another row's, a reference by code, and a table that refers to itself."""
    key, code = 1 + one % 2, "abc"[two % 3]
    if form == 0:
        world.rows(Author).update_or_create(student_id=key, defaults={"number": three})
    elif form == 1:
        author = world.some(Author, one)
        world.rows(Poem).update_or_create(pk=1 + two % 3, defaults={"author": author, "cover": None, "title": "Ode"})
    elif form == 2:
        world.rows(Author).filter(pk=key).delete()
    elif form == 3:
        world.rows(Country).update_or_create(code=code, defaults={"name": f"Land {three}"})
        world.rows(City).update_or_create(pk=key, defaults={"country_id": code, "name": "Town"})
    elif form == 4:
        world.rows(Country).filter(code=code).delete()
    else:
        row = world.rows(Ledger).update_or_create(pk=MADE_UP, defaults={"name": f"new {three}", "parent_id": key})[0]
        row.delete() if three % 2 else Ledger.cached.using(world.alias).filter(pk=key).update(name=f"led {three}")


@write(forms=4)
def badges(world: World, one: int, two: int, three: int, form: int) -> None:
    owner, badge = world.some(Student, two), world.some(Badge, one)
    label = ["gold", "iron"][three % 2]
    if badge is None or form == 0:
        if owner is not None:
            # A key of ours: the same story must be told again with the same keys.
            made = {"label": label, "pk": UUID(int=3 + one)}
            Badge.cached.using(world.alias).update_or_create(
                owner=owner, defaults={"label": label}, create_defaults=made
            )
    elif form == 1:
        badge.label = label
        badge.save()
    elif form == 2:
        Badge.cached.using(world.alias).filter(label=label).update(label="gold")
    else:
        badge.delete()
