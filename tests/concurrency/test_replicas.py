"""A replica of the database that lags: what is read from it may be older than the last commit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connections

from redis_toolkit.cache import tables
from redis_toolkit.models import Outbox
from tests.concurrency.timetable import PG, Timetable

pytestmark = pytest.mark.django_db(transaction=True, databases=["postgres"])

REPLICA = "replica"


class Replica(Timetable):
    """What a replica has: the lessons as they were when it last caught up; here, in a schema of the same server."""

    def __init__(self, primary: Timetable) -> None:
        self.alias = REPLICA
        self.primary = primary
        primary.run_sql("CREATE SCHEMA lagging")
        primary.run_sql("CREATE TABLE lagging.app_lesson AS SELECT * FROM app_lesson")

    def catch_up(self) -> None:
        # By the driver: no process sees a replica catch up.
        with connections[PG].connection.cursor() as cursor:
            cursor.execute("TRUNCATE lagging.app_lesson")
            cursor.execute("INSERT INTO lagging.app_lesson SELECT * FROM public.app_lesson")


@pytest.fixture
def replica(timetable: Timetable) -> Iterator[Replica]:
    """A replica that catches up when it is told to, under an alias of its own."""
    own = connections.settings[PG]
    options = {**own.get("OPTIONS", {}), "options": "-c search_path=lagging"}
    tables.forget()
    # What the first test of a run still owes Redis, from when the databases were made, must not linger below.
    Outbox.objects.using(PG).all().delete()
    assert timetable.group(3) == []
    # Another way to write the same address: the server is one, the aliases are two.
    connections.settings[REPLICA] = {**own, "HOST": f"{own['HOST']}/", "OPTIONS": options}
    # Django lets a test open connections to the databases it knew at its beginning; this one is open.
    connections[REPLICA].connect()
    yield Replica(timetable)
    connections[REPLICA].close()
    del connections[REPLICA], connections.settings[REPLICA]
    tables.forget()
    timetable.run_sql("DROP SCHEMA lagging CASCADE")


@pytest.mark.parametrize(("rule", "stale"), [(None, 0), ("lingering", 1)])
def test_a_replica_that_lags(
    timetable: Timetable,
    replica: Replica,
    marks_run_out: Any,
    settings: Any,
    without: Any,
    rule: str | None,
    stale: int,
) -> None:
    """1. a writer commits  2. a replica that lags is read  3. it catches up  4. the marks run out: 0 stale."""
    without(rule)
    settings.REDIS_TOOLKIT_REPLICA_LAG = 60
    assert [replica.group(1), timetable.group(1)] == [["old"], ["old"]]
    timetable.change(title="new")
    assert replica.group(1) == ["old"]
    replica.catch_up()
    marks_run_out()
    assert int(replica.group(1) != ["new"]) == stale


def test_a_replica_whose_lag_nobody_knows(timetable: Timetable, replica: Replica, redis_client: Any) -> None:
    """Without REPLICA_LAG nothing that a replica says is stored."""
    stored = redis_client.keys("rt:q:*")
    assert [replica.group(1), replica.group(1)] == [["old"], ["old"]]
    assert redis_client.keys("rt:q:*") == stored
    timetable.change(title="new")
    replica.catch_up()
    assert replica.group(1) == ["new"]
