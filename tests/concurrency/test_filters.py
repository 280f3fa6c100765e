"""Rows come while a filter answers, while one is built, and while somebody dies; none is ever hidden."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest
from django.db import connections, transaction

from redis_toolkit.cache import debts, looks, transactions
from redis_toolkit.cache.building import build, status_of, why_due
from redis_toolkit.core.clock import travel
from redis_toolkit.core.connections import link
from redis_toolkit.exceptions import StoreUnavailable
from redis_toolkit.models import Outbox
from redis_toolkit.signals import cache_read
from redis_toolkit.testing import ValkeyServer
from tests.app.models import Parcel, Pass
from tests.concurrency.actors import PATIENCE, Actor, Stage

PG = "postgres"
pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

#: A process that commits a row, says its key, and gets no further.
MORTAL = """
import sys
import django
django.setup()
from django.db import transaction
from redis_toolkit.cache import growth
from tests.app.models import Pass
if sys.argv[1] == "named_first":
    growth.Growth.entering = lambda _: []
def committed():
    print(made.pk, flush=True)
    sys.stdin.read()
with transaction.atomic(using="postgres"):
    transaction.on_commit(committed, using="postgres")
    made = Pass.objects.using("postgres").create()
"""
#: A process that builds a filter, says when it has read a piece, and gets no further.
BUILDER = """
import sys
import django
django.setup()
from redis_toolkit.cache.building import build
from tests.app.models import Pass
def said(done, total):
    print(done, flush=True)
    sys.stdin.read()
