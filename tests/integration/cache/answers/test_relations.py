"""Related rows: joined, fetched beside, and asked for through the managers of an instance."""

from __future__ import annotations

import pytest
from django.db import router
from django.db.models import Count, Prefetch, QuerySet, Subquery
from django.utils import translation

from redis_toolkit.cache import CachedQuerySet
from tests.app.models import (
    Album,
    Author,
    Badge,
    Box,
    Cafe,
    City,
    Country,
    Dish,
    EarlyLesson,
    Group,
    Ledger,
    Lesson,
    Place,
    Poem,
    Room,
    Shelf,
    Student,
    Tag,
    Teacher,
    Topic,
)
from tests.portraits import outcome, same

JOINED = {
    "one": lambda s: s.lessons.select_related("group").order_by("pk"),
    "nullable": lambda s: s.lessons.select_related("room").order_by("pk"),
    "nested": lambda s: s.lessons.select_related("room__building", "teacher__mentor__mentor").order_by("pk"),
    "three": lambda s: (
        s.lessons.filter(group=s.groups[0]).select_related("room", "teacher", "group").order_by("weekday")
    ),
    "in two calls": lambda s: s.lessons.select_related("room").select_related("teacher").order_by("pk"),
    "undone": lambda s: s.lessons.select_related("room").select_related(None).order_by("pk"),
    "to itself": lambda s: s(Teacher).select_related("mentor").order_by("pk"),
    "reverse one to one": lambda s: s(Student).select_related("badge").order_by("pk"),
    "one to one": lambda s: s(Badge).select_related("owner").order_by("pk"),
    "there and back": lambda s: s(Badge).select_related("owner__badge").order_by("pk"),
    "reverse, two": lambda s: s(Student).select_related("badge", "author").order_by("pk"),
    "key of a key": lambda s: s(Poem).select_related("author__student", "cover").order_by("pk"),
    "to a code": lambda s: s(City).select_related("country").order_by("pk"),
    "child": lambda s: s(Cafe).select_related("place_ptr").order_by("pk"),
    "parent to child": lambda s: s(Place).select_related("cafe").order_by("pk"),
    "proxy": lambda s: s(EarlyLesson).select_related("room").order_by("pk"),
    "annotated": lambda s: s.lessons.select_related("room").annotate(n=Count("students")).order_by("pk"),
    "only": lambda s: s.lessons.select_related("room__building").only("title", "room__building__name").order_by("pk"),
    "first": lambda s: s.lessons.select_related("room").order_by("pk").first(),
    "get": lambda s: s.lessons.select_related("teacher").get(pk=s.list[0].pk),
    "get by hand": lambda s: s.lessons.select_related("teacher").filter(group=s.groups[0]).get(period=0),
}

