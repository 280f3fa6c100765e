"""Managers and querysets of a project's own: what they add is part of the question."""

from __future__ import annotations

import copy
import pickle

import pytest
from django.db import models
from django.db.models import QuerySet
from django.db.models.manager import BaseManager

from redis_toolkit.cache import CachedQuerySet, CacheManager
from tests.app.models import Badge, Cafe, EarlyLesson, Ledger, Lesson, LessonQuerySet, Place
from tests.portraits import outcome, same

COUNT = 12


def manager_of(kind, model, alias, **options):
    """A manager that is not on the model, as if it were."""
    manager = kind(**options)
    manager.model = model
    manager.name = "made"
    return manager.db_manager(alias)


class EarlyOnly:
    """Narrows what the manager after it in the order of classes shows."""

    def get_queryset(self):
        return super().get_queryset().filter(period__lte=2)


class NarrowManager(EarlyOnly, CacheManager):
    """The mixin comes first."""


class PlainNarrowManager(models.Manager):
    """A manager of a project that knows no cache."""

    def get_queryset(self):
        return super().get_queryset().filter(period__lte=2)


class NarrowBehindManager(CacheManager, PlainNarrowManager):
    """The narrowing manager comes second, so CacheManager builds on what it shows."""


class BornNarrow(CachedQuerySet):
    """A queryset that narrows itself when it is made."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if kwargs.get("query") is None:
            self.query = self.query.chain()
            self.query.add_q(models.Q(period__lte=2))


TENANT = {"weekday": 1}


class TenantQuerySet(CachedQuerySet):
    """Adds a condition of the moment to every filter, where only subclasses of Django's QuerySet can."""

    def _filter_or_exclude(self, negate, args, kwargs):
        return super()._filter_or_exclude(negate, args, {**kwargs, **TENANT})


class OverridingQuerySet(CachedQuerySet):
    """Changes what get(), in_bulk() and filter() mean."""

    def get(self, *args, **kwargs):
        return super().get(*args, **(kwargs | {"period__lte": 2}))

    def in_bulk(self, *args, **kwargs):
        return {key: found for key, found in super().in_bulk(*args, **kwargs).items() if found.period <= 2}

    def filter(self, *args, **kwargs):
        return super().filter(*args, **(kwargs | {"period__lte": 2}))


NARROW = {
    "mixin before": NarrowManager,
    "manager behind": NarrowBehindManager,
    "queryset born narrow": CacheManager.from_queryset(BornNarrow),
    "queryset that overrides": CacheManager.from_queryset(OverridingQuerySet),
}
NARROWED = {
    "get": lambda m, s: m.get(pk=s.list[5].pk),
    "get unique": lambda m, s: m.get(slug="lesson-5"),
    "get seen": lambda m, s: m.get(pk=s.list[1].pk),
    "in bulk": lambda m, s: m.in_bulk([s.list[1].pk, s.list[5].pk]),
    "filter": lambda m, s: m.filter(group=s.groups[1]),
    "filter key": lambda m, s: m.filter(pk=s.list[5].pk),
    "count": lambda m, s: m.filter(group=s.groups[1]).count(),
    "exists": lambda m, s: m.filter(pk=s.list[5].pk).exists(),
}


@pytest.mark.parametrize("kind", NARROW.values(), ids=NARROW)
@pytest.mark.parametrize("ask", NARROWED.values(), ids=NARROWED)
def test_narrowed_managers(school, kind, ask):
    """A manager that shows a part of the rows never shows another's answers, nor lends it its own."""
    whole, narrow = Lesson.cached.db_manager(school.alias), manager_of(kind, Lesson, school.alias)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CachedQuerySet, "_cache_mode", "off")
        patch.setattr(CacheManager, "get", BaseManager.from_queryset(QuerySet).get)
        patch.setattr(CacheManager, "in_bulk", BaseManager.from_queryset(QuerySet).in_bulk)
        wanted = [outcome(lambda m: ask(m, school), manager) for manager in (whole, narrow)]
    for _ in range(3):
        for manager, want in zip((whole, narrow), wanted, strict=True):
            assert same(want, found := outcome(lambda m: ask(m, school), manager)), (want, found)


def test_a_condition_of_the_moment(school):
    """A queryset that adds the tenant of the moment below filter() never sees another tenant's answer."""
    tenants = manager_of(CacheManager.from_queryset(TenantQuerySet), Lesson, school.alias)
    for weekday in (1, 2, 1, 2):
        TENANT["weekday"] = weekday
        found = {lesson.weekday for lesson in tenants.filter(period__gte=0)}
        assert found == {weekday}


def test_custom_queryset_methods(agrees, school):
    """Methods of a custom queryset chain, on the manager and behind any other method."""

    def early(side):
        return side.lessons.filter(period__lte=2).filter(weekday=1).order_by("pk")

    agrees(early)
    manager = Lesson.cached.db_manager(school.alias)
    for queryset in (
        manager.early().filter(weekday=1),
        manager.filter(weekday=1).early(),
        manager.all().early().filter(weekday=1),
    ):
        assert type(queryset) is LessonQuerySet
        assert list(queryset.order_by("pk")) == list(early(school))


@pytest.mark.parametrize(
    "made",
    [
        CachedQuerySet.as_manager,
        LessonQuerySet.as_manager,
        models.Manager.from_queryset(CachedQuerySet),
        lambda: CacheManager.from_queryset(LessonQuerySet)(ttl=5, by=["group"]),
        CacheManager,
    ],
    ids=["as_manager", "as_manager of a subclass", "from_queryset of Manager", "from_queryset", "itself"],
)
def test_ways_to_make_a_manager(school, cost, made):
    """Each way Django has to make a manager of a queryset makes one that answers from the cache."""
    manager = made()
    manager.model, manager.name = Lesson, "made"
    manager = manager.db_manager(school.alias)
    assert isinstance(manager, models.Manager)
    for queries in (2, 0):
        with cost() as it:
            assert manager.filter(group=school.groups[0]).count() == COUNT // 2
            assert manager.get(pk=school.list[0].pk) == school.list[0]
        assert it.queries == queries


