"""What ``redis_verify`` finds: every wrong answer that is served, and no other."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.db import connections, transaction
from django.db.models import Avg, Count, Exists, F, Max, Min, OuterRef, Q, Subquery, Sum, Window
from django.db.models.functions import ExtractMonth, Lower, RowNumber, TruncMonth

from redis_toolkit.cache import cached, tables, transcripts
from redis_toolkit.core import keys
from tests.app.models import Badge, Cafe, Chair, EarlyLesson, Event, Lesson, Place, Room, Student
from tests.integration.cache.term import Term
from tests.integration.cache.verifying import Report, unseen, verify

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

Ask = Callable[[Term], Any]


@pytest.fixture(autouse=True)
def _every_question_is_written_down(settings: Any) -> None:
    settings.REDIS_TOOLKIT_VERIFY_SAMPLE = 1


def first(term: Term) -> Lesson:
    return term.lessons[0]


#: Each is one entry, and the write below changes its answer.
WRONG: dict[str, Ask] = {
    "row by key": lambda t: t.cached.get(pk=first(t).pk),
    "row by text": lambda t: t.cached.get(slug=first(t).slug),
    "row by constraint": lambda t: t.cached.get(teacher=t.teachers[0], weekday=1, period=0),
    "row of a proxy": lambda t: EarlyLesson.cached.db_manager(t.alias).get(pk=first(t).pk),
    "rows by key": lambda t: t.cached.in_bulk([first(t).pk]),
    "list": lambda t: list(t.cached.filter(group=t.groups[0])),
    "list by text": lambda t: list(t.cached.filter(slug=first(t).slug)),
    "get by other columns": lambda t: t.cached.get(title=first(t).title),
    "slice that is not filled": lambda t: list(t.cached.filter(weekday=1)[:3]),
    "ordered list": lambda t: list(t.cached.order_by("pk")),
    "slice of an ordered list": lambda t: list(t.cached.order_by("-pk")[5:]),
    "first of an ordered list": lambda t: t.cached.order_by("slug").first(),
    "list with what it refers to": lambda t: list(t.cached.select_related("group", "room").order_by("pk")[:3]),
    "list of a proxy": lambda t: list(EarlyLesson.cached.using(t.alias).filter(period=0)),
    "values": lambda t: list(t.cached.values("title", "held")),
    "tuples": lambda t: list(t.cached.values_list("title", "group__code")),
    "single values": lambda t: list(t.cached.values_list("title", flat=True)),
    "distinct values": lambda t: list(t.cached.order_by("title").values_list("title", flat=True).distinct()),
    "some columns": lambda t: list(t.cached.only("title")),
    "expressions": lambda t: list(t.cached.annotate(low=Lower("title"), next=F("weekday") + 1).values("low", "next")),
    "months": lambda t: list(t.cached.annotate(month=ExtractMonth("held")).values_list("month")),
    "groups": lambda t: list(t.cached.values("title").annotate(n=Count("pk"), last=Max("held"))),
    "sums of whole numbers": lambda t: list(t.cached.values("group").annotate(n=Sum("weekday"))),
    "subquery": lambda t: list(
        t.cached.annotate(seen=Exists(Lesson.cached.filter(pk=OuterRef("pk"), weekday=1))).values_list("pk", "seen")
    ),
    "union": lambda t: list(t.cached.filter(weekday=1).union(t.cached.filter(weekday=2))),
    "count": lambda t: t.cached.filter(weekday=1).count(),
    "count of a slice": lambda t: t.cached.filter(weekday=1)[:8].count(),
    "count of distinct": lambda t: t.cached.values("held").distinct().count(),
    "exists": lambda t: t.cached.filter(title="Lesson 0").exists(),
    "is not there": lambda t: t.cached.filter(title="planted").exists(),
    "aggregate": lambda t: t.cached.aggregate(Max("title"), days=Sum("weekday"), least=Min("held")),
    "aggregate with a condition": lambda t: t.cached.aggregate(n=Count("pk", filter=Q(weekday=1))),
}  # fmt: skip
WRITE = "UPDATE app_lesson SET title = 'planted', weekday = 5, held = '2026-02-03' WHERE slug = 'lesson-0'"


@pytest.mark.parametrize("name", WRONG)
def test_a_write_that_nobody_saw(term: Term, name: str) -> None:
    """Of each kind of answer 1 of 1 is equal before a write by the driver, and 1 of 1 is reported after it."""
    WRONG[name](term)
    assert verify() == Report(0, [], {"equal": 1}, 0)
    assert unseen(term.alias, WRITE) == 1
    report = verify()
    assert (report.code, report.counts, report.beyond) == (1, {"different": 1}, 0)
    (line,) = report.lines
    model, room = "earlylesson" if "proxy" in name else "lesson", "r" if name.startswith("row") else "q"
    assert line.startswith(f"different: app.{model} rt:{room}:{term.alias}:")


@pytest.mark.parametrize("name", WRONG)
def test_a_write_that_everybody_saw(term: Term, name: str) -> None:
    """The same write by Django leaves nothing that is served and wrong; asked again, all of it is right."""
    WRONG[name](term)
    term.plain(Lesson).filter(slug="lesson-0").update(title="planted", weekday=5, held=datetime.date(2026, 2, 3))
    assert verify().counts == {"not served any more": 1}
    if name not in {"row by constraint", "get by other columns"}:  # these rows are gone
        WRONG[name](term)
        assert verify() == Report(0, [], {"equal": 1}, 0)


#: Each is one answer that the same rows might give otherwise, or that is read by code of the project's own.
NOT_WRITTEN_DOWN: dict[str, Ask] = {
    "slice of rows without an order": lambda t: list(t.cached.all()[:3]),
    "slice of rows that share their order": lambda t: list(t.cached.order_by("weekday")[:3]),
    "slice of rows joined to many": lambda t: list(t.cached.filter(Q(students=None) | Q(students__pk__gte=0)).order_by("pk")[:3]),
    "newest in a subquery": lambda t: list(
        t.cached.annotate(
            other=Subquery(Lesson.cached.filter(group=OuterRef("group")).order_by("weekday").values("title")[:1])
        ).values("other")
    ),
    "window": lambda t: list(t.cached.annotate(n=Window(RowNumber(), order_by="weekday")).values("n")),
    "mean": lambda t: list(t.cached.values("group").annotate(mean=Avg("weekday"))),
    "aggregate of floats": lambda t: t.cached.aggregate(mean=Avg("weekday")),
    "values read in a way of their own": lambda t: list(t.cached.annotate(m=TruncMonth("held")).values_list("m")),
    "part of a document": lambda t: list(t.cached.values("notes__a")),
    "function": lambda t: cached(depends_on=[Lesson], key="many")(lambda: 7)(),
}  # fmt: skip


@pytest.mark.parametrize("name", NOT_WRITTEN_DOWN)
def test_an_answer_that_cannot_be_asked_again(term: Term, name: str) -> None:
    """What may come out otherwise without a write gets no transcript, and is counted instead of compared."""
    NOT_WRITTEN_DOWN[name](term)
    assert verify() == Report(0, [], {}, 1)


def test_no_answer_is_written_down(term: Term, settings: Any, redis_client: Any) -> None:
    """With a share of 0 no transcript is stored, and a list is counted and not compared."""
    settings.REDIS_TOOLKIT_VERIFY_SAMPLE = 0
    list(term.cached.filter(group=term.groups[0]))
    assert redis_client.keys("rt:t:*") == []
    assert verify() == Report(0, [], {}, 1)


def test_a_share_of_the_answers_is_written_down(term: Term, settings: Any, redis_client: Any) -> None:
    """With a share of one half, between 60 and 140 of 200 lists get one."""
    settings.REDIS_TOOLKIT_VERIFY_SAMPLE = 0.5
    for period in range(200):
        list(term.cached.filter(period=period))
    assert 60 < len(redis_client.keys("rt:t:*")) < 140


def test_a_transcript_lives_as_long_as_its_entry(term: Term, redis_client: Any) -> None:
    """Both expire at once, but for what the server takes from one command to the next."""
    list(term.cached.filter(group=term.groups[0]))
    (entry,), (transcript,) = redis_client.keys("rt:q:*"), redis_client.keys("rt:t:*")
    assert 0 <= redis_client.pexpiretime(transcript) - redis_client.pexpiretime(entry) < 100


def test_missing_rows(term: Term) -> None:
    """*No such row* is compared where the key says which: by number, UUID and date it does, by text it does not."""
    missing = (
        lambda: term.cached.get(pk=10**6),
        lambda: term.cached.get(teacher=10**6, weekday=1, period=1),
        lambda: Badge.cached.db_manager(term.alias).get(pk=uuid.UUID(int=7)),
        lambda: Badge.cached.db_manager(term.alias).get(owner_id=10**6),
        lambda: term.cached.get(slug="nobody"),
    )
    for ask in missing:
        with pytest.raises((Lesson.DoesNotExist, Badge.DoesNotExist)):
            ask()
    assert verify() == Report(0, [], {"equal": 4, "not comparable": 1}, 0)
    unseen(
        term.alias,
        "INSERT INTO app_lesson (id, title, slug, group_id, teacher_id, weekday, period, notes)"
        f" VALUES (1000000, 'x', 'nobody', {term.groups[0].pk}, {term.teachers[0].pk}, 1, 99, '{{}}')",
    )
    report = verify()
    assert (report.code, report.counts) == (1, {"different": 1, "equal": 3, "not comparable": 1})
    assert report.lines == [
        "different: app.lesson rt:r:" + term.alias + ":app.lesson:id=1000000:"
        " the row's existence (no such row in the cache, 1 row in the database)"
    ]


def test_children_of_other_tables(term: Term) -> None:
    """A row that lies in two tables is found wrong when either of them is written."""
    cafe = Cafe.objects.using(term.alias).create(name="Florian", stars=5)
    manager: Any = Cafe.cached.db_manager(term.alias)
    try:
        manager.get(pk=cafe.pk)
        list(manager.filter(stars=5))
        Place.cached.db_manager(term.alias).get(pk=cafe.pk)
        assert verify() == Report(0, [], {"equal": 3}, 0)
        unseen(term.alias, "UPDATE app_place SET name = 'Quadri'")
        assert verify().counts == {"different": 3}
        unseen(term.alias, "UPDATE app_place SET name = 'Florian'")
        assert verify().counts == {"equal": 3}
        unseen(term.alias, "UPDATE app_cafe SET stars = 1")
        assert verify().counts == {"different": 2, "equal": 1}
    finally:
        Cafe.objects.using(term.alias).all().delete()


def test_keys_of_two_columns(term: Term, redis_client: Any) -> None:
    """A row with a composite primary key is found by both columns, missing or there, and so is a list of such."""
    Chair.objects.using(term.alias).create(hall=1, number=2)
    manager: Any = Chair.cached.db_manager(term.alias)
    try:
        manager.get(pk=(1, 2))
        manager.get(hall=1, number=2)
        for asked in ({"pk": (1, 3)}, {"hall": 1, "number": 3}):
            with pytest.raises(Chair.DoesNotExist):
                manager.get(**asked)
        list(manager.filter(hall=1))
        list(manager.values_list("pk", "holder"))
        assert len(redis_client.keys("rt:r:*")) == 2
        assert verify() == Report(0, [], {"equal": 6}, 0)
        unseen(term.alias, "UPDATE app_chair SET number = 3")
        assert verify().counts == {"different": 6}
    finally:
        Chair.objects.using(term.alias).all().delete()


def test_values_of_every_kind(term: Term) -> None:
    """Moments, documents, fields with conversions of their own and NULLs are read as the cache has read them."""
    moment = datetime.datetime(2026, 3, 29, 1, 30, tzinfo=datetime.UTC)
    Event.objects.using(term.alias).create(
        name="a", starts=moment, day=moment.date(), lasts=datetime.timedelta(days=-1, microseconds=3), data={"b": [1.5]},
        price="12.50 EUR", words=["x", "y"], amount=Decimal("1.10"), share=0.1,
    )  # fmt: skip
    Event.objects.using(term.alias).create(name="b", data=None)
    manager: Any = Event.cached.db_manager(term.alias)
    try:
        one = manager.get(name="a")
        manager.get(pk=one.pk)
        list(manager.all())
        list(manager.values_list("price", "words", "data", "starts"))
        list(manager.filter(starts=moment, lasts=one.lasts, amount=Decimal("1.1"), day=moment.date(), public=True))
        manager.aggregate(Max("starts"), Max("amount"), Min("share"), Count("lasts"))
        assert verify() == Report(0, [], {"equal": 6}, 0)
        unseen(term.alias, "UPDATE app_event SET amount = amount + 1, price = '13 EUR' WHERE name = 'a'")
        assert verify().counts == {"different": 6}
    finally:
        Event.objects.using(term.alias).all().delete()


def test_relations_fetched_beforehand(term: Term) -> None:
    """The lists that prefetch_related() stores are compared too, each by itself."""
    term.lessons[0].students.set(term.students)
    list(term.cached.filter(group=term.groups[0]).prefetch_related("students", "group", "room"))
    assert verify() == Report(0, [], {"equal": 4}, 0)
    unseen(term.alias, "UPDATE app_student SET name = 'planted'")
    assert verify().counts == {"different": 1, "equal": 3}


def test_compressed_entries(term: Term, settings: Any) -> None:
    """An entry is compared by what it holds, however it is stored."""
    settings.REDIS_TOOLKIT_COMPRESS_ABOVE = 1
    term.grow(30)
    list(term.cached.order_by("pk"))
    term.cached.get(pk=term.lessons[0].pk)
    assert verify() == Report(0, [], {"equal": 2}, 0)
    unseen(term.alias, WRITE)
    assert verify().counts == {"different": 2}


def test_rows_in_another_order(term: Term, redis_client: Any) -> None:
    """The order of rows counts where it was asked for, down to the last row, and nowhere else."""
    list(term.cached.values_list("weekday", "title"))
    list(term.cached.order_by("weekday").values_list("weekday", "title"))
    list(term.cached.order_by("title", "pk").values_list("weekday"))
    assert verify().counts == {"equal": 3}
    # The second last lesson becomes the first by its title, and the last takes its weekday from it: no row is new.
    unseen(term.alias, "UPDATE app_lesson SET title = '0' WHERE slug = 'lesson-9'")
    report = verify()
    assert report.counts == {"different": 3}
    assert [
        line for line in report.lines if ": the order (10 rows in the cache, 10 rows in the database)" in line
    ] != []


def test_entries_that_nobody_can_read(term: Term, redis_client: Any) -> None:
    """A damaged entry is no difference, for readers take it for a miss: it is reported and the exit code stays 0."""
    term.cached.get(pk=term.lessons[0].pk)
    list(term.cached.filter(group=term.groups[0]))
    for key in (*redis_client.keys("rt:r:*"), *redis_client.keys("rt:q:*")):
        value: Any = redis_client.get(key)
        redis_client.set(key, value[:-5])
    report = verify()
    assert (report.code, report.counts) == (0, {"unreadable": 2})
    assert all(line.startswith("unreadable: app.lesson rt:") for line in report.lines)
    for key in (*redis_client.keys("rt:r:*"), *redis_client.keys("rt:q:*")):
        redis_client.set(key, b"what")
    assert verify().counts == {"unreadable": 2}


def test_an_entry_under_the_key_of_another_row(term: Term, redis_client: Any) -> None:
    """A row stored where another belongs is a difference, by number and by text."""
    one, other = term.lessons[:2]
    for lesson in (one, other):
        term.cached.get(pk=lesson.pk)
        term.cached.get(slug=lesson.slug)
    assert verify().counts == {"equal": 4}
    for label in ("id", "slug"):
        by_length = sorted(redis_client.keys(f"rt:r:*:{label}=*"))
        taken, given = (redis_client.get(key) for key in by_length)
        # Under the stamps of the place it lies at, so that a reader would be served.
        stamps = 19 + 9 * taken[18]
        redis_client.set(by_length[0], taken[:stamps] + given[stamps:])
    report = verify()
    assert (report.code, report.counts) == (1, {"different": 2, "equal": 2})
    assert (
        sorted(line.split(": ")[-1] for line in report.lines)[1]
        == "the key (1 row in the cache, not looked for in the database)"
    )


def test_entries_of_other_code(term: Term, redis_client: Any) -> None:
    """Entries with columns that this code does not read alike are not served by it, and not compared."""
    term.cached.get(pk=term.lessons[0].pk)
    list(term.cached.filter(group=term.groups[0]))
    for key in (*redis_client.keys("rt:r:*"), *redis_client.keys("rt:q:*")):
        value: Any = redis_client.get(key)
        redis_client.set(key, value[:2] + b"another!" + value[10:])
    assert verify("--verbosity", "2").counts == {"not comparable": 2}


def test_entries_of_another_run_of_the_server(term: Term, redis_client: Any) -> None:
    """Entries that no reader would be served are not compared."""
    term.cached.get(pk=term.lessons[0].pk)
    (key,) = redis_client.keys("rt:r:*")
    value: Any = redis_client.get(key)
    redis_client.set(key, value[:10] + b"ended..." + value[18:])
    unseen(term.alias, WRITE)
    assert verify() == Report(0, [], {"not served any more": 1}, 0)


def test_a_transcript_that_was_changed_is_not_run(term: Term, redis_client: Any) -> None:
    """With any byte changed nothing in it is done: no statement reaches the database, and it is reported."""
    list(term.cached.filter(group=term.groups[0]))
    (key,) = redis_client.keys("rt:t:*")
    whole: Any = redis_client.get(key)
    planted = whole.replace(b"SELECT ", b"DELETE ")
    assert planted != whole
    for data in (planted, whole[:-1] + b"\xc3", b"", b"." + whole, whole[1:]):
        redis_client.set(key, data)
        report = verify()
        assert (report.code, report.counts) == (0, {"with a forged transcript": 1})
    assert term.plain(Lesson).count() == 10


def test_a_transcript_moved_to_another_answer_is_not_run(term: Term, redis_client: Any) -> None:
    """A transcript speaks for the key it was signed for, so two that are swapped are both forged."""
    list(term.cached.filter(group=term.groups[0]))
    list(term.cached.filter(group=term.groups[1]))
    one, other = redis_client.keys("rt:t:*")
    values: Any = redis_client.mget(one, other)
    redis_client.mset({one: values[1], other: values[0]})
    assert verify().counts == {"with a forged transcript": 2}


def test_another_secret(term: Term, settings: Any) -> None:
    """After a change of SECRET_KEY old transcripts are good while the old key is a fallback, and forged after that."""
    list(term.cached.filter(group=term.groups[0]))
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another", [settings.SECRET_KEY]
    assert verify().counts == {"equal": 1}
    settings.SECRET_KEY_FALLBACKS = []
    assert verify().counts == {"with a forged transcript": 1}


def tenant_of(alias: str) -> str:
    """The name of the current tenant."""
    return tenant_of.current  # type: ignore[attr-defined]


def test_other_tenants_and_other_projects(term: Term, settings: Any) -> None:
    """Entries of another tenant are counted and left alone; those of another prefix are not even seen."""
    settings.REDIS_TOOLKIT_TENANT = f"{__name__}.tenant_of"
    tenant_of.current = "red"  # type: ignore[attr-defined]
    list(term.cached.filter(group=term.groups[0]))
    term.cached.get(pk=term.lessons[0].pk)
    assert verify().counts == {"equal": 2}
    tenant_of.current = "blue"  # type: ignore[attr-defined]
    unseen(term.alias, WRITE)
    assert verify().counts == {"not comparable": 2}
    settings.REDIS_TOOLKIT_PREFIX = "other"
    assert verify() == Report(0, [], {}, 0)


def test_a_writer_at_work(term: Term) -> None:
    """What a writer has marked is not served, so it is not compared."""
    term.cached.get(pk=term.lessons[0].pk)
    with transaction.atomic(using=term.alias):
        term.plain(Lesson).filter(pk=term.lessons[0].pk).update(title="new")
        other = "postgres" if term.alias == "default" else "default"
        assert verify("--database", other) == Report(0, [], {}, 0)
    assert verify().counts == {"not served any more": 1}


def test_dropping_what_is_wrong(term: Term, redis_client: Any) -> None:
    """With --drop nothing built under the stamps of a wrong entry is served any more; the exit code is still 1."""
    term.cached.get(pk=term.lessons[0].pk)
    list(term.cached.filter(group=term.groups[0]))
    Badge.cached.db_manager(term.alias).filter(label="x").count()
    unseen(term.alias, WRITE)
    report = verify("--drop")
    assert (report.code, report.counts) == (1, {"different": 1, "not served any more": 1, "equal": 1})
    assert verify() == Report(0, [], {"not served any more": 2, "equal": 1}, 0)
    assert term.cached.get(pk=term.lessons[0].pk).title == "planted"
    assert verify().counts == {"not served any more": 1, "equal": 2}


def test_old_transcripts_beside_entries_without(term: Term, settings: Any, redis_client: Any) -> None:
    """An entry stored anew without a transcript is still compared by the old one: the key says the same question."""
    ask = lambda: list(term.cached.filter(group=term.groups[0]))  # noqa: E731
    ask()
    term.plain(Lesson).filter(pk=term.lessons[0].pk).update(title="new")
    settings.REDIS_TOOLKIT_VERIFY_SAMPLE = 0
    ask()
    assert verify().counts == {"equal": 1}
    assert len(redis_client.keys("rt:t:*")) == 1


def test_statements_that_the_database_refuses(term: Term) -> None:
    """A question about a column that is no more is not comparable, and the rest is compared."""
    list(Room.objects.using(term.alias).all())
    list(term.cached.filter(group=term.groups[0]))
    list(term.cached.filter(room__code="r0"))
    unseen(term.alias, "ALTER TABLE app_room RENAME COLUMN code TO name")
    try:
        assert verify().counts == {"equal": 1, "not comparable": 1}
    finally:
        unseen(term.alias, "ALTER TABLE app_room RENAME COLUMN name TO code")


def test_inside_a_transaction(term: Term) -> None:
    """A connection that may not see the latest commits proves nothing, so the command refuses."""
    from django.core.management import CommandError

    term.cached.get(pk=term.lessons[0].pk)
    with transaction.atomic(using=term.alias), pytest.raises(CommandError, match="is in a transaction"):
        verify()


def test_no_value_is_printed_unless_asked_for(term: Term) -> None:
    """Columns are named; values are shown with --values, and the SQL, without its values, with --verbosity 2."""
    list(term.cached.filter(slug="lesson-0"))
    unseen(term.alias, "UPDATE app_lesson SET title = 'secret' WHERE slug = 'lesson-0'")
    (line,) = verify().lines
    key = keys.make("q", term.alias, line.split(":")[4])
    assert line == f"different: app.lesson {key}: title (1 row in the cache, 1 row in the database)"
    (line,) = verify("--values").lines
    assert line.endswith("; title: 'Lesson 0' in the cache, 'secret' in the database")
    (line,) = verify("--verbosity", "2").lines
    assert line.endswith('FROM "app_lesson" WHERE "app_lesson"."slug" = %s')


def test_a_student(term: Term) -> None:
    """A model without a cached manager of its own has no rows to compare."""
    assert verify("--model", "app.Student") == Report(0, [], {}, 0)
    assert Student.objects.using(term.alias).count() == 2


def test_a_query_that_holds_what_nobody_thought_of(term: Term, monkeypatch: Any, caplog: Any) -> None:
    """Whatever goes wrong in writing a question down, the caller has his answer, it is cached, and the log tells of it."""

    def surprised(*_: Any, **__: Any) -> Any:
        raise LookupError("nobody thought of this")

    monkeypatch.setattr(transcripts, "_written", surprised)
    with caplog.at_level("INFO", "redis_toolkit.cache"):
        assert len(term.cached.filter(group=term.groups[0])) == 1
        assert term.cached.filter(group=term.groups[0]).count() == 1
        assert term.cached.aggregate(n=Count("pk")) == {"n": 10}
    assert caplog.messages == ["The question of an answer was not written down: nobody thought of this"] * 3
    assert verify() == Report(0, [], {}, 3)


@pytest.mark.parametrize("alias", ["default"])
def test_answers_from_a_replica(term: Term, settings: Any, cost: Any) -> None:
    """What was read from a replica is compared with the primary: by what it is told, that is what is served."""
    settings.REDIS_TOOLKIT_REPLICA_LAG = 1
    tables.forget()
    # SQLite knows no hosts: this is the same file by another name.
    connections.settings["reader"] = {**connections["default"].settings_dict, "HOST": "elsewhere"}
    try:
        replica: Any = Lesson.cached.using("reader")
        assert len(replica.filter(group=term.groups[0])) == 1
        assert Lesson.cached.db_manager("reader").get(pk=first(term).pk).title == "Lesson 0"
        with cost() as it:
            assert verify() == Report(0, [], {"equal": 2}, 0)
        assert it.queries == 2
        unseen("default", WRITE)
        assert verify().counts == {"different": 2}
    finally:
        connections["reader"].close()
        del connections["reader"], connections.settings["reader"]
        tables.forget()
