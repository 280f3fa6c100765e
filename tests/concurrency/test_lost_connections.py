"""The database goes away in the middle: what may have been committed stays marked, what cannot have been does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.db import IntegrityError, InterfaceError, OperationalError, connections, transaction

from tests.app.models import Lesson
from tests.concurrency.actors import Actor, Stage, blocked
from tests.concurrency.timetable import PG, Timetable

pytestmark = pytest.mark.django_db(transaction=True, databases=["postgres"])

#: The marks of a lesson that moves from group 1 to group 2.
MARKS = 8


@pytest.fixture
def a_commit_that_waits(timetable: Timetable) -> Iterator[None]:
    """Whoever writes a lesson waits, inside COMMIT, for advisory lock 1."""
    timetable.run_sql(
        "CREATE FUNCTION wait_for_one() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NULL; END'"
    )
    timetable.run_sql(
        "CREATE CONSTRAINT TRIGGER waits AFTER UPDATE ON app_lesson DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION wait_for_one()"
    )
    yield
    timetable.run_sql("DROP TRIGGER waits ON app_lesson")
    timetable.run_sql("DROP FUNCTION wait_for_one")


def terminate(timetable: Timetable, actor: Actor) -> None:
    """End the server process behind an actor's connection, and wait until it is gone."""
    timetable.run_sql("SELECT pg_terminate_backend(%s, 5000)", actor.pid)


def test_the_connection_is_lost_before_the_commit(
    stage: Stage, timetable: Timetable, marked: Callable[[], set[str]], marks_run_out: Callable[[], int]
) -> None:
    """1. a writer writes  2. its connection breaks  3. it commits in vain: its 8 marks stay until they run out."""

    def part(actor: Actor) -> int:
        actor.knows_its_server(PG)
        with pytest.raises((OperationalError, InterfaceError)), transaction.atomic(using=PG):
            timetable.change(group_id=2)
            actor.pause("written")
        return timetable.stale()

    timetable.warm()
    writer = stage.actor(part)
    writer.to("written")
    terminate(timetable, writer)
    assert writer.end() == 0
    assert [len(marked()), timetable.stale()] == [MARKS, 0]
    assert marks_run_out() == MARKS
    assert [timetable.stale(), timetable.stale(), timetable.lesson.group_id] == [0, 0, 1]


def test_the_connection_is_lost_in_the_commit(
    stage: Stage, timetable: Timetable, marked: Callable[[], set[str]], marks_run_out: Callable[[], int],
    a_commit_that_waits: None,
) -> None:  # fmt: skip
    """1. a writer commits  2. its connection breaks before the answer: nobody knows, and its 8 marks stay."""

    def part(actor: Actor) -> int:
        actor.knows_its_server(PG)
        with pytest.raises((OperationalError, InterfaceError)):
            timetable.change(group_id=2)
        return timetable.stale()

    timetable.warm()
    timetable.run_sql("SELECT pg_advisory_lock(1)")
    writer = stage.actor(part)
    writer.go()
    while not writer.pid:
        assert timetable.lesson.group_id == 1
    blocked(writer, PG)
    terminate(timetable, writer)
    assert writer.ends() == 0
    timetable.run_sql("SELECT pg_advisory_unlock(1)")
    assert [len(marked()), timetable.stale()] == [MARKS, 0]
    marks_run_out()
    assert [timetable.stale(), timetable.stale()] == [0, 0]


def test_an_autocommitted_insert_loses_its_connection(
    stage: Stage, timetable: Timetable, marked: Callable[[], set[str]]
) -> None:
    """1. an INSERT waits for another of the same key  2. its connection breaks: its marks stay, 0 stale."""

    def part(actor: Actor) -> None:
        actor.knows_its_server(PG)
        with pytest.raises((OperationalError, InterfaceError)):
            timetable.add(2)

    timetable.warm()
    with transaction.atomic(using=PG):
        timetable.add(2)
        ours = marked()
        writer = stage.actor(part)
        writer.go()
        while not writer.pid:
            assert timetable.lesson.group_id == 1
        blocked(writer, PG)
        terminate(timetable, writer)
        writer.ends()
    assert marked() == ours
    assert [timetable.stale(), timetable.stale()] == [0, 0]


def test_a_commit_that_fails(timetable: Timetable, marked: Callable[[], set[str]]) -> None:
    """A constraint checked at COMMIT fails it: 0 stale, and the marks come off, for it was certainly rolled back."""
    timetable.warm()
    with pytest.raises(IntegrityError), transaction.atomic(using=PG):
        timetable.change(group_id=999)
    assert [timetable.stale(), timetable.stale(), len(marked())] == [0, 0, 0]
    with pytest.raises(IntegrityError):
        timetable.change(group_id=999)
    assert [timetable.stale(), timetable.stale(), len(marked())] == [0, 0, 0]
    with pytest.raises(IntegrityError):
        Lesson.objects.using(PG).filter(weekday=1).update(group=999)
    assert [timetable.stale(), timetable.stale(), len(marked())] == [0, 0, 0]


def test_a_connection_that_is_closed_in_a_transaction(timetable: Timetable, marked: Callable[[], set[str]]) -> None:
    """Closing the connection inside the block leaves the marks, and the next transaction begins with none of them."""
    timetable.warm()
    with pytest.raises(OperationalError), transaction.atomic(using=PG):
        timetable.change(group_id=2)
        connections[PG].close()
        timetable.change(group_id=3)
    assert [timetable.stale(), len(marked())] == [0, MARKS]
    with transaction.atomic(using=PG):
        assert timetable.stale() == 0
        timetable.change(title="new")
    assert [timetable.stale(), timetable.stale(), timetable.lesson.group_id] == [0, 0, 1]


def test_a_statement_that_the_server_cancels(stage: Stage, timetable: Timetable) -> None:
    """A lock time-out in the locked read reaches the caller as the UPDATE's own would, and 0 answers are stale."""

    def part(actor: Actor) -> int:
        timetable.run_sql("SET lock_timeout = 50")
        with pytest.raises(OperationalError):
            timetable.change(group_id=3)
        return timetable.stale()

    timetable.warm()
    with transaction.atomic(using=PG):
        timetable.change(group_id=2)
        assert stage.actor(part).end() == 0
    assert [timetable.stale(), timetable.stale(), timetable.lesson.group_id] == [0, 0, 2]