build(Pass, "postgres", said)
"""


@pytest.fixture(autouse=True)
def _settled(transactional_db: None) -> None:
    """Nobody owes Redis anything from when the databases were made: that would drop filters."""
    debts.pay(link())
    for alias in ("default", PG):
        Outbox.objects.using(alias).all().delete()
    looks.forget()


def hidden(*keys: int, alias: str = PG) -> int:
    """How many rows a reader does not find, one by one."""
    found = 0
    for key in keys:
        try:
            Pass.cached.db_manager(alias).get(pk=key)
            found += 1
        except Pass.DoesNotExist:
            pass
    return len(keys) - found


#: Keys that nobody has asked for: what was found absent before may be remembered.
_unheard_of = count(10**9)


def rules_out(key: int | None = None) -> bool:
    """Whether the filter answers for a row that is not there.

    Of three one at least: a filter of some hundred rows takes one key in a thousand for a row's, by chance.
    """
    asked = [next(_unheard_of) for _ in range(3)] if key is None else [key]
    outcomes: list[str] = []

    def heard(outcome: str, **_: Any) -> None:
        outcomes.append(outcome)

    cache_read.connect(heard)
    try:
        assert hidden(*asked) == len(asked)
    finally:
        cache_read.disconnect(heard)
    return "absent" in outcomes


@contextmanager
def another(code: str, *args: str, environment: dict[str, str]) -> Iterator[Any]:
    """Another process, which is killed at the end of the block."""
    command = [sys.executable, "-c", code, *args]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGKILL)
            assert process.wait(PATIENCE) == -signal.SIGKILL


def test_a_row_is_committed_and_its_writer_has_not_ended(stage: Stage) -> None:
    """1. a filter answers  2. a row is inserted  3. COMMIT  4. the writer has more to do: 0 hidden, others ruled out."""

    def part(actor: Actor) -> int:
        with actor.pausing_before_unmark("committed", PG):
            return Pass.objects.using(PG).create().pk

    assert build(Pass, PG).outcome == "built"
    writer = stage.actor(part)
    writer.to("committed")
    (key,) = Pass.objects.using(PG).values_list("pk", flat=True)
    assert (hidden(key), rules_out()) == (0, True)
    assert writer.end() == key


def test_a_row_in_autocommit_is_committed_and_its_key_not_named(stage: Stage) -> None:
    """1. an INSERT in autocommit is done, its key not read yet  2. a reader asks for it: 0 hidden, nothing ruled out."""

    def part(actor: Actor) -> int:
        with actor.pausing_after("INSERT", "app_pass", "inserted", PG):
            return Pass.objects.using(PG).create().pk

    assert build(Pass, PG).outcome == "built"
    writer = stage.actor(part)
    writer.to("inserted")
    (key,) = Pass.objects.using(PG).values_list("pk", flat=True)
    assert (hidden(key), rules_out()) == (0, False)
    assert writer.end() == key
    assert (hidden(key), rules_out()) == (0, True)


@pytest.mark.parametrize(("rule", "wrong"), [(None, 0), ("named_first", 1)])
def test_the_writer_of_a_new_row_is_killed_after_its_commit(
    django_environment: dict[str, str], marks_run_out: Callable[[], int], rule: str | None, wrong: int
) -> None:
    """1. a filter answers  2. a writer commits a row  3. it is killed  4. its marks run out: 0 hidden."""
    assert build(Pass, PG).outcome == "built"
    with another(MORTAL, str(rule), environment=django_environment) as writer:
        key = int(writer.stdout.readline())
    assert hidden(key) == wrong
    marks_run_out()
    assert hidden(key) == wrong


@pytest.mark.parametrize(("rule", "wrong"), [(None, 0), ("known_writers", 1)])
def test_a_filter_is_built_while_a_writer_works(
    stage: Stage, django_environment: dict[str, str], without: Any, rule: str | None, wrong: int
) -> None:
    """1. a row is inserted  2. a filter is built, and sees it not  3. COMMIT  4. the writer dies: 0 hidden."""

    def part(actor: Actor) -> int:
        with actor.pausing_before_unmark("committed", PG):
            key = Pass.objects.using(PG).create().pk
            actor.pause("written")
        return key

    without(rule)
    writer = stage.actor(part)
    writer.to("written")
    assert build(Pass, PG).outcome == "built"
    writer.to("committed")
    (key,) = Pass.objects.using(PG).values_list("pk", flat=True)
    # (The dead are as silent as this one.)
    assert (hidden(key), rules_out()) == (wrong, bool(rule))
    assert writer.end() == key
    assert (hidden(key), rules_out()) == (0, True)


def test_what_a_dead_writer_leaves_is_due(django_environment: dict[str, str], settings: Any) -> None:
    """1. a writer that cannot name its rows is killed  2. nothing is ruled out  3. it is due, and built: all is well."""
    code = MORTAL.replace("made = Pass", "from django.db import connections\n    made = Pass").replace(
        ".create()",
        '.create()\n    connections["postgres"].cursor().execute("INSERT INTO app_pass (label) VALUES (1)")',
    )
    assert build(Pass, PG).outcome == "built"
    with another(code, "", environment=django_environment) as writer:
        key = int(writer.stdout.readline())
    keys = list(Pass.objects.using(PG).values_list("pk", flat=True))
    assert (len(keys), key in keys, hidden(*keys), rules_out()) == (2, True, 0, False)
    assert (status_of(Pass, PG).writers, why_due(Pass, PG)) == (1, "")
    # A new filter does not help while the writer may be alive.
    assert (build(Pass, PG).outcome, rules_out()) == ("built", False)
    settings.REDIS_TOOLKIT_MARK_TTL = 1e-6
    assert why_due(Pass, PG) == "a writer never said that it had ended"
    assert (build(Pass, PG).outcome, rules_out(), hidden(*keys)) == ("built", True, 0)


def test_a_builder_is_killed_half_way(django_environment: dict[str, str]) -> None:
    """1. a builder has read a piece  2. it is killed: 0 hidden, nothing ruled out; the next one may take over."""
    keys = [each.pk for each in Pass.objects.using(PG).bulk_create(Pass() for _ in range(1100))]
    with another(BUILDER, environment=django_environment) as builder:
        assert builder.stdout.readline() == "500\n"
        assert build(Pass, PG).outcome == "busy"
    assert status_of(Pass, PG).state == "building"
    assert (hidden(keys[0], keys[600], keys[1099]), rules_out()) == (0, False)
    assert build(Pass, PG).outcome == "busy"
    assert build(Pass, PG, force=True)[:2] == ("built", 1100)
    assert (hidden(keys[1], keys[601], keys[1098]), rules_out()) == (0, True)


def test_a_builder_that_was_taken_over_from_goes_on(stage: Stage) -> None:
    """1. A has read a piece  2. B takes over, and is done  3. A goes on: it finds that it is too late, and begins anew."""

    def part(actor: Actor) -> str:
        paused: list[int] = []

        def progress(done: int, _: int) -> None:
            if not paused:
                paused.append(done)
                actor.pause("half way")

        return build(Pass, PG, progress).outcome

    Pass.objects.using(PG).bulk_create(Pass() for _ in range(600))
    slow = stage.actor(part)
    slow.to("half way")
    assert build(Pass, PG, force=True).outcome == "built"
    assert rules_out()
    assert slow.end() == "built"
    assert rules_out()


def test_rows_that_nobody_names_come_while_a_filter_is_built(stage: Stage) -> None:
    """1. a filter answers, a new one is half built  2. raw SQL adds rows: both go, the builder begins anew: 0 hidden."""
    paused: list[int] = []

    def part(actor: Actor) -> tuple[Any, ...]:
        def progress(done: int, _: int) -> None:
            paused.append(done)
            if len(paused) == 1:
                actor.pause("half way")

        return build(Pass, PG, progress)[:2]

    Pass.objects.using(PG).bulk_create(Pass() for _ in range(600))
    assert build(Pass, PG).outcome == "built"
    builder = stage.actor(part)
    builder.to("half way")
    assert rules_out()
    with connections[PG].cursor() as cursor:
        cursor.execute("INSERT INTO app_pass (label) SELECT 'x' FROM generate_series(1, 3)")
    keys = list(Pass.objects.using(PG).filter(label="x").values_list("pk", flat=True))
    assert (hidden(*keys), rules_out()) == (0, False)
    assert builder.end() == ("built", 603)
    assert (paused, hidden(*keys), rules_out()) == ([500, 500, 603], 0, True)


def test_rows_behind_the_builder(stage: Stage) -> None:
    """1. a builder has passed key 500  2. rows come behind it, before it, and are given new keys: 0 hidden."""

    def part(actor: Actor) -> str:
        def progress(done: int, _: int) -> None:
            if done == 500:
                actor.pause("half way")

        return build(Parcel, PG, progress).outcome

    rows = Parcel.objects.using(PG)
    rows.bulk_create(Parcel() for _ in range(900))
    builder = stage.actor(part)
    builder.to("half way")
    made = [rows.create().pk for _ in range(20)] + [each.pk for each in rows.bulk_create(Parcel() for _ in range(20))]
    assert builder.end() == "built"
    assert status_of(Parcel, PG).state == "complete"
    assert len(Parcel.cached.db_manager(PG).in_bulk(made)) == 40


@pytest.mark.parametrize(("rule", "wrong"), [(None, 0), ("dropped_filters", 1)])
@pytest.mark.parametrize("alias", ["default", PG])
def test_redis_is_away_for_the_writer_of_a_new_row(alias: str, without: Any, rule: str | None, wrong: int) -> None:
    """1. a filter answers  2. a writer that cannot reach Redis commits a row  3. a reader looks at the outbox: 0 hidden."""

    def refuse(*_: Any) -> None:
        raise StoreUnavailable

    without(rule)
    assert build(Pass, alias).outcome == "built"
    assert hidden(10**9, alias=alias) == 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transactions, "mark", refuse)
        patch.setattr(transactions, "unmark", refuse)
        # Another process, of whose trouble we hear nothing.
        patch.setattr(looks, "expect", lambda: None)
        key = Pass.objects.using(alias).create().pk
    assert Outbox.objects.using(alias).count() == 1
    with travel(2):
        assert hidden(key, alias=alias) == wrong
    assert Outbox.objects.using(alias).count() == 0


@pytest.mark.parametrize(("rule", "wrong"), [(None, 0), ("server_run", 1)])
def test_a_server_with_an_old_file(
    valkey: ValkeyServer, redis_client: Any, without: Any, rule: str | None, wrong: int
) -> None:
    """1. a filter is saved  2. a row is added  3. the server restarts with its file, which does not know: 0 hidden."""
    without(rule)
    link().close()
    assert build(Pass, PG).outcome == "built"
    redis_client.save()
    key = Pass.objects.using(PG).create().pk
    assert rules_out()
    valkey.kill()
    valkey.start()
    link().close()
    with travel(10):
        # A first read learns that it is another run.
        hidden(next(_unheard_of))
    with travel(20):
        assert (hidden(key), rules_out()) == (wrong, bool(rule))
        assert why_due(Pass, PG) == ("" if rule else "the server was another")
        assert build(Pass, PG).outcome == "built"
        assert (hidden(key), rules_out()) == (0, True)


@pytest.mark.parametrize("lost", ["state", "a", "everything"])
def test_keys_are_lost(redis_client: Any, lost: str) -> None:
    """The state, the bits or everything is evicted: nothing is ruled out, before a row comes and after; 0 hidden."""
    assert build(Pass, PG).outcome == "built"
    if lost == "everything":
        redis_client.flushall()
    else:
        assert redis_client.delete(f"rt:b:{{postgres%3Aapp_pass}}:{lost}") == 1
    assert not rules_out()
    key = Pass.objects.using(PG).create().pk
    assert (hidden(key), rules_out(), why_due(Pass, PG)) == (0, False, "there is none")


def test_a_snapshot_sees_a_row_that_is_gone(stage: Stage) -> None:
    """1. a snapshot begins  2. a row is deleted, the filter built anew  3. the snapshot still sees the row: 0 hidden."""
    key = Pass.objects.using(PG).create().pk

    def part(actor: Actor) -> int:
        with transaction.atomic(using=PG):
            connections[PG].cursor().execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            assert Pass.objects.using(PG).count() == 1
            actor.pause("begun")
            return hidden(key)

    reader = stage.actor(part)
    reader.to("begun")
    Pass.objects.using(PG).filter(pk=key).delete()
    assert build(Pass, PG).outcome == "built"
    assert (hidden(key), rules_out(key)) == (1, True)
    assert reader.end() == 0


def _one(alias: str) -> list[int]:
    return [Pass.objects.using(alias).create().pk]


def _block(alias: str) -> list[int]:
    with transaction.atomic(using=alias):
        return [*_one(alias), *_one(alias)]


def _many(alias: str) -> list[int]:
    return [each.pk for each in Pass.objects.using(alias).bulk_create(Pass() for _ in range(7))]


def _raw(alias: str) -> list[int]:
    label = f"raw {random.random()}"
    with connections[alias].cursor() as cursor:
        cursor.execute("INSERT INTO app_pass (label) VALUES (%s)", [label])
    return list(Pass.objects.using(alias).filter(label=label).values_list("pk", flat=True))


@pytest.mark.parametrize("alias", ["default", PG])
def test_writers_readers_and_builders(alias: str) -> None:  # noqa: C901 - three parts
    """3 writers of every kind, 2 readers and a builder: of all rows committed before a read began 0 are hidden."""
    committed: list[int] = []
    wrong: list[int] = []
    done = threading.Event()
    begin = threading.Barrier(6)
    reads = Counter[str]()

    def write(seed: int) -> None:
        dice = random.Random(seed)
        for _ in range(25):
            committed.extend(dice.choices((_one, _block, _many, _raw), (8, 4, 4, 1))[0](alias))

    def read() -> None:
        dice = random.Random(len(committed))
        manager = Pass.cached.db_manager(alias)
        while not done.is_set():
            known = committed[-5:] + dice.choices(committed, k=5) if committed else []
            wrong.extend(key for key in known if hidden(key, alias=alias))
            wrong.extend(set(known) - set(manager.in_bulk(known)))
            reads["done"] += len(known)

    def rebuild() -> None:
        while not done.is_set():
            reads[build(Pass, alias).outcome] += 1

    def play(part: Callable[..., None], *args: int) -> threading.Thread:
        def run() -> None:
            begin.wait()
            try:
                part(*args)
            except BaseException as error:
                wrong.append(repr(error))  # type: ignore[arg-type]
                raise
            finally:
                connections.close_all()

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    assert build(Pass, alias).outcome == "built"
    writers = [play(write, seed) for seed in range(3)]
    others = [play(read), play(read), play(rebuild)]
    for writer in writers:
        writer.join()
    done.set()
    for other in others:
        other.join()
    assert wrong == []
    assert min(reads["done"], reads["built"]) > 0
    assert build(Pass, alias).outcome == "built"
    assert len(Pass.cached.db_manager(alias).in_bulk(committed)) == len(committed)


def test_ten_thousand_absent_ids(stage: Stage) -> None:
    """Of 10,000 made-up ids at most 150 ask the database, while rows are inserted one after the other: 0 hidden."""
    outcomes = Counter[str]()
    made = Pass.objects.using(PG).bulk_create(Pass() for _ in range(2000))
    assert build(Pass, PG).outcome == "built"

    def heard(outcome: str, **_: Any) -> None:
        outcomes[outcome] += 1

    dice = random.Random(7)
    cache_read.connect(heard)
    try:
        for at in range(10_000):
            if at % 100 == 0:
                key = Pass.objects.using(PG).create().pk
                assert Pass.cached.db_manager(PG).get(pk=key).pk == key
            with pytest.raises(Pass.DoesNotExist):
                Pass.cached.db_manager(PG).get(pk=dice.randrange(made[0].pk + 10**6, 2**40))
    finally:
        cache_read.disconnect(heard)
    assert outcomes.total() == 10_100
    assert 10_000 - outcomes["absent"] <= 150
