"""Answers that a process keeps while Redis is away, and what it writes itself meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter
from typing import Any

import pytest
from django.db import connections

from redis_toolkit.cache import outages, trust
from redis_toolkit.cache.freshness import Terms
from redis_toolkit.cache.gate import crowd
from redis_toolkit.core.connections import link
from tests.concurrency.actors import PATIENCE, Actor, Stage
from tests.concurrency.timetable import PG, Timetable

pytestmark = pytest.mark.django_db(transaction=True, databases=["postgres"])


class Keeping(Timetable):
    """A timetable whose cached manager keeps answers."""

    @property
    def cached(self) -> Any:
        manager = super().cached
        manager.terms = Terms(outage=60.0)
        return manager


@pytest.fixture
def keeping(settings: Any) -> Iterator[Keeping]:
    """Redis is away for the whole play."""
    settings.REDIS_TOOLKIT_BREAKER_RETRY = 600.0
    outages.forget()
    made = Keeping(PG)
    link().breaker.failed(timed_out=True)
    yield made
    link().breaker.close()
    trust.forget()


@pytest.mark.parametrize(("rule", "seen"), [(True, "new"), (False, "old")])
def test_a_slow_reader_keeps_what_a_writer_has_ended(
    keeping: Keeping, stage: Stage, monkeypatch: pytest.MonkeyPatch, rule: bool, seen: str
) -> None:
    """1. a reader loads the old row  2. a writer of this process commits  3. the reader keeps it: it is given to nobody.

    Kept under the state that the tables have at the end of the load, it would be.
    """
    if not rule:
        monkeypatch.setattr(outages, "seen", lambda tables: (None,) * len(tables))

    def part(actor: Actor) -> list[str]:
        with actor.pausing_after("SELECT", "app_lesson", "selected", PG):
            return keeping.group(1)

    reader = stage.actor(part)
    reader.to("selected")
    keeping.change(title="new")
    assert reader.end() == ["old"]
    assert keeping.group(1) == [seen]


def test_a_reader_that_waited_takes_what_another_kept(keeping: Keeping, stage: Stage, settings: Any) -> None:
    """1. A loads  2. B asks the same and queues at the gate  3. A keeps it: B takes that, and asks the database nothing."""
    settings.REDIS_TOOLKIT_LOADS = 1
    settings.REDIS_TOOLKIT_LOADS_WAIT = PATIENCE * 3
    # Who has waited so long for A's load queues to load by himself.
    settings.REDIS_TOOLKIT_FLIGHT_WAIT = 0.05
    asked: list[str] = []

    def first(actor: Actor) -> list[str]:
        with actor.pausing_after("SELECT", "app_lesson", "selected", PG):
            return keeping.group(1)

    def second(actor: Actor) -> list[str]:
        def count(execute: Any, sql: Any, *rest: Any) -> Any:
            asked.append(sql)
            return execute(sql, *rest)

        with connections[PG].execute_wrapper(count):
            return keeping.group(1)

    one, two = stage.actor(first), stage.actor(second)
    one.to("selected")
    two.go()
    deadline = perf_counter() + PATIENCE
    while crowd() != (1, 1):
        assert perf_counter() < deadline, "nobody waits"
    assert one.end() == ["old"]
    assert two.ends() == ["old"]
    assert asked == []
