"""Foreign keys followed from the cache: the rows that Django's own prefetching and attributes give, with its values."""

from __future__ import annotations

import asyncio
import copy
import pickle

import django
import pytest
from asgiref.sync import sync_to_async
from django.db import connections, models
from django.db.models import prefetch_related_objects

from redis_toolkit.cache import CachedPages, CacheManager, aprefetch_cached, prefetch_cached
from redis_toolkit.cache.following import FollowedForeignKey, FollowedOneToOne, install
from redis_toolkit.cache.origins import came_from_cache
from redis_toolkit.exceptions import Misconfigured
from redis_toolkit.testing.cache import assert_redis_round_trips
from tests.app.models import (
    Badge,
    Box,
    Cafe,
    City,
    EarlyLesson,
    Ledger,
    Lesson,
    Poem,
    Tag,
    Teacher,
    Thing,
)
from tests.portraits import outcome, portrait, same

#: Rows, the relations to follow, and how many round trips hits take.
FOLLOWED = {
    "one": (lambda s: s.lessons.order_by("pk"), ["group"], 1),
    "three": (lambda s: s.lessons.order_by("pk"), ["group", "teacher", "room"], 3),
    "nullable": (lambda s: s.lessons.filter(room=None).order_by("pk"), ["room"], 0),
    "nested": (lambda s: s.lessons.order_by("pk"), ["room__building", "teacher__mentor__mentor"], 5),
    "a path and its beginning": (lambda s: s.lessons.order_by("pk"), ["teacher__mentor", "teacher"], 2),
    "one to one": (lambda s: s(Badge).order_by("pk"), ["owner"], 1),
    "key of a key": (lambda s: s(Poem).order_by("pk"), ["author__student", "cover"], 3),
    "to a code": (lambda s: s(City).order_by("pk"), ["country"], 1),
    "parent": (lambda s: s(Cafe).order_by("pk"), ["place_ptr"], 1),
    "proxy": (lambda s: s(EarlyLesson).order_by("pk"), ["teacher"], 1),
    "to itself": (lambda s: s(Ledger).order_by("pk"), ["parent"], 1),
    "a generic key's": (lambda s: s(Tag).order_by("pk"), ["content_type"], 1),
    "joined already": (lambda s: s.lessons.select_related("room").order_by("pk"), ["room__building"], 1),
    "no rows": (lambda s: s.lessons.none(), ["room__building"], 0),
    "one row": (lambda s: [s.lessons.get(pk=s.list[0].pk)], ["room__building"], 2),
    "the same row twice": (lambda s: [s.lessons.get(pk=s.list[0].pk)] * 2, ["room__building"], 2),
    "rows of several models": (
        lambda s: [*s.lessons.order_by("pk"), *s(EarlyLesson).order_by("pk")], ["teacher", "room__building"], 3,
    ),
}  # fmt: skip


def bare(instances):
    """Without the empty dictionary that Django leaves on every instance whose relations it prefetched."""
    waiting, seen = list(instances), set()
    while waiting:
        instance = waiting.pop()
        if instance is not None and id(instance) not in seen:
            seen.add(id(instance))
            assert not vars(instance).pop("_prefetched_objects_cache", None)
            waiting += instance._state.fields_cache.values()
    return instances


@pytest.mark.parametrize(("listed", "names", "trips"), FOLLOWED.values(), ids=FOLLOWED)
def test_prefetching(school, cost, listed, names, trips):
    """Each relation is 1 round trip and 0 queries, and gives Django's rows; on the miss before it 1 query for each."""
    wanted = list(listed(school))
    prefetch_related_objects(wanted, *names)
    first, second = list(listed(school.as_cached())), list(listed(school.as_cached()))
    with cost() as it:
        prefetch_cached(first, *names)
    assert portrait(first) == portrait(bare(wanted))
    ends = [end for _, end in it.outcomes]
    # (A row that an earlier step has stored is a hit by now: a mentor who teaches, too.)
    assert (it.queries, len(ends), set(ends) <= {"hit", "miss"}) == (ends.count("miss"), trips, True)
    assert ends[:1] in ([], ["miss"])
    with cost() as it, assert_redis_round_trips(trips):
        prefetch_cached(second, *names)
    assert portrait(second) == portrait(wanted)
    assert (it.queries, it.failures) == (0, [])
    assert [end for _, end in it.outcomes] == ["hit"] * trips


