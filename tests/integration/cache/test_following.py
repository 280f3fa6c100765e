"""Foreign keys followed from the cache: in transactions, on two databases, after writes, without Redis, and in checks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.db import models, transaction
from django.test.utils import isolate_apps

from redis_toolkit.cache import CacheManager, prefetch_cached
from redis_toolkit.cache.following import FollowedForeignKey, install
from redis_toolkit.testing.cache import assert_redis_round_trips
from tests.app.models import City, Country, Lesson, Pet, Teacher
from tests.school import ALIASES

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


@pytest.fixture
def cities(alias: str) -> Iterator[Any]:
    """Three cities of two countries on one database, from the cache."""
    for code in ("at", "it"):
        Country.objects.using(alias).create(code=code, name=code.upper())
    for name, code in (("Graz", "at"), ("Rome", "it"), ("Udine", "it")):
        City.objects.using(alias).create(name=name, country_id=code)

    def ask() -> list[City]:
        return list(City.cached.db_manager(alias).order_by("name"))

    yield ask
    for model in (City, Country):
        model.objects.using(alias).all().delete()


def names(found: list[City]) -> list[str]:
    return [city.country.name for city in found]


def test_following_costs_one_round_trip_for_each_row(cities, cost):
    """An attribute that is followed is 1 round trip and 0 queries for each instance; prefetched, 1 for all of them."""
    names(cities())
    found, others = cities(), cities()
    with cost() as it, assert_redis_round_trips(3):
        assert names(found) == ["AT", "IT", "IT"]
    assert (it.queries, it.outcomes) == (0, [("get", "hit")] * 3)
    with cost() as it, assert_redis_round_trips(1):
        prefetch_cached(others, "country")
    with assert_redis_round_trips(0):
        assert names(others) == ["AT", "IT", "IT"]
    assert (it.queries, it.outcomes) == (0, [("bulk", "hit")])


def test_a_write_is_seen_at_once(cities, alias, cost):
    """After a save the related row is new for attributes and for prefetching, and loaded once for both."""
    names(cities())
    italy = Country.objects.using(alias).get(code="it")
    italy.name = "Italia"
    italy.save()
    found, others = cities(), cities()
    with cost() as it:
        assert names(found) == ["AT", "Italia", "Italia"]
        prefetch_cached(others, "country")
    assert it.queries == 1
    assert names(others) == ["AT", "Italia", "Italia"]


def test_a_code_moves_to_another_row(cities, alias):
    """1. a country is stored by its code  2. the code moves to another country  3. both ways find that: 0 stale."""
    names(cities())
    prefetch_cached(cities(), "country")
    with transaction.atomic(using=alias):
        Country.objects.using(alias).filter(code="it").update(code="old")
        Country.objects.using(alias).create(code="it", name="New")
    found, others = cities(), cities()
    prefetch_cached(others, "country")
    assert names(found) == names(others) == ["AT", "New", "New"]


def test_a_transaction_sees_its_own_writes(cities, alias, cost):
    """In a transaction that wrote the related table the database answers; after its rollback the cache is right."""
    names(cities())
    with pytest.raises(ZeroDivisionError), transaction.atomic(using=alias):
        Country.objects.using(alias).update(name="Mine")
        found, others = cities(), cities()
        with cost() as it:
            prefetch_cached(others, "country")
            assert names(found) == names(others) == ["Mine"] * 3
        assert it.queries == 1 + 3
        raise ZeroDivisionError
    for queries in (2, 0):
        # (The update was coarse, so the two countries are loaded once more.)
        with cost() as it:
            assert names(cities()) == ["AT", "IT", "IT"]
        assert it.queries == queries


def test_a_row_that_is_locked_asks_the_database(cities, alias, cost):
    """What `select_for_update()` gives follows as Django does: 1 query for the attribute."""
    names(cities())
    with transaction.atomic(using=alias):
        city = City.cached.using(alias).select_for_update().get(name="Rome")
        with cost() as it:
            assert city.country.name == "IT"
    assert it.queries == 1


def test_a_row_that_is_gone_is_none(cities, alias, cost):
    """A key that leads nowhere: prefetching sets None, as Django's does; an attribute raises, as Django's does."""
    (city, *_) = cities()
    other = City(name="Atlantis", country_id="xx")
    other._state.db = city._state.db
    prefetch_cached([city, other], "country")
    assert city.country.name == "AT"
    assert City.country.field.get_cached_value(other) is None
    with pytest.raises(City.country.RelatedObjectDoesNotExist):
        other.country  # noqa: B018


def test_instances_of_two_databases(cities, alias, cost):
    """Rows of two databases are each given the relations of their own: 1 round trip for each database."""
    elsewhere = next(other for other in ALIASES if other != alias)
    Country.objects.using(elsewhere).create(code="it", name="elsewhere")
    City.objects.using(elsewhere).create(name="Rome", country_id="it")
    try:
        asked = [*cities(), *City.cached.db_manager(elsewhere).all()]
        prefetch_cached(list(asked), "country")
        again = [*cities(), *City.cached.db_manager(elsewhere).all()]
        with cost() as it, assert_redis_round_trips(2):
            prefetch_cached(again, "country")
        assert it.queries == 0
        assert names(again) == ["AT", "IT", "IT", "elsewhere"]
        assert [city.country._state.db for city in again] == [alias] * 3 + [elsewhere]
    finally:
        for model in (City, Country):
            model.objects.using(elsewhere).all().delete()


def test_when_redis_is_away(cities, cost, valkey):
    """Without Redis the database answers: 1 query for a relation that is prefetched, 1 for each attribute."""
    names(cities())
    valkey.kill()
    found, others = cities(), cities()
    with cost() as it:
        assert names(found) == ["AT", "IT", "IT"]
    assert it.queries == 3
    with cost() as it:
        prefetch_cached(others, "country")
    assert it.queries == 1


def test_switched_off(cities, cost, settings):
    """With REDIS_TOOLKIT_ENABLED off nothing is read from the cache, and all is as true."""
    names(cities())
    settings.REDIS_TOOLKIT_ENABLED = False
    with cost() as it:
        assert names(cities()) == ["AT", "IT", "IT"]
    assert it.queries == 1 + 3


def test_tables_without_a_manager_of_ours(term, cost):
    """Teachers have no CacheManager, and are watched because lessons lead to them: they are cached, and exact."""
    prefetch_cached(list(term.cached.order_by("period")), "teacher")
    with cost() as it:
        lessons = list(term.cached.order_by("period"))
        prefetch_cached(lessons, "teacher")
    assert (it.queries, lessons[0].teacher.name) == (0, "t0")
    Teacher.objects.using(term.alias).update(name="new")
    prefetch_cached(again := list(term.cached.all()), "teacher")
    assert {lesson.teacher.name for lesson in again} == {"new"}


def test_every_foreign_key_of_a_model_may_be_followed():
    """`follow=True` is every foreign key of the model, `follow=[…]` those named, and without it none."""
    assert {type(vars(Pet)[name]) for name in ("owner", "keeper", "vet", "guard")} == {FollowedForeignKey}
    assert not isinstance(vars(Lesson)["teacher"], FollowedForeignKey)


@pytest.fixture
def declared() -> Iterator[Any]:
    """A model that follows as it is told, and what checks say of it."""
    with isolate_apps("tests.app"):

        class Hidden(models.Manager):
            def get_queryset(self):
                return super().get_queryset().filter(is_used=True)

        class Target(models.Model):
            is_used = models.BooleanField(default=True)

            objects = Hidden()

            class Meta:
                app_label = "app"
                base_manager_name = "objects"

        class OwnAttribute(models.fields.related_descriptors.ForwardManyToOneDescriptor):
            pass

        class OwnKey(models.ForeignKey):
            forward_related_accessor_class = OwnAttribute

        class SpecialKey(models.ForeignKey):
            def get_extra_descriptor_filter(self, instance):
                return {"text": "x"}

        class Parent(models.Model):
            text = models.TextField()

            class Meta:
                app_label = "app"

        class Source(Parent):
            target = models.ForeignKey(Target, models.CASCADE, related_name="+")
            own = OwnKey(Parent, models.CASCADE, related_name="+")
            special = SpecialKey(Parent, models.CASCADE, related_name="+")
            plain = models.ForeignKey(Parent, models.CASCADE, related_name="+")
            one = models.OneToOneField(Parent, models.CASCADE, related_name="+")

            cached = CacheManager(
                follow=["target", "own", "special", "plain", "one", "text", "nothing", "parent_ptr", "plain_id"]
            )

            class Meta:
                app_label = "app"

        yield Source


def test_what_cannot_be_followed_is_a_check(declared):
    """E050 for no field, no foreign key, a parent's link and an attribute of another class; W050 for a base manager."""
    found = [(each.id, each.msg) for each in declared.cached.check()]
    assert [each for each in found if not each[0].endswith("E004")] == [
        ("redis_toolkit.W050", "follow='target': app.Target has a base manager of its own, so the database is asked."),
        ("redis_toolkit.E050", "follow='own': app.Source.own has an attribute of its own, OwnAttribute."),
        (
            "redis_toolkit.E050",
            "follow='special': app.Source.special is a SpecialKey, which may refer to rows in a way of its own.",
        ),
        ("redis_toolkit.E050", "follow='text': app.Source.text is no foreign key or one-to-one field."),
        ("redis_toolkit.E050", "follow='nothing': app.Source.nothing is no foreign key or one-to-one field."),
        (
            "redis_toolkit.E050",
            "follow='parent_ptr': app.Source.parent_ptr links to a parent, whose row is made of the child's.",
        ),
        ("redis_toolkit.E050", "follow='plain_id': app.Source.plain_id is no foreign key or one-to-one field."),
    ]


def test_what_cannot_be_followed_is_left_as_it_is(declared):
    """Installing follows what can be followed, and touches nothing else."""
    install([declared])
    ours = {name for name, value in vars(declared).items() if type(value).__module__ == FollowedForeignKey.__module__}
    assert ours == {"target", "plain", "one"}


def test_the_test_models_have_no_findings():
    """`manage.py check` has nothing to say of what the tests' models follow."""
    call_command("check", "app", fail_level="ERROR")
