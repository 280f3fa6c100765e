"""Which aliases speak of the same data."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connections
from django.utils.connection import ConnectionDoesNotExist

from redis_toolkit.cache import tables
from redis_toolkit.cache.answers import source_of
from redis_toolkit.cache.databases import logical_name
from redis_toolkit.cache.reading import Source
from tests.app.models import Lesson


@pytest.fixture(autouse=True)
def aliases() -> Iterator[None]:
    """A replica of `postgres` on another host, and a second alias of `postgres` itself."""
    own = connections.settings["postgres"]
    tables.forget()
    connections.settings["reader"] = {**own, "HOST": "elsewhere"}
    connections.settings["direct"] = dict(own)
    yield
    del connections.settings["reader"], connections.settings["direct"]
    tables.forget()


def test_a_replica_named_by_hand():
    """An alias of the same engine and name elsewhere is not cached unless the lag of replicas is known."""
    assert source_of(Lesson, "reader", {}, "reader") is None


@pytest.mark.parametrize(
    "ask",
    [list, lambda lessons: lessons.count(), lambda lessons: lessons.get(pk=1)],
    ids=["list", "count", "get"],
)
def test_an_alias_that_is_not_there(ask):
    """Whoever names no database hears it from Django."""
    with pytest.raises(ConnectionDoesNotExist, match="The connection 'nowhere' doesn't exist"):
        ask(Lesson.cached.using("nowhere"))


def test_a_replica_whose_lag_is_known(settings):
    """With REPLICA_LAG its answers depend on what is written to the primary."""
    settings.REDIS_TOOLKIT_REPLICA_LAG = 1
    assert source_of(Lesson, "reader", {}, "reader") == Source("reader", "postgres")


def test_two_aliases_of_one_database():
    """Writes by one alias end answers by the other: they have the same stamps."""
    assert source_of(Lesson, "direct", {}, "direct") == Source("direct", "direct")
    assert logical_name("direct") == logical_name("postgres") != logical_name("default")
