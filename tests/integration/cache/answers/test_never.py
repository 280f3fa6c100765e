"""What is never cached, and what a caller may say about caching."""

from __future__ import annotations

import logging

import pytest
from django.db import connections, transaction
from django.db.models import CharField, Exists, FloatField, Func, Max, OuterRef, Sum
from django.db.models.expressions import RawSQL
from django.db.models.functions import Cast, Now, Random

from redis_toolkit.cache import CachedQuerySet, plans
from tests.app.models import Event, Everything, Group, Lesson, Season, Student, Unwatched
from tests.school import ALIASES

ENTRIES = "rt:[qrf]:*"


class Mother(Func):
    """A function of the project's own that reads a table nobody would guess."""

    template = "(SELECT max(id) FROM app_unwatched)"
    output_field = FloatField()


def ours(side):
    """The lessons, by a queryset that does not cache where there is a choice."""
    return side.lessons.nocache() if side.cached else side.lessons


NEVER = {
    "iterator": lambda s: list(s.lessons.order_by("pk").iterator(chunk_size=5)),
    "iterator of values": lambda s: list(s.lessons.order_by("pk").values_list("pk").iterator()),
    "iterator with prefetch": lambda s: list(
        s.lessons.order_by("pk").prefetch_related("students").iterator(chunk_size=5)
    ),
    "raw": lambda s: list(s.lessons.raw("SELECT * FROM app_lesson ORDER BY id")),
    "extra where": lambda s: s.lessons.extra(where=["period > 3"]).order_by("pk"),
    "extra select": lambda s: s.lessons.extra(select={"twice": "period * 2"}).order_by("pk"),
    "extra select, counted": lambda s: s.lessons.extra(select={"twice": "period * 2"}).count(),
    "extra order": lambda s: s.lessons.extra(order_by=["-period"]),
    "extra tables": lambda s: s.lessons.extra(tables=["app_unwatched"]).order_by("pk"),
    "now": lambda s: s.lessons.filter(held__lt=Now()).order_by("pk"),
    "now, below": lambda s: s.lessons.filter(
        Exists(Lesson.objects.using(s.alias).filter(pk=OuterRef("pk"), held__lt=Now()))
    ).count(),
    "now in an aggregate": lambda s: s.lessons.aggregate(
        x=Sum("period", filter=Exists(Lesson.objects.filter(held=Now())))
    ),
    "raw sql": lambda s: s.lessons.annotate(x=RawSQL("period + %s", [1])).order_by("pk"),
    "raw sql in a filter": lambda s: s.lessons.filter(period=RawSQL("SELECT max(period) FROM app_lesson", [])),
    "a function of the day": lambda s: s.lessons.annotate(
        x=Func(function="CURRENT_DATE", template="%(function)s", output_field=CharField())
    ).order_by("pk"),
    "a table in a template": lambda s: s.lessons.annotate(
        x=Func(template="(SELECT max(id) FROM app_unwatched)", output_field=FloatField())
    ).order_by("pk"),
    "a table in a class": lambda s: s.lessons.annotate(x=Mother()).order_by("pk"),
    "union ordered by what it does not give": lambda s: (
        s.lessons.order_by()
        .union(s.lessons.order_by().filter(weekday=1))
        .order_by("title")
        .values_list("pk", flat=True)
    ),
    "nocache": lambda s: ours(s).order_by("pk"),
    "nocache, counted": lambda s: ours(s).filter(weekday=1).count(),
    "nocache, got": lambda s: ours(s).get(pk=s.list[0].pk),
    "nocache, in bulk": lambda s: ours(s).in_bulk([s.list[0].pk]),
    "nocache, fetched beside": lambda s: ours(s).prefetch_related("room").order_by("pk"),
    "nocache, then more": lambda s: ours(s).filter(weekday=1).order_by("pk").values("title"),
    "unwatched": lambda s: s(Unwatched).all(),
    "unwatched, counted": lambda s: s(Everything).count(),
    "unwatched, joined": lambda s: s.lessons.filter(title__in=Unwatched.objects.using(s.alias).values("text")),
    "explain": lambda s: bool(s.lessons.filter(weekday=1).explain()),
}

RANDOM = {
    "question mark": lambda s: s.lessons.order_by("?"),
    "question mark, first": lambda s: s.lessons.order_by("?").first(),
    "function": lambda s: s.lessons.order_by(Random()),
    "annotation": lambda s: s.lessons.annotate(x=Random()),
    "aggregate": lambda s: s.lessons.aggregate(x=Sum(Random())),
    "of another name": lambda s: s.lessons.annotate(x=Func(function="RANDOM", output_field=FloatField())),
    "of another name, summed": lambda s: s.lessons.aggregate(x=Max(Func(function="RANDOM", output_field=FloatField()))),
}


@pytest.mark.parametrize("ask", NEVER.values(), ids=NEVER)
def test_never(bypasses, redis_client, ask):
    """These are answered by the database each time, as Django answers them, and leave no entry."""
    bypasses(ask, redis_client)


@pytest.mark.parametrize("ask", RANDOM.values(), ids=RANDOM)
def test_random(school, cost, redis_client, ask):
    """What is random is asked for anew each time."""
    with cost() as it:
        for _ in range(2):
            found = ask(school.as_cached())
            list(found) if hasattr(found, "query") else found
    assert it.queries == 2
    assert redis_client.keys(ENTRIES) == []


