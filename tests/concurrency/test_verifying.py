"""``redis_verify`` looks at an entry while writers come by: what they change is never taken for wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest
from django.db import connections, transaction

from redis_toolkit.cache import transactions
from redis_toolkit.cache.verification import Inventory, Outcome, Verifier
from redis_toolkit.core.connections import link
from redis_toolkit.exceptions import StoreUnavailable
from redis_toolkit.models import Outbox
from tests.concurrency.actors import Actor, Stage
from tests.concurrency.test_readers import READS, slow_reader
from tests.concurrency.timetable import PG, Timetable

pytestmark = pytest.mark.django_db(transaction=True, databases=["postgres"])


@pytest.fixture(autouse=True)
def _every_question_is_written_down(settings: Any) -> None:
    settings.REDIS_TOOLKIT_VERIFY_SAMPLE = 1


def outcomes() -> Counter[Outcome]:
    """What a look at every entry gives."""
    verifier = Verifier(link(), [PG])
    return Counter(verifier.look(key).outcome for key in list(Inventory(link(), (), ())))


def verifier(stage: Stage, *places: str) -> Actor:
    """Looks at the one entry there is, and stops at ``before`` or ``after`` it asks the database, each time it does."""

    def part(actor: Actor) -> Outcome:
        def stopping(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            if '"app_lesson"' not in sql:
                return execute(sql, params, many, context)
            if "before" in places:
                actor.pause("before")
            result = execute(sql, params, many, context)
            if "after" in places:
                actor.pause("after")
            return result

        (key,) = Inventory(link(), (), ())
        with ExitStack() as stack:
            stack.enter_context(connections[PG].execute_wrapper(stopping))
            return Verifier(link(), [PG]).look(key).outcome

    return stage.actor(part)


#: One entry each; the lesson's new title and group change both.
ASKED: dict[str, Callable[[Timetable], Any]] = {
    "row": lambda timetable: timetable.cached.get(pk=1),
    "list": lambda timetable: timetable.group(1),
}


@pytest.fixture(params=list(ASKED.values()), ids=list(ASKED))
def ask(request: pytest.FixtureRequest, timetable: Timetable) -> Callable[[], Any]:
    """Stores one entry, and stores it again."""
    request.param(timetable)
    return lambda: request.param(timetable)


def test_a_writer_between_the_entry_and_the_database(stage: Stage, timetable: Timetable, ask: Any) -> None:
    """1. an entry is read  2. a writer commits and unmarks  3. the database is read: it differs, and nothing is wrong."""
    looking = verifier(stage, "before")
    looking.to("before")
    timetable.change(title="new", group_id=2)
    assert looking.end() is Outcome.CHANGED


def test_a_writer_between_the_entry_and_the_database_who_has_not_unmarked(
    stage: Stage, timetable: Timetable, ask: Any
) -> None:
    """1. an entry is read  2. a writer commits  3. the database is read, and the stamps: they are marked."""
    looking = verifier(stage, "before")
    looking.to("before")
    with transaction.atomic(using=PG):
        # Before the hook that takes the marks off.
        found: list[Outcome] = []
        transaction.on_commit(lambda: found.append(looking.end()), using=PG)
        timetable.change(title="new", group_id=2)
    assert found == [Outcome.CHANGED]


def test_a_writer_and_a_reader_between_the_entry_and_the_database(stage: Stage, timetable: Timetable, ask: Any) -> None:
    """1. an entry is read  2. a writer commits, a reader stores the new answer  3. it is that which is compared."""
    looking = verifier(stage, "before")
    looking.to("before")
    timetable.change(title="new", group_id=2)
    ask()
    looking.to("before")
    assert looking.end() is Outcome.EQUAL


def test_a_writer_after_the_database(stage: Stage, timetable: Timetable, ask: Any) -> None:
    """1. an entry and the database are read: equal  2. a writer commits: what was equal was right."""
    looking = verifier(stage, "after")
    looking.to("after")
    timetable.change(title="new", group_id=2)
    assert looking.end() is Outcome.EQUAL


def test_a_wrong_entry_that_dies_while_looked_at(stage: Stage, timetable: Timetable, ask: Any) -> None:
    """1. a wrong entry and the database are read  2. a writer commits  3. nobody is served it any more: no difference."""
    plant()
    looking = verifier(stage, "after")
    looking.to("after")
    timetable.change(title="new", group_id=2)
    assert looking.end() is Outcome.CHANGED


def test_a_writer_each_time(stage: Stage, timetable: Timetable) -> None:
    """Where a writer and a reader come between at each of four looks the verifier gives up and says so."""
    timetable.cached.get(pk=1)
    looking = verifier(stage, "before")
    for at in range(4):
        looking.to("before")
        timetable.change(title=f"new {at}")
        timetable.cached.get(pk=1)
    assert looking.end() is Outcome.CHANGED


def test_a_wrong_entry(stage: Stage, timetable: Timetable, ask: Any) -> None:
    """With nobody between, a write that nobody saw is found at the first look."""
    plant()
    looking = verifier(stage, "before", "after")
    looking.to("before")
    looking.to("after")
    assert looking.end() is Outcome.DIFFERENT


def plant() -> None:
    """Change the lesson by the driver alone."""
    connections[PG].ensure_connection()
    connections[PG].connection.execute("UPDATE app_lesson SET title = 'planted'")


@pytest.mark.parametrize(("rule", "found"), [(None, 0), ("stamps_first", 10)])
def test_what_a_broken_protocol_leaves(
    stage: Stage, timetable: Timetable, without: Any, rule: str | None, found: int
) -> None:
    """Readers who store after a writer's unmark: with the rule against them none differs, without it each of 10 entries."""
    without(rule)
    # (Eleven questions: a row by its key is one entry, alone and among others.)
    readers = [slow_reader(stage, timetable, read) for read in READS.values()]
    timetable.change(title="new", group_id=2)
    for reader in readers:
        reader.end()
    assert outcomes()[Outcome.DIFFERENT] == found


def test_a_write_that_redis_did_not_hear_of(timetable: Timetable, ask: Any, without: Any) -> None:
    """A write whose stamps lie in the outbox: Redis is told before the entry is judged, so it is not wrong."""

    def refuse(*_: Any) -> None:
        raise StoreUnavailable

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transactions, "mark", refuse)
        patch.setattr(transactions, "unmark", refuse)
        timetable.change(title="new", group_id=2)
    assert Outbox.objects.using(PG).count() > 0
    assert outcomes() == {Outcome.CHANGED: 1}
    assert Outbox.objects.using(PG).count() == 0
