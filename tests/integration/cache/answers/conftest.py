"""A school made once for each module of these tests, and the comparisons they make."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections

from tests.listening import outcomes_heard
from tests.portraits import outcome, same
from tests.school import ALIASES, School, fill


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """By this mark pytest-django knows that both databases are needed."""
    for item in items:
        if "school" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.django_db(databases="__all__"))


@pytest.fixture(autouse=True)
def watched() -> Iterator[None]:
    """Somebody listens to every read: what is found out for them must not change an answer."""
    with outcomes_heard():
        yield


@pytest.fixture
def _django_db_helper(school: School) -> None:
    """In the place of pytest-django's own: these tests read, or write rows of their own, so none is flushed after."""


@pytest.fixture(scope="module", params=ALIASES)
def school(
    request: pytest.FixtureRequest, django_db_setup: None, django_db_blocker: Any, shared_redis: Any
) -> Iterator[School]:
    """The school on one database."""
    with django_db_blocker.unblock():
        yield fill(request.param)
        call_command("flush", database=request.param, interactive=False, verbosity=0)
        for alias in ALIASES:
            connections[alias].close()


@pytest.fixture
def agrees(school: School, cost: Any) -> Callable[..., None]:
    """``agrees(ask)``: the cached answer is Django's, on the miss and on the hit; and the hit asks no database."""

    def check(ask: Callable[[School], Any], *, compiles: bool = False, asks: bool = True) -> None:
        ours = school.as_cached()
        wanted = outcome(ask, school)
        with cost() as first:
            assert same(wanted, miss := outcome(ask, ours)), (wanted, miss)
        with cost() as second:
            assert same(wanted, hit := outcome(ask, ours)), (wanted, hit)
        assert first.failures == second.failures == []
        assert second.sql == []
        assert {end for _, end in first.outcomes} - {"hit"} == ({"miss"} if asks else set())
        assert {end for _, end in second.outcomes} == ({"hit"} if asks else set())
        assert (second.compilations > 0) is compiles

    return check


@pytest.fixture
def bypasses(school: School, cost: Any) -> Callable[..., None]:
    """``bypasses(ask)``: the database answers each time, as it would answer Django, and nothing is stored."""

    def check(ask: Callable[[School], Any], redis_client: Any) -> None:
        ours = school.as_cached()
        wanted = outcome(ask, school)
        costs = []
        for _ in range(2):
            with cost() as it:
                assert same(wanted, found := outcome(ask, ours)), (wanted, found)
            costs.append(it)
        assert costs[0].queries == costs[1].queries > 0
        assert {end for it in costs for _, end in it.outcomes} <= {"bypass"}
        assert redis_client.keys("rt:[qrf]:*") == []

    return check