@pytest.mark.parametrize(
    "lock", [{}, {"of": ("self",)}, {"skip_locked": True}, {"nowait": True}, {"no_key": True}], ids=str
)
def test_select_for_update(school, cost, redis_client, lock):
    """A row that is locked is read from the database, whatever is cached, and is not kept."""
    if school.alias == "default":
        lock = {}
    manager = Lesson.cached.db_manager(school.alias)
    manager.get(pk=school.list[0].pk)
    before = sorted(redis_client.keys(ENTRIES))
    with cost() as it, transaction.atomic(using=school.alias):
        assert manager.select_for_update(**lock).get(pk=school.list[0].pk) == school.list[0]
        assert len(manager.filter(weekday=1).select_for_update(**lock).order_by("pk")) == 3
    assert sum(query.startswith("SELECT") for query in it.sql) == 2
    assert sorted(redis_client.keys(ENTRIES)) == before


def test_for_write(school, cost, redis_client):
    """get_or_create and update_or_create, which read in order to write, read the database."""
    manager = Lesson.cached.db_manager(school.alias)
    manager.get(slug="lesson-0")
    before = sorted(redis_client.keys(ENTRIES))
    with cost() as it:
        assert manager.get_or_create(slug="lesson-0") == (school.list[0], False)
    assert (it.queries, it.outcomes) == (1, [])
    assert sorted(redis_client.keys(ENTRIES)) == before


@pytest.fixture
def view(school):
    """A database view over the lessons."""
    with connections[school.alias].cursor() as cursor:
        cursor.execute("CREATE VIEW app_season AS SELECT id, title FROM app_lesson WHERE weekday = 1")
    yield
    with connections[school.alias].cursor() as cursor:
        cursor.execute("DROP VIEW app_season")


def test_views(school, cost, redis_client, view):
    """A view shows what other tables hold, so it is never cached."""
    for ask in (
        lambda manager: manager.get(pk=school.list[0].pk).title,
        lambda manager: list(manager.in_bulk([school.list[0].pk])),
        lambda manager: len(manager.all()),
        lambda manager: manager.count(),
    ):
        with cost() as it:
            assert ask(Season.cached.db_manager(school.alias)) == ask(Season.cached.db_manager(school.alias))
        assert it.queries == 2
    assert redis_client.keys(ENTRIES) == []


def test_an_unwatched_table_is_logged_once(school, caplog):
    """One line of the log says why answers from an unwatched table are not cached, however often they are asked for."""
    caplog.set_level(logging.INFO, "redis_toolkit.cache")
    asked = CachedQuerySet(model=Student, using=school.alias).filter(
        name__in=Unwatched.objects.using(school.alias).values("text")
    )
    for _ in range(5):
        list(asked.order_by("name", "-pk"))
    lines = [record.getMessage() for record in caplog.records]
    reason = 'the table "app_unwatched" is not watched; name it in REDIS_TOOLKIT_WATCH'
    assert lines == [f"Answers of app.Student are not cached: {reason}"]


def test_refresh(school, cost):
    """refresh() asks the database and stores the answer, whatever is cached, for every kind of answer."""
    manager = Lesson.cached.db_manager(school.alias)
    queryset = manager.filter(group=school.groups[0]).order_by("pk")
    forms = (list, lambda q: q.count(), lambda q: q.exists(), lambda q: q.get(period=0), lambda q: q.in_bulk())
    for ask in forms:
        for each, queries in ((queryset, 1), (queryset, 0), (queryset.refresh(), 1), (queryset, 0)):
            with cost() as it:
                ask(each.all())
            assert it.queries == queries


def test_databases_are_apart(school, cost):
    """The same question to two databases is two entries."""
    other = next(alias for alias in ALIASES if alias != school.alias)
    assert Group.objects.using(other).count() == 0
    asked = Lesson.cached.db_manager(school.alias).filter(weekday=1)
    for _ in range(2):
        assert asked.count() == 3
        assert Lesson.cached.db_manager(other).filter(weekday=1).count() == 0
        assert Lesson.cached.db_manager(other).in_bulk([school.list[0].pk]) == {}
        with pytest.raises(Lesson.DoesNotExist):
            Lesson.cached.db_manager(other).get(pk=school.list[0].pk)
        assert Lesson.cached.db_manager(school.alias).get(pk=school.list[0].pk) == school.list[0]


CHANGING = {
    "default": ("julianday", "total_changes", "sqlite_version"),
    "postgres": ("timeofday", "random_normal", "gen_random_uuid"),
}


def test_functions_that_nobody_knows(school, settings, cost, caplog):
    """A function that the toolkit does not know may tell the time: not cached, unless the project says it does not."""

    def ask():
        for name in CHANGING[school.alias]:
            asked = Cast(Func(function=name), output_field=CharField())
            list(Event.cached.db_manager(school.alias).annotate(x=asked).values_list("x")[:1])

    with caplog.at_level(logging.INFO, "redis_toolkit.cache"), cost() as it:
        ask()
        ask()
    assert (it.outcomes, it.queries) == ([("rows", "bypass")] * 6, 6)
    assert f"calls {CHANGING[school.alias][0]}(), which may answer differently each time" in caplog.text
    plans.forget()
    settings.REDIS_TOOLKIT_FUNCTIONS = [name.upper() for name in CHANGING[school.alias]]
    with cost() as it:
        ask()
        ask()
    assert [outcome for _, outcome in it.outcomes] == ["miss"] * 3 + ["hit"] * 3
    plans.forget()
