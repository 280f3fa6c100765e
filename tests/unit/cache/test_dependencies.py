"""Which stamps a query depends on: the finest that is certain to cover it."""

from __future__ import annotations

import datetime
from uuid import UUID

import pytest
from django.db.models import Count, Exists, F, Func, IntegerField, Max, OuterRef, Q, QuerySet, Value
from django.db.models.functions import ExtractYear

from redis_toolkit.cache import traces
from redis_toolkit.cache.dependencies import recipe_of
from redis_toolkit.cache.identity import Uncacheable
from redis_toolkit.cache.locations import locate
from redis_toolkit.cache.plans import plan_for
from redis_toolkit.cache.reading import Source
from redis_toolkit.core.keys import digest
from tests.app.models import (
    Author,
    Badge,
    Cafe,
    City,
    EarlyLesson,
    Event,
    Group,
    Lesson,
    Place,
    Poem,
    Room,
    Student,
    Teacher,
    Unwatched,
)

ALIASES = ("default", "postgres")


def q(model=Lesson):
    return QuerySet(model)


def stamps_of(queryset, alias, kind="rows", *further):
    """What the answer depends on, without the prefix, the alias and the app's name."""
    plan, _ = plan_for(kind, queryset.query, alias, *further)
    assert plan.recipe is not None, plan.reason
    stem = f"rt:s:{alias}:app_"
    stamps = plan.recipe.stamps(plan.recipe.names(queryset.query), alias)
    assert all(stamp.startswith(stem) for stamp in stamps)
    return {stamp.removeprefix(stem) for stamp in stamps}


def text(value):
    """How text stands in a stamp: not to be read."""
    return "~" + digest(value.encode())


def on(table, *names):
    """The generation of a table and the stamps ``names`` below it."""
    return {table, *(f"{table}:{name}" for name in names)}


FINE = {
    "a declared field": (q().filter(group=5), on("lesson", "group_id=5")),
    "by its column": (q().filter(group_id=5), on("lesson", "group_id=5")),
    "by an instance": (q().filter(group=Group(pk=5)), on("lesson", "group_id=5")),
    "by text": (q().filter(group="5"), on("lesson", "group_id=5")),
    "by the key of what it refers to": (q().filter(group__pk=5), on("lesson", "group_id=5")),
    "and more": (q().filter(group=5, weekday__gt=2, title="x").exclude(period=1), on("lesson", "group_id=5")),
    "in two calls": (q().filter(weekday__gt=2).filter(group=5), on("lesson", "group_id=5")),
    "in a Q": (q().filter(Q(group=5) & Q(weekday=1)), on("lesson", "group_id=5")),
    "ordered, cut, distinct": (q().filter(group=5).order_by("title").distinct()[:5], on("lesson", "group_id=5")),
    "columns": (q().filter(group=5).values("title"), on("lesson", "group_id=5")),
    "in a list": (q().filter(group__in=[5, 6]), on("lesson", "group_id=5", "group_id=6")),
    "in a list of instances": (q().filter(group__in=[Group(pk=5)]), on("lesson", "group_id=5")),
    "in a list with null": (q().filter(room__in=[None, 5], weekday=1), on("lesson", "room_id=5,weekday=1")),
    "twice the same": (q().filter(group__in=[5, 5]), on("lesson", "group_id=5")),
    "a pair": (q().filter(room=3, weekday=1), on("lesson", "room_id=3,weekday=1")),
    "a pair, one in a list": (
        q().filter(room__in=[3, 4], weekday=1),
        on("lesson", "room_id=3,weekday=1", "room_id=4,weekday=1"),
    ),
    "unique before declared": (q().filter(group=5, slug="a"), on("lesson", f"slug={text('a')}")),
    "a constraint": (q().filter(teacher=1, weekday=2, period=3), on("lesson", "teacher_id=1,weekday=2,period=3")),
    "the key before all": (q().filter(group=5, slug="a", pk=7), on("lesson", "id=7", "new")),
    "keys": (q().filter(pk__in=[7, 8]), on("lesson", "id=7", "id=8", "new")),
    "a proxy": (q(EarlyLesson).filter(group=5), on("lesson", "group_id=5")),
    "a uuid": (q(Badge).filter(pk=UUID(int=5)), on("badge", f"id={UUID(int=5).hex}", "new")),
    "a date": (q(Event).filter(day=datetime.date(2026, 1, 2)), on("event", "day=2026-01-02")),
    "a boolean": (q(Event).filter(public=False), on("event", "public=0")),
    "text": (q(Event).filter(name="ä:{*}"), on("event", f"name={text('ä:{*}')}")),
    "a code": (q(City).filter(country="it"), on("city", f"country_id={text('it')}")),
    "the key of a key": (q(Poem).filter(author=Author(student_id=3)), on("poem", "author_id=3")),
}
COARSE = {
    "everything": q(),
    "no declared field": q().filter(title="x"),
    "half a pair": q().filter(weekday=1),
    "greater": q().filter(group__gt=5),
    "an or": q().filter(Q(group=5) | Q(group=6)),
    "an xor": q().filter(Q(group=5) ^ Q(weekday=6)),
    "a negation": q().exclude(group=5),
    "a negated Q": q().filter(~Q(group=5)),
    "another column": q().filter(group=F("room")),
    "an expression": q().filter(group=Value(5)),
    "a list too long": q().filter(group__in=range(65)),
    "null": q().filter(group=None),
    "is null": q().filter(group__isnull=False),
    "without regard to case": q().filter(slug__iexact="a"),
    "part of an or": q().filter(Q(group=5, weekday=1) | Q(title="x")),
    "combined": q().filter(group=5).union(q().filter(group=6)),
    "an annotation": q().annotate(group_of=F("group")).filter(group_of__gt=5),
    "two lists": q().filter(room__in=[1, 2], weekday__in=[1, 2]),
    "itself below": q().filter(group=5).filter(Exists(q().filter(pk=OuterRef("pk"), group=6))),
}
JOINED = {
    "a condition": (q().filter(group=5, teacher__name="a"), on("lesson", "group_id=5") | on("teacher", "*")),
    "an order": (q().filter(group=5).order_by("room__code"), on("lesson", "group_id=5") | on("room", "*")),
    "select_related": (
        q().filter(group=5).select_related("room__building"),
        on("lesson", "group_id=5") | on("room", "*") | on("building", "*"),
    ),
    "many to many": (q().filter(group=5, students=1), on("lesson", "group_id=5") | on("lesson_students", "*")),
    "many to many, far side": (
        q().filter(group=5, students__name="a"),
        on("lesson", "group_id=5") | on("lesson_students", "*") | on("student", "*"),
    ),
    "count of related": (
        q().filter(group=5).annotate(n=Count("students")),
        on("lesson", "group_id=5") | on("lesson_students", "*"),
    ),
    "a subquery": (
        q().filter(group=5).filter(Exists(q(Student).filter(name="a"))),
        on("lesson", "group_id=5") | on("student", "*"),
    ),
    "a condition in a query": (
        q().filter(room__in=q(Room).filter(code="a"), group=5),
        on("lesson", "group_id=5") | on("room", "*"),
    ),
    "itself, joined": (q(Teacher).filter(pk=1).select_related("mentor"), on("teacher", "*")),
    "itself, by another": (q().filter(group=5, teacher__lessons__title="x"), on("lesson", "*") | on("teacher", "*")),
    "a child": (q(Cafe).filter(stars=3), on("cafe", "stars=3") | on("place", "*")),
    "a child by its parent's field": (q(Cafe).filter(name="a"), on("cafe", "*") | on("place", "*")),
    "a parent by its child": (
        q(Place).filter(name="a", cafe__stars=3),
        on("place", f"name={text('a')}") | on("cafe", "*"),
    ),
    "combined": (q(Group).values("code").union(q(Room).order_by().values("code")), on("group", "*") | on("room", "*")),
    "a part of a moment": (
        q(Event).filter(name="a").annotate(x=ExtractYear("starts")),
        on("event", f"name={text('a')}"),
    ),
}