BESIDE = {
    "one": lambda s: s.lessons.prefetch_related("group").order_by("pk"),
    "nullable": lambda s: s.lessons.prefetch_related("room").order_by("pk"),
    "many to many": lambda s: s.lessons.prefetch_related("students").order_by("pk"),
    "many to many, back": lambda s: s(Student).prefetch_related("lessons").order_by("pk"),
    "reverse": lambda s: s(Group).prefetch_related("lessons").order_by("pk"),
    "nested": lambda s: s(Group).prefetch_related("lessons__students", "lessons__room__building").order_by("pk"),
    "twice through one": lambda s: s.lessons.prefetch_related("room", "room__building").order_by("pk"),
    "one to one": lambda s: s(Badge).prefetch_related("owner").order_by("pk"),
    "reverse one to one": lambda s: s(Student).prefetch_related("badge").order_by("pk"),
    "to a code": lambda s: s(Country).prefetch_related("cities").order_by("pk"),
    "key of a key": lambda s: s(Author).prefetch_related("poems", "student").order_by("pk"),
    "after a join": lambda s: s.lessons.select_related("room").prefetch_related("room__building").order_by("pk"),
    "of a child": lambda s: s(Place).prefetch_related("cafe").order_by("pk"),
    "undone": lambda s: s.lessons.prefetch_related("students").prefetch_related(None).order_by("pk"),
    "with a queryset": lambda s: (
        s(Group)
        .prefetch_related(Prefetch("lessons", queryset=s.lessons.filter(period__gt=4).order_by("-period").all()))
        .order_by("pk")
    ),
    "to an attribute": lambda s: (
        s(Group)
        .prefetch_related(
            Prefetch("lessons", queryset=s.lessons.filter(weekday=1).order_by("pk").all(), to_attr="mondays")
        )
        .order_by("pk")
    ),
    "sliced": lambda s: (
        s(Group)
        .prefetch_related(Prefetch("lessons", queryset=s.lessons.order_by("-period")[:2], to_attr="latest"))
        .order_by("pk")
    ),
    "queryset with a join": lambda s: (
        s(Group)
        .prefetch_related(Prefetch("lessons", queryset=s.lessons.select_related("room").order_by("pk")))
        .order_by("pk")
    ),
    "generic": lambda s: s(Topic).prefetch_related("tags").order_by("pk"),
    "generic, back": lambda s: s(Tag).filter(content_type__model="topic").prefetch_related("topics").order_by("pk"),
    "in a Prefetch, and on": lambda s: (
        s(Group).prefetch_related(Prefetch("lessons"), "lessons__students", Prefetch("lessons__room")).order_by("pk")
    ),
    "many to many of a cached manager": lambda s: s(Album).prefetch_related("badges__owner").order_by("pk"),
    "many to many of a cached manager, back": lambda s: s(Badge).prefetch_related("albums").order_by("pk"),
    "of one": lambda s: s.lessons.prefetch_related("students").get(slug="lesson-3"),
    "of none": lambda s: s.lessons.filter(period=99).prefetch_related("students"),
    "named wrongly": lambda s: s(Room).prefetch_related("nothing"),
}
#: Where one step is Django's own: a plain queryset was given, or the step starts from an attribute of no name to us.
PLAIN_PREFETCH = {
    "with a plain queryset": lambda s: (
        s(Group)
        .prefetch_related(
            Prefetch("lessons", queryset=Lesson.objects.using(s.alias).filter(period__gt=4).order_by("pk"))
        )
        .order_by("pk")
    ),
    "generic, to any model": lambda s: (
        s(Tag).filter(content_type__model="topic").prefetch_related("target").order_by("pk")
    ),
    "to an attribute, and beside it": lambda s: (
        s(Group).prefetch_related(Prefetch("lessons__room", to_attr="hall"), "lessons__room").order_by("pk")
    ),
    "to an attribute, after it": lambda s: (
        s(Group).prefetch_related("lessons__room", Prefetch("lessons__room", to_attr="hall")).order_by("pk")
    ),
    "on from an attribute": lambda s: (
        s(Group)
        .prefetch_related(
            Prefetch("lessons", queryset=s.lessons.order_by("pk").all(), to_attr="every"), "every__students"
        )
        .order_by("pk")
    ),
}

MANAGERS = {
    "children": lambda s: s(Ledger).get(name="root").children.order_by("pk"),
    "children, all": lambda s: s(Ledger).get(name="root").children.all(),
    "children, filtered": lambda s: s(Ledger).get(name="root").children.filter(name="bud"),
    "children, filtered twice": lambda s: s(Ledger).get(name="root").children.filter(name="bud").filter(pk__gt=0),
    "children, counted": lambda s: s(Ledger).get(name="root").children.count(),
    "children, sliced": lambda s: s(Ledger).get(name="root").children.order_by("pk")[:1],
    "child": lambda s: s(Ledger).get(name="root").children.get(name="leaf"),
    "child by key": lambda s: s(Ledger).get(name="root").children.get(pk=s.ledgers[1].pk),
    "no child by key": lambda s: s(Ledger).get(name="leaf").children.get(pk=s.ledgers[2].pk),
    "children in bulk": lambda s: s(Ledger).get(name="leaf").children.in_bulk([each.pk for each in s.ledgers]),
    "children of a leaf": lambda s: s(Ledger).get(name="leaf").children.all(),
    "parent": lambda s: s(Ledger).get(name="leaf").parent,
    "badges": lambda s: s(Album).get(name="Old").badges.order_by("label", "pk"),
    "badges, all": lambda s: s(Album).get(name="Old").badges.all(),
    "badges, filtered": lambda s: s(Album).get(name="New").badges.filter(label="red"),
    "badges, filtered twice": lambda s: s(Album).get(name="New").badges.filter(label="red").filter(albums__name="Old"),
    "badges, counted": lambda s: s(Album).get(name="New").badges.count(),
    "badges, sliced": lambda s: s(Album).get(name="New").badges.order_by("pk")[1:],
    "badge": lambda s: s(Album).get(name="New").badges.get(label="blue"),
    "badge by key": lambda s: s(Album).get(name="Old").badges.get(pk=s.badges[0].pk),
    "no badge by key": lambda s: s(Album).get(name="New").badges.get(pk=s.badges[0].pk),
    "badges in bulk": lambda s: s(Album).get(name="New").badges.in_bulk([each.pk for each in s.badges]),
    "children fetched": lambda s: s(Ledger).order_by("pk").prefetch_related("children"),
    "parent fetched": lambda s: s(Ledger).order_by("pk").prefetch_related("parent"),
}