def test_as_manager_in_a_migration():
    """A migration writes a manager made by as_manager() as Django's own: by the class of its queryset."""
    manager = LessonQuerySet.as_manager()
    name = f"{LessonQuerySet.__module__}.LessonQuerySet"
    assert manager.deconstruct() == (True, None, name, None, None)


def test_pickled_querysets(school, cost):
    """A pickled queryset takes its rows along; a pickled query asks again, from the cache."""
    queryset = Lesson.cached.db_manager(school.alias).filter(group=school.groups[0]).order_by("pk").cache(ttl=9)
    rows = list(queryset)
    with cost() as it:
        thawed = pickle.loads(pickle.dumps(queryset))
        assert [row.pk for row in thawed] == [row.pk for row in rows]
        narrowed = thawed.filter(period__lt=4)
    assert (it.queries, narrowed._cache_terms.ttl, type(narrowed)) == (0, 9, LessonQuerySet)
    assert list(narrowed) == rows[:2]
    again = Lesson.cached.db_manager(school.alias).all()
    again.query = pickle.loads(pickle.dumps(queryset.query))
    assert list(again) == rows


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, CachedQuerySet.all], ids=["copy", "deepcopy", "all"])
def test_copies_of_querysets(school, duplicate):
    """A copy asks the same, and what is asked of it further does not reach the original."""
    original = Lesson.cached.db_manager(school.alias).filter(group=school.groups[0]).order_by("pk")
    twin = duplicate(original)
    assert list(twin.filter(period=0)) == school.list[:1]
    assert [row.pk for row in twin] == [row.pk for row in original] == [row.pk for row in school.list[::2]]


def test_the_query_is_there_for_whoever_looks(school):
    """Others may read and change ``queryset.query``, and get the answer to what it then says."""
    queryset = Lesson.cached.db_manager(school.alias).filter(group=school.groups[0])
    assert str(queryset.query) == str(Lesson.objects.using(school.alias).filter(group=school.groups[0]).query)
    list(queryset.all())
    queryset.query.add_q(models.Q(period=0))
    assert list(queryset) == school.list[:1]
    fresh = Lesson.cached.db_manager(school.alias).filter(group=school.groups[0])
    assert len(fresh) == COUNT // 2
    other = fresh.order_by("pk")
    other.query.set_limits(high=1)
    assert (len(other), len(fresh.order_by("pk"))) == (1, COUNT // 2)


def test_one_queryset_asked_many_things(school, cost):
    """One queryset object may be counted, listed and counted again: each kind of answer is one entry."""
    manager = Lesson.cached.db_manager(school.alias)
    for queries in (4, 0):
        queryset = manager.filter(group=school.groups[0]).order_by("pk")
        with cost() as it:
            assert queryset.count() == COUNT // 2
            assert queryset.exists()
            assert queryset.first() == school.list[0]
            assert len(queryset) == queryset.count() == COUNT // 2
        assert it.queries == queries


def test_proxies(agrees, school):
    """A proxy's rows are instances of the proxy, whatever was cached for its table, and the other way round."""
    for model in (Lesson, EarlyLesson, Lesson):
        agrees_ = [
            model.cached.db_manager(school.alias).get(pk=school.list[0].pk),
            *model.cached.db_manager(school.alias).in_bulk([school.list[1].pk]).values(),
            *model.cached.db_manager(school.alias).filter(period=2),
            *model.cached.db_manager(school.alias).filter(period=2).select_related("room").order_by("pk"),
        ]
        assert {type(row) for row in agrees_} == {model}


def test_parents_and_children(school, cost):
    """A child by its key is one entry of both tables' columns; the parent's rows are the parent's."""
    cafe = school.cafes[0]
    for queries in (3, 0):
        with cost() as it:
            child = Cafe.cached.db_manager(school.alias).get(pk=cafe.pk)
            same_child = Cafe.cached.db_manager(school.alias).get(place_ptr=school.alias and cafe.place_ptr_id)
            parent = Place.cached.db_manager(school.alias).get(pk=cafe.pk)
            by_name = Cafe.cached.db_manager(school.alias).get(name="Florian")
        assert it.queries == queries
        assert (type(child), child.name, child.stars) == (type(same_child), "Florian", 5) == (Cafe, by_name.name, 5)
        assert (type(parent), parent.name) == (Place, "Florian")


def test_refresh_from_db_asks_the_database(school, cost):
    """refresh_from_db() through a cached base manager reads the database, as does a deferred attribute."""
    leaf = Ledger.cached.using(school.alias).get(name="leaf")
    Ledger.cached.using(school.alias).get(pk=leaf.pk)
    with cost() as it:
        leaf.refresh_from_db()
        Ledger.plain.using(school.alias).only("pk").get(pk=leaf.pk).name  # noqa: B018 - looking at it is the test
    assert it.queries == 3
    assert it.outcomes == []


def test_foreign_keys_of_a_cached_base_manager(school, cost):
    """Following a foreign key to a model whose base manager is cached comes from the cache."""
    for queries in (2, 0):
        with cost() as it:
            assert Badge.cached.db_manager(school.alias).get(label="blue").owner_id == school.students[2].pk
            assert Ledger.cached.using(school.alias).filter(name="leaf").get().parent_id == school.ledgers[0].pk
        assert it.queries == queries