@pytest.mark.parametrize("alias", ALIASES)
@pytest.mark.parametrize(("queryset", "stamps"), FINE.values(), ids=FINE)
def test_fine(alias, queryset, stamps):
    """Values that the top level pins make the finest stamps, and nothing but the table's generation beside them."""
    assert stamps_of(queryset, alias) == stamps
    assert stamps_of(queryset, alias, "count") == stamps


@pytest.mark.parametrize("alias", ALIASES)
@pytest.mark.parametrize("queryset", COARSE.values(), ids=COARSE)
def test_coarse(alias, queryset):
    """Anything else depends on every row."""
    assert stamps_of(queryset, alias) == on("lesson", "*")


@pytest.mark.parametrize("alias", ALIASES)
@pytest.mark.parametrize(("queryset", "stamps"), JOINED.values(), ids=JOINED)
def test_joined(alias, queryset, stamps):
    """Every table that is read counts: the asker's own as finely as it can be, the others as wholes."""
    assert stamps_of(queryset, alias) == stamps


AGGREGATES = {
    "of its own columns": (("n", Max("period")), on("lesson", "group_id=5")),
    "of another table": (("n", Max("room__capacity")), on("lesson", "group_id=5") | on("room", "*")),
    "of many": (("n", Count("students")), on("lesson", "group_id=5") | on("lesson_students", "*")),
    "by a condition": (
        ("n", Count("pk", filter=Q(teacher__name="a"))),
        on("lesson", "group_id=5") | on("teacher", "*"),
    ),
    "of itself by another": (("n", Count("teacher__lessons")), on("lesson", "*") | on("teacher", "*")),
}


@pytest.mark.parametrize("alias", ALIASES)
@pytest.mark.parametrize(("further", "stamps"), AGGREGATES.values(), ids=AGGREGATES)
def test_aggregates(alias, further, stamps):
    """Tables that only the aggregate reads count too."""
    assert stamps_of(q().filter(group=5), alias, "aggregate", *further) == stamps