@pytest.mark.parametrize("ask", JOINED.values(), ids=JOINED)
def test_select_related(agrees, ask):
    """Joined rows are Django's, linked as Django links them."""
    agrees(ask)


@pytest.mark.parametrize("ask", BESIDE.values(), ids=BESIDE)
def test_prefetch_related(agrees, ask):
    """Rows fetched beside are Django's, and each step of the path comes from the cache."""
    agrees(ask)


@pytest.mark.parametrize("ask", PLAIN_PREFETCH.values(), ids=PLAIN_PREFETCH)
def test_prefetch_with_a_plain_queryset(school, cost, ask):
    """Whoever names a plain queryset in a Prefetch gets it asked; the rest comes from the cache."""
    ours = school.as_cached()
    wanted = outcome(ask, school)
    assert same(wanted, outcome(ask, ours))
    with cost() as it:
        assert same(wanted, outcome(ask, ours))
    assert it.queries == 1
    assert {end for _, end in it.outcomes} == {"hit"}


def test_related_managers_of_a_narrowed_default_manager(school):
    """What a default manager leaves out is left out of relations, and their first filters count as one, each time."""
    for _ in range(3):
        soup = Dish.cached.using(school.alias).get(name="soup")
        assert [each.text for each in soup.namings.order_by("pk")] == ["Suppe", "zuppa"]
        assert [each.text for each in soup.likened.all()] == ["Torte"]
        # Both filters are about one row of the join, in which Torte belongs to soup.
        assert list(soup.likened.filter(likened_by__name="cake")) == []
        assert [each.text for each in soup.likened.filter(likened_by__name="soup")] == ["Torte"]


def test_a_relation_that_joins_by_the_language(school, cost):
    """What a relation of the project's own compares by itself is part of what was asked."""
    manager = Dish.cached.using(school.alias)
    for queries in (1, 0):
        for language, text, found in (("de", "Suppe", ["soup"]), ("it", "zuppa", ["soup"]), ("it", "Suppe", [])):
            with translation.override(language), cost() as it:
                assert [dish.name for dish in manager.filter(spoken__text=text)] == found
            assert it.queries == queries


SPOKEN = {
    "joined": lambda namings: namings.select_related("spoken"),
    "ordered": lambda namings: namings.order_by("spoken__text"),
    "ordered below": lambda namings: namings.filter(
        pk=Subquery(Dish.objects.using(namings.db).order_by("-spoken__text").values("pk")[:1])
    ),
}


@pytest.mark.parametrize("ask", SPOKEN.values(), ids=SPOKEN)
def test_joins_by_the_language_that_nobody_asked_for(school, ask):
    """Where compiling a query adds such a relation, each language has its answer all the same."""
    for language in 2 * ("de", "it"):
        with translation.override(language):
            wanted = outcome(lambda side: ask(side(Dish).filter(namings__pk__gt=0).distinct()), school)
            found = outcome(lambda side: ask(side(Dish).filter(namings__pk__gt=0).distinct()), school.as_cached())
            assert same(wanted, found), (wanted, found)


