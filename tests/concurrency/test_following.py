"""A reader follows a foreign key, and has the row but has not stored it yet, when a writer comes by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction

from redis_toolkit.cache import prefetch_cached
from tests.app.models import City, Country
from tests.concurrency.actors import Actor, Stage
from tests.concurrency.timetable import PG

pytestmark = pytest.mark.django_db(transaction=True, databases=["postgres"])


def attribute() -> str:
    """The country of the city by its attribute."""
    return City.cached.db_manager(PG).get(pk=1).country.name


def prefetched() -> str:
    """The country of the city, fetched for a list of one."""
    cities = [City.cached.db_manager(PG).get(pk=1)]
    prefetch_cached(cities, "country")
    name: str = cities[0].country.name
    return name


@pytest.fixture(autouse=True)
def italy() -> Country:
    """A country, and a city that refers to it by its code."""
    country = Country.objects.using(PG).create(pk=1, code="it", name="old")
    City.objects.using(PG).create(pk=1, name="Rome", country_id="it")
    return country


def rename(country: Country) -> None:
    country.name = "new"
    country.save(using=PG)


def take_the_code(country: Country) -> None:
    """Another country has the code from now on; the row that had it is not written again."""
    with transaction.atomic(using=PG):
        Country.objects.using(PG).filter(pk=country.pk).update(code="old")
        Country.objects.using(PG).create(pk=2, code="it", name="new")


@pytest.mark.parametrize(("rule", "shown"), [(None, "new"), ("stamps_first", "old")])
@pytest.mark.parametrize("write", [rename, take_the_code])
@pytest.mark.parametrize("read", [attribute, prefetched])
def test_the_follower_stores_after_the_unmark(
    stage: Stage, without: Any, italy: Country, read: Callable[[], str], write: Any, rule: str | None, shown: str
) -> None:
    """1. a reader follows to the old row  2. a writer comes and goes  3. the reader stores: the next one sees the new."""
    without(rule)

    def part(actor: Actor) -> str:
        with actor.pausing_after("SELECT", "app_country", "selected", PG):
            return read()

    reader = stage.actor(part)
    reader.to("selected")
    write(italy)
    assert reader.end() == "old"
    assert read() == shown