def test_an_unwatched_table():
    """A query that reads a table nobody watches is not cached."""
    plan, _ = plan_for("rows", q().filter(title__in=q(Unwatched).values("text")).query, "default")
    assert plan.recipe is None
    assert plan.reason == 'the table "app_unwatched" is not watched; name it in REDIS_TOOLKIT_WATCH'


READS = {
    "plain": ('SELECT 1 FROM "app_lesson"', True),
    "joined": ('SELECT 1 FROM "app_lesson" INNER JOIN "app_room" ON (1 = 1)', True),
    "aliased": ('SELECT 1 FROM "app_lesson" U0 LEFT OUTER JOIN "app_lesson" T4 ON (1 = 1)', True),
    "below": ('SELECT 1 FROM (SELECT 2 FROM "app_lesson") subquery', True),
    "a part of a moment": ('SELECT EXTRACT(YEAR FROM "app_lesson"."held") FROM "app_lesson"', True),
    "a part of a moment of an alias": ('SELECT EXTRACT(\'isoyear\' FROM U0."held") FROM "app_lesson" U0', True),
    "a distinction": ('SELECT 1 FROM "app_lesson" WHERE "app_lesson"."a" IS DISTINCT FROM "app_lesson"."b"', True),
    "unwatched": ('SELECT 1 FROM "app_lesson" INNER JOIN "app_unwatched" ON (1 = 1)', False),
    "unwatched in small letters": ('SELECT (select 1 from "app_unwatched") FROM "app_lesson"', False),
    "unquoted": ('SELECT (SELECT 1 FROM app_unwatched) FROM "app_lesson"', False),
    "unquoted, of a schema": ('SELECT (SELECT 1 FROM public.app_unwatched) FROM "app_lesson"', False),
    "on another line": ('SELECT (SELECT 1 FROM\n\tapp_unwatched) FROM "app_lesson"', False),
    "with a comma": ('SELECT 1 FROM "app_lesson", "app_unwatched"', False),
    "with a comma after an alias": ('SELECT 1 FROM "app_lesson" AS x , app_unwatched', False),
    "lateral": ('SELECT 1 FROM "app_lesson" JOIN LATERAL f("app_lesson"."id") ON true', False),
    "a function": ('SELECT 1 FROM "app_lesson" JOIN generate_series(1, 2) ON true', False),
    "another schema": ('SELECT 1 FROM "app_lesson" JOIN "other"."app_room" ON true', False),
    "itself not at all": ('SELECT 1 FROM "app_room"', False),
}


@pytest.mark.parametrize(("sql", "known"), READS.values(), ids=READS)
def test_tables_in_sql(sql, known):
    """Tables are read off the SQL; what is not written as Django writes it is not guessed at."""
    if known:
        assert "app_lesson" in recipe_of(q().query, sql, "default").tables
    else:
        with pytest.raises(Uncacheable):
            recipe_of(q().query, sql, "default")


TEMPLATES = (
    "(SELECT max(id) FROM app_unwatched)",
    '(select max(id) from "app_unwatched")',
    "(SELECT max(id) FROM app_lesson)",
)


@pytest.mark.parametrize("template", TEMPLATES)
def test_tables_in_templates(template):
    """A template that reads a table keeps the answer out of the cache."""
    plan, _ = plan_for("rows", q().annotate(x=Func(template=template, output_field=IntegerField())).query, "default")
    assert plan.recipe is None
    aggregate = Max(Func(template=template, output_field=IntegerField()))
    plan, _ = plan_for("aggregate", q().query, "default", "x", aggregate)
    assert plan.recipe is None


TRACED = {
    "a declared field": (lambda m: m.filter(group=5), on("lesson", "group_id=5")),
    "a pair, other way round": (lambda m: m.filter(weekday=1, room=3), on("lesson", "room_id=3,weekday=1")),
    "a list": (lambda m: m.filter(group__in=[5, 6]).order_by("pk")[:3], on("lesson", "group_id=5", "group_id=6")),
    "the key": (lambda m: m.filter(pk=7), on("lesson", "id=7", "new")),
    "excluded": (lambda m: m.exclude(group=5), on("lesson", "*")),
    "both": (lambda m: m.filter(group=5).exclude(group=6), on("lesson", "group_id=5")),
    "joined": (lambda m: m.filter(group=5).select_related("room"), on("lesson", "group_id=5") | on("room", "*")),
    "many": (lambda m: m.filter(group__in=list(range(1, 66))), on("lesson", "*")),
}


@pytest.mark.parametrize("alias", ALIASES)
@pytest.mark.parametrize(("ask", "stamps"), TRACED.values(), ids=TRACED)
def test_the_short_way_depends_on_the_same(alias, ask, stamps):
    """A query known by its trace depends on what the same query depends on by itself."""
    # (Only so many are remembered, and others may have asked for very many.)
    traces.forget()
    for _ in range(2):
        queryset = ask(Lesson.cached.db_manager(alias))
        assert queryset._trace is not None
        location = locate("rows", queryset, Source(alias, alias))
        assert {stamp.removeprefix(f"rt:s:{alias}:app_") for stamp in location.stamps} == stamps
        assert stamps_of(ask(q()), alias) == stamps
