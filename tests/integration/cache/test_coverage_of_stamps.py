"""Questions whose stamps, or whose key, are not what a first look would say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections, transaction
from django.db.models import CharField, Count, Func, Q, Subquery

from redis_toolkit.cache import cached, plans
from redis_toolkit.exceptions import Misconfigured
from tests.app.factories import GroupFactory, LessonFactory, RoomFactory, StudentFactory, TeacherFactory
from tests.app.models import Basket, Cargo, City, Country, Freighter, Fruit, Group, Lesson, Room, Seed, Tile
from tests.integration.cache.threads import elsewhere
from tests.school import ALIASES

pytestmark = [pytest.mark.django_db(transaction=True, databases="__all__"), pytest.mark.usefixtures("shared_redis")]
both = pytest.mark.parametrize("db", ALIASES)

TOO_LARGE = 10**30


class Shout(Func):
    """A function of the project's own, so that only its SQL identifies a query."""

    function = "UPPER"


def lessons(db: str, count: int = 4) -> list[Lesson]:
    """Lessons of one group and teacher on database ``db``."""
    group = GroupFactory._create(Group, code="one") if db == "default" else Group.objects.using(db).create(code="one")
    teacher = TeacherFactory.build()
    teacher.save(using=db)
    made = [LessonFactory.build(group=group, teacher=teacher, room=None, period=at) for at in range(count)]
    for lesson in made:
        lesson.save(using=db)
    return made


@both
def test_a_subquery_that_one_value_makes_empty(db):
    """The first value leaves the subquery out of the SQL; its tables still count for the others."""
    first, *_ = lessons(db)
    student = StudentFactory.build()
    student.save(using=db)

    def ask(key: int) -> int:
        return len(Lesson.cached.using(db).exclude(students__id=key))

    ask(TOO_LARGE)
    assert ask(student.pk) == 4
    first.students.add(student)
    assert ask(student.pk) == 3


@both
def test_a_part_of_an_or_that_one_value_makes_empty(db):
    """The same beside an OR."""
    first, *_ = lessons(db)
    room = RoomFactory.build(capacity=5)
    room.save(using=db)
    first.room = room
    first.save()

    def ask(capacity: int) -> int:
        rooms = Room.objects.using(db).filter(capacity=capacity)
        return len(Lesson.cached.using(db).filter(Q(title="none") | Q(room__in=rooms)))

    ask(TOO_LARGE)
    assert ask(5) == 1
    room.capacity = 6
    room.save()
    assert ask(5) == 0


@both
def test_trees_of_one_sql(db):
    """Conditions that compile to nothing do not shift the values that name stamps."""
    first, second, *_ = lessons(db)
    other = Group.objects.using(db).create(code="other")

    def base() -> Any:
        return Lesson.cached.using(db).annotate(loud=Shout("title", output_field=CharField()))

    def ask(group: Group) -> list[int]:
        return [each.pk for each in base().filter(group=group).filter(teacher=first.teacher).order_by("pk")]

    list(base().filter(~Q(pk__in=[])).filter(group=other).filter(teacher=first.teacher).order_by("pk"))
    assert ask(other) == []
    second.group = other
    second.save()
    assert ask(other) == [second.pk]


def test_a_statement_that_leaves_a_transaction_open():
    """1. BEGIN and UPDATE in one statement  2. a reader  3. COMMIT: the mark stands until 3."""
    first, *_ = lessons("postgres")
    manager = Lesson.cached.db_manager("postgres")
    with connections["postgres"].cursor() as cursor:
        cursor.execute(f"BEGIN; UPDATE app_lesson SET title = 'new' WHERE id = {first.pk}")
        assert elsewhere(lambda: manager.get(pk=first.pk).title) == first.title
        cursor.execute("COMMIT")
    assert elsewhere(lambda: manager.get(pk=first.pk).title) == "new"


@pytest.mark.parametrize("sql", ["TRUNCATE app_group CASCADE", "PREPARE rename AS UPDATE app_lesson SET title = 'new'"])
def test_statements_that_change_what_they_do_not_name(sql):
    """A TRUNCATE that cascades, and a prepared statement when it is executed, kill what they reach."""
    first, *_ = lessons("postgres")
    ask = Lesson.cached.using("postgres").filter(group=first.group).exclude(title="new").count
    with connections["postgres"].cursor() as cursor:
        if sql.startswith("PREPARE"):
            cursor.execute(sql)
            sql = "EXECUTE rename"
        assert ask() == 4
        cursor.execute(sql)
        assert ask() == 0
        cursor.execute("DEALLOCATE ALL")