def test_what_nobody_can_follow_is_asked_of_the_database(school, cost):
    """A relation to a model with a base manager of its own is 1 query, and gives Django's rows."""
    things = list(school.as_cached()(Thing).order_by("pk"))
    Box._meta.base_manager_name = "objects"
    del Box._meta.__dict__["base_manager"]
    try:
        with cost() as it:
            prefetch_cached(things, "box")
    finally:
        Box._meta.base_manager_name = None
        del Box._meta.__dict__["base_manager"]
    wanted = list(school(Thing).order_by("pk").prefetch_related("box"))
    assert [thing.box for thing in things] == [thing.box for thing in wanted]
    # The box, and its things, which that manager always fetches.
    assert it.queries == 2


def test_plain_instances_may_be_given(school, cost):
    """Instances of Django's own querysets are given their relations from the cache, too."""
    prefetch_cached(list(school.lessons), "teacher")
    lessons = list(school.lessons.order_by("pk"))
    with cost() as it:
        prefetch_cached(lessons, "teacher")
        names = [lesson.teacher.name for lesson in lessons]
    assert (it.queries, names) == (0, [("Ada", "Bob", "Cyd")[at % 3] for at in range(12)])


def test_rows_are_shared(school):
    """Instances that refer to one row share one object, and what was fetched before is left alone."""
    lessons = list(school.as_cached().lessons.order_by("pk"))
    mine = Teacher(pk=lessons[0].teacher_id, name="mine")
    lessons[0].teacher = mine
    prefetch_cached(lessons, "teacher")
    assert lessons[0].teacher is mine
    assert lessons[3].teacher is lessons[6].teacher
    assert lessons[3].teacher is not mine


def test_asynchronously(school):
    """`aprefetch_cached()` does what `prefetch_cached()` does."""

    async def ask():
        lessons = [lesson async for lesson in school.as_cached().lessons.order_by("pk")]
        await aprefetch_cached(lessons, "teacher__mentor")
        await sync_to_async(connections.close_all)()
        return portrait(lessons)

    assert asyncio.run(ask()) == portrait(bare(list(school.lessons.order_by("pk").prefetch_related("teacher__mentor"))))


@pytest.mark.parametrize(
    "lookup", ["students", "nothing", "teacher_id", "teacher__lessons", "title", "", models.Prefetch("room")]
)
def test_refused_lookups(school, lookup):
    """What is no path of forward relations is refused, and says so."""
    with pytest.raises(Misconfigured, match=r"prefetch_cached\(\) (follows|takes)"):
        prefetch_cached(list(school.lessons), lookup)


ACCESSES = {
    "foreign keys": (Poem, lambda poem: poem.author),
    "one to one": (Poem, lambda poem: poem.cover),
    "there and back": (Poem, lambda poem: poem.cover and poem.cover.cover_of),
    "to a code": (City, lambda city: city.country),
}


@pytest.mark.parametrize(("model", "access"), ACCESSES.values(), ids=ACCESSES)
def test_attributes(school, cost, model, access):
    """A followed attribute gives Django's row, once from the database and then from the cache: 0 queries."""
    wanted = [portrait((access(row), row)) for row in school(model).order_by("pk")]
    for row in school.as_cached()(model).order_by("pk"):
        access(row)
    with cost() as it:
        assert [portrait((access(row), row)) for row in school.as_cached()(model).order_by("pk")] == wanted
    assert it.queries == 0


ORIGINS = {
    "list": (lambda s: s.as_cached()(City).order_by("pk").first(), True),
    "get": (lambda s: s.as_cached()(City).get(pk=s.cities[0].pk), True),
    "in_bulk": (lambda s: s.as_cached()(City).in_bulk([s.cities[0].pk])[s.cities[0].pk], True),
    "refreshed": (lambda s: s.as_cached()(City).refresh().order_by("pk").first(), True),
    "partial": (lambda s: s.as_cached()(City).only("name").order_by("pk").first(), True),
    "annotated": (lambda s: s.as_cached()(City).annotate(n=models.Count("pk")).order_by("pk").first(), True),
    "copied": (lambda s: copy.deepcopy(s.as_cached()(City).get(pk=s.cities[0].pk)), True),
    "pickled": (lambda s: pickle.loads(pickle.dumps(s.as_cached()(City).get(pk=s.cities[0].pk))), True),
    "nocache": (lambda s: s.as_cached()(City).nocache().order_by("pk").first(), False),
    "Django's": (lambda s: s(City).order_by("pk").first(), False),
    "iterator": (lambda s: next(s.as_cached()(City).order_by("pk").iterator()), False),
    "new": (lambda s: City(country_id="it", name="new"), False),
}  # fmt: skip