FILLED = {
    "one step": lambda s: s(Shelf).prefetch_related("boxes").order_by("pk"),
    "both steps": lambda s: s(Shelf).prefetch_related("boxes__things").order_by("pk"),
    "apart": lambda s: s(Shelf).prefetch_related("boxes", "boxes__things").order_by("pk"),
    "other way round": lambda s: s(Shelf).prefetch_related("boxes__things", "boxes").order_by("pk"),
    "twice": lambda s: s(Shelf).prefetch_related("boxes", "boxes").prefetch_related("boxes").order_by("pk"),
    "back": lambda s: s(Shelf).prefetch_related("boxes__things__box__shelf").order_by("pk"),
    "in a Prefetch": lambda s: s(Shelf).prefetch_related(Prefetch("boxes"), Prefetch("boxes__things")).order_by("pk"),
    "with another queryset": lambda s: (
        s(Shelf)
        .prefetch_related(
            Prefetch("boxes", queryset=Box.objects.using(s.alias).filter(pk__gt=1).order_by("pk")), "boxes__things"
        )
        .order_by("pk")
    ),
    "seen with another queryset": lambda s: (
        s(Shelf)
        .prefetch_related("boxes", Prefetch("boxes", queryset=Box.objects.using(s.alias).order_by("pk")))
        .order_by("pk")
    ),
}


@pytest.mark.parametrize("ask", FILLED.values(), ids=FILLED)
def test_prefetch_over_a_manager_that_prefetches(school, ask):
    """A default manager that fetches rows beside by itself is left to it, and nothing is fetched in two ways."""
    wanted = outcome(ask, school)
    for _ in range(2):
        assert same(wanted, found := outcome(ask, school.as_cached())), (wanted, found)


@pytest.mark.parametrize("ask", MANAGERS.values(), ids=MANAGERS)
def test_related_managers_of_a_cached_default_manager(school, ask):
    """Where a model's default manager is cached, the managers of its relations see just the related rows."""
    ours = school.as_cached()
    found = [outcome(ask, ours) for _ in range(3)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("redis_toolkit.cache.querysets.CachedQuerySet._cache_mode", "off")
        wanted = outcome(ask, ours)
    assert all(same(wanted, each) for each in found), (wanted, found)


@pytest.fixture
def elsewhere(school):
    """A lesson of one group on the other database."""
    other = "postgres" if school.alias == "default" else "default"
    group = Group.objects.using(other).create(code="elsewhere")
    teacher = Teacher.objects.using(other).create(name="elsewhere")
    lesson = Lesson.objects.using(other).create(title="elsewhere", slug="elsewhere", group=group, teacher=teacher)
    yield other
    lesson.delete()
    group.delete()
    teacher.delete()


def test_a_queryset_that_was_fetched_from_elsewhere(school, elsewhere):
    """A queryset lent to a Prefetch on another database is what it was before."""

    def ask(manager):
        manager.filter(period__gte=0)
        base = manager.all()
        fetched = Prefetch("lessons", queryset=base.filter(period__gte=0))
        list(Group.objects.using(elsewhere).prefetch_related(fetched))
        return base._db, dict(base._hints)

    assert ask(Lesson.cached.all()) == ask(Lesson.objects.all()) == (None, {})


def test_clones_of_a_queryset_that_was_evaluated(school, elsewhere, cost, redis_client):
    """What is fetched beside follows the clone: its database, its mode and its ttl."""
    asked = CachedQuerySet(Group, using=school.alias).prefetch_related("lessons").order_by("pk")
    list(asked)
    there = [[lesson.title for lesson in group.lessons.all()] for group in asked.using(elsewhere)]
    assert there[-1] == ["elsewhere"]
    with cost() as it:
        list(asked.nocache())
    assert it.outcomes == []
    redis_client.flushall()
    list(asked.cache(ttl=5))
    assert max(redis_client.pttl(key) for key in redis_client.keys("rt:q:*")) <= 5000


def test_what_is_fetched_beside_is_refreshed_too(school, cost):
    """refresh() reaches a step whose default manager is cached by itself."""
    albums = CachedQuerySet(Album, using=school.alias).prefetch_related("badges")
    list(albums)
    with cost() as it:
        list(albums.refresh())
    assert [outcome for _, outcome in it.outcomes] == ["miss", "miss"]


def test_routers_decide_where_relations_are_read(school, elsewhere, monkeypatch):
    """What is fetched beside is read where a router sends it, as Django does."""

    class Away:
        def db_for_read(self, model, **_):
            return elsewhere if model is Room else None

        db_for_write = db_for_read

    room = Room.objects.using(elsewhere).create(pk=school.rooms[0].pk, code="elsewhere")
    monkeypatch.setattr(router, "routers", [Away()])
    for kind in (QuerySet, CachedQuerySet):
        asked = kind(Lesson, using=school.alias).filter(room=room.pk).prefetch_related("room")
        assert {lesson.room.code for lesson in asked} == {"elsewhere"}
    room.delete()