def test_functions_that_one_name_does_not_tell_apart():
    """Two closures of one name would share answers, so they need a key; so does a lambda."""

    def make(number: int) -> Callable[[], int]:
        @cached(depends_on=[Lesson])
        def give() -> int:
            return number

        return give

    with pytest.raises(Misconfigured, match=r"@cached\(key=\.\.\., \.\.\.\)"):
        make(1)
    with pytest.raises(Misconfigured, match="key"):
        cached(depends_on=[Lesson])(lambda: 1)


@both
def test_an_instance_stands_for_what_the_relation_refers_to(db):
    """A foreign key to another column than the primary key: changing that column in memory changes the question."""
    for code in "ab":
        Country.objects.using(db).create(code=code)
    City.objects.using(db).create(country_id="a", name="x")
    country = Country.objects.using(db).get(code="a")

    def ask() -> int:
        number: int = City.cached.using(db).aggregate(n=Count("pk", filter=Q(country=country)))["n"]
        return number

    assert ask() == 1
    country.code = "b"
    assert ask() == 0


def test_a_constraint_that_is_checked_at_the_end():
    """Two rows of a deferrable constraint are two rows for ``get`` too, while they last."""
    Tile.objects.using("postgres").create(place=1, colour="r")
    with transaction.atomic(using="postgres"):
        second = Tile.objects.using("postgres").create(place=1, colour="g")
        with pytest.raises(Tile.MultipleObjectsReturned):
            Tile.cached.db_manager("postgres").get(place=1)
        second.delete()


@both
def test_a_parent_whose_key_is_not_the_childs(db):
    """A row of two parents depends on the second parent's row whatever its key."""
    Cargo.objects.using(db).bulk_create(Cargo(load="other") for _ in range(5))
    freighter = Freighter(name="Ada", load="old")
    freighter.save(using=db)
    manager = Freighter.cached.db_manager(db)
    assert freighter.pk != freighter.cargo_id
    assert [manager.get(pk=freighter.pk).load, manager.in_bulk([freighter.pk])[freighter.pk].load] == ["old", "old"]
    cargo = Cargo.objects.using(db).get(pk=freighter.cargo_id)
    cargo.load = "new"
    cargo.save()
    assert [manager.get(pk=freighter.pk).load, manager.in_bulk([freighter.pk])[freighter.pk].load] == ["new", "new"]


@both
def test_what_goes_with_a_deleted_row(db):
    """A cascade reaches the cached lists two tables down, whoever carries it out."""
    basket = Basket.objects.using(db).create(label="one")
    fruit = Fruit.cached.using(db).create(basket=basket)
    Seed.cached.using(db).create(fruit=fruit)
    asks = [Fruit.cached.using(db).filter(basket=basket).count, Seed.cached.using(db).filter(fruit=fruit).count]
    assert [ask() for ask in asks] == [1, 1]
    Basket.objects.using(db).filter(pk=basket.pk).delete()
    assert [ask() for ask in asks] == [0, 0]


@both
@pytest.mark.parametrize("first", [TOO_LARGE, 0])
def test_a_subquery_that_only_orders_by_a_table(db, first):
    """What only the ordering of a subquery joins counts too, though the first value left the subquery out."""
    made = lessons(db)
    room = RoomFactory.build(code="A")
    room.save(using=db)
    Lesson.objects.using(db).filter(pk__in=[made[0].pk, made[1].pk]).update(room=room)
    plans.forget()

    def ask(manager, at):
        titles = Lesson.objects.using(db).filter(period__gte=at, room__isnull=False).order_by("-room__code", "pk")
        return list(manager.order_by("pk").annotate(t=Subquery(titles.values("title")[:1])).values_list("pk", "t"))

    cached, plain = Lesson.cached.db_manager(db), Lesson.objects.using(db)
    for at in (first, 0):
        assert ask(cached, at) == ask(plain, at)
    other = RoomFactory.build(code="Z")
    other.save(using=db)
    Lesson.objects.using(db).filter(pk=made[2].pk).update(room=other)
    assert ask(cached, 0) == ask(plain, 0)
    room.code = "ZZ"
    room.save()
    assert ask(cached, 0) == ask(plain, 0)