@pytest.mark.parametrize(("origin", "follows"), ORIGINS.values(), ids=ORIGINS)
def test_where_an_instance_came_from(school, cost, origin, follows):
    """Instances of the cached manager follow from the cache; all others ask the database, 1 query each."""
    city = origin(school)
    city._state.db = school.alias
    assert city.country_id == "it"
    assert came_from_cache(city) is follows
    assert school.as_cached()(City).get(pk=school.cities[0].pk).country.name == "Italy"
    with cost() as it:
        assert city.country.name == "Italy"
        assert city.country.name == "Italy"
    assert it.queries == (0 if follows else 1)


def test_the_attribute_is_djangos_in_all_else(school, cost):
    """Class access, is_cached, assignment, a changed key, refresh_from_db and pickling are as they were."""
    assert type(City.country) is FollowedForeignKey
    assert (type(Poem.author), type(Poem.cover)) == (FollowedForeignKey, FollowedOneToOne)
    assert pickle.loads(pickle.dumps(City.country)) is City.country
    assert issubclass(Poem.cover.RelatedObjectDoesNotExist, AttributeError)
    city = school.as_cached()(City).get(pk=school.cities[0].pk)
    assert not City.country.is_cached(city)
    italy = city.country
    assert City.country.is_cached(city)
    city.country_id = "at"
    assert not City.country.is_cached(city)
    assert city.country.name == "Austria"
    city.country = italy
    assert (city.country_id, city.country) == ("it", italy)
    city.refresh_from_db()
    assert not City.country.is_cached(city)
    assert city.country.name == "Italy"
    city.country_id = None
    with pytest.raises(City.country.RelatedObjectDoesNotExist, match="City has no country"):
        city.country  # noqa: B018
    city.country_id = "xx"
    with cost() as it, pytest.raises(type(italy).DoesNotExist, match="Country matching query does not exist"):
        city.country  # noqa: B018
    assert it.queries >= 1
    with pytest.raises(ValueError, match="must be a"):
        city.country = school.students[0]


def test_installing_twice_changes_nothing():
    """Descriptors are put on models once, and on those alone that opt in."""
    before = vars(City)["country"], vars(Lesson)["teacher"]
    install([City, Lesson])
    assert (vars(City)["country"], vars(Lesson)["teacher"]) == before
    assert type(Lesson.teacher).__module__.startswith("django.")


def test_one_field_for_many_is_misconfigured():
    """`follow="teacher"` would be seven fields."""
    with pytest.raises(Misconfigured, match=r"follow=\['teacher'\]"):
        CacheManager(follow="teacher")
    assert CacheManager(follow=False).followed_relations == CacheManager().followed_relations == ()


@pytest.mark.parametrize("mode", ["FETCH_ONE", "FETCH_PEERS", "FETCH_RAISE"])
def test_fetch_modes(school, mode):
    """Related rows fetch what they lack in the mode of the instances they were followed from, as Django 6.1 has it."""
    if django.VERSION < (6, 1):
        assert not hasattr(models.QuerySet, "fetch_mode")
        return
    chosen = getattr(models, mode)

    def followed(side):
        poems = list(side(Poem).all().fetch_mode(chosen).order_by("pk"))
        (prefetch_cached if side.cached else prefetch_related_objects)(poems, "author__student", "cover")
        return bare(poems)

    def accessed(side):
        poems = list(side(Poem).all().fetch_mode(chosen).order_by("pk"))
        return [[poem.author, poem.cover] for poem in poems], bare(poems)

    for ask in (followed, accessed):
        wanted = outcome(ask, school)
        for _ in range(2):
            found = outcome(ask, school.as_cached())
            assert same(wanted, found), (wanted, found)


@pytest.mark.parametrize("mode", ["FETCH_ONE", "FETCH_PEERS", "FETCH_RAISE"])
def test_pages_in_a_fetch_mode(school, mode):
    """Rows of a page are in the mode that was asked for, and peers of each other."""
    if django.VERSION < (6, 1):
        assert not hasattr(models.QuerySet, "fetch_mode")
        return
    chosen = getattr(models, mode)
    wanted = portrait(list(school.lessons.all().fetch_mode(chosen).order_by("weekday", "pk")))
    pages = CachedPages(school.as_cached().lessons.all().fetch_mode(chosen).order_by("weekday"))
    for _ in range(2):
        page = pages.page()
        assert portrait(list(page.rows)) == wanted
