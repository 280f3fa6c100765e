"""Where a write stands: in autocommit, in blocks of every kind, in a request, beside other databases and open cursors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from django.db import DatabaseError, close_old_connections, connections, transaction
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path

from tests.app.models import Trade, Worker
from tests.battery import row

OTHER = {"default": "postgres", "postgres": "default"}


class UndoneError(Exception):
    """Rolls a block back."""


QUESTIONS = {
    "row": (Worker, row(pk=-1)),
    "number": (Worker, row(number=1)),
    "w1": (Worker, lambda workers: list(workers.filter(name="w1"))),
    "w2": (Worker, lambda workers: list(workers.filter(name="w2").order_by("pk"))),
    "w3": (Worker, lambda workers: workers.filter(name="w3").count()),
    "joined": (Worker, lambda workers: list(workers.select_related("trade").order_by("pk"))),
    "row 2": (Worker, row(pk=-2)),
    "trade": (Trade, row(pk=-1)),
}
#: What stays when worker 1 is called w3: all that was not his, or read all of them.
KEPT = {"w2", "row 2", "trade"}


def fill(alias: str) -> None:
    Trade.objects.using(alias).create(pk=-1, name="t1")
    for at in (1, 2):
        Worker.objects.using(alias).create(pk=-at, name=f"w{at}", number=at, trade_id=-1)


@pytest.fixture
def workers(alias: str, warm: Any) -> str:
    """Two workers."""
    fill(alias)
    return alias


def rename(alias: str, name: str = "w3", key: int = -1) -> None:
    """Worker 1 called otherwise."""
    worker = Worker.objects.using(alias).get(pk=key)
    worker.name = name
    worker.save()


def cached_name(alias: str) -> str:
    name: str = Worker.cached.db_manager(alias).get(pk=-1).name
    return name


# Blocks


@contextmanager
def by_hand(alias: str) -> Iterator[None]:
    """Transactions without autocommit."""
    transaction.set_autocommit(False, using=alias)
    try:
        yield
    finally:
        transaction.rollback(using=alias)
        transaction.set_autocommit(True, using=alias)


def durable(alias: str) -> None:
    with transaction.atomic(using=alias, durable=True):
        rename(alias)


def savepoints(alias: str) -> None:
    """One savepoint is released in one that is rolled back, and one that is released."""
    with transaction.atomic(using=alias):
        with suppress(UndoneError), transaction.atomic(using=alias):
            with transaction.atomic(using=alias):
                rename(alias, "w4")
            raise UndoneError
        with transaction.atomic(using=alias):
            rename(alias)
        assert cached_name(alias) == "w3"


def no_savepoint(alias: str) -> None:
    with transaction.atomic(using=alias), transaction.atomic(using=alias, savepoint=False):
        rename(alias)


def savepoint_by_hand(alias: str) -> None:
    # Its name from Django 6.1 on, and before.
    begin: Any = getattr(transaction, "savepoint_create", None) or transaction.savepoint
    with transaction.atomic(using=alias):
        point = begin(using=alias)
        rename(alias, "w4")
        assert cached_name(alias) == "w4"
        transaction.savepoint_rollback(point, using=alias)
        assert cached_name(alias) == "w1"
        point = begin(using=alias)
        rename(alias)
        transaction.savepoint_commit(point, using=alias)


def commit_by_hand(alias: str) -> None:
    with by_hand(alias):
        rename(alias, "w4")
        assert cached_name(alias) == "w4"
        transaction.rollback(using=alias)
        assert cached_name(alias) == "w1"
        rename(alias)
        transaction.commit(using=alias)


def block_by_hand(alias: str) -> None:
    """Blocks in a transaction of one's own are savepoints: what they wrote ends with it."""
    with by_hand(alias):
        with transaction.atomic(using=alias):
            rename(alias, "w4")
        assert cached_name(alias) == "w4"
        with suppress(UndoneError), transaction.atomic(using=alias):
            rename(alias, "w5")
            raise UndoneError
        assert cached_name(alias) == "w4"
        with transaction.atomic(using=alias):
            rename(alias)
        transaction.commit(using=alias)


def rolled_back_by_hand(alias: str) -> None:
    with by_hand(alias):
        with transaction.atomic(using=alias):
            rename(alias)
        assert cached_name(alias) == "w3"


def beside_another(alias: str) -> None:
    """In a block of the other database this one is in autocommit; what the other rolls back is none of its business."""
    with suppress(UndoneError), transaction.atomic(using=OTHER[alias]):
        rename(alias)
        assert cached_name(alias) == "w3"
        raise UndoneError


def in_both(alias: str) -> None:
    with suppress(UndoneError), transaction.atomic(using=alias), transaction.atomic(using=OTHER[alias]):
        rename(alias)
        raise UndoneError


def broken(alias: str) -> None:
    """A block that goes on after an error which it did not let through."""
    with suppress(DatabaseError), transaction.atomic(using=alias):
        rename(alias)
        with suppress(DatabaseError), transaction.atomic(using=alias):
            Worker.objects.using(alias).create(pk=-1, name="twice", number=9, trade_id=-1)
        rename(alias, "w3", -1)


def closed_between(alias: str) -> None:
    """A connection whose time has come is closed between two writes in autocommit."""
    rename(alias, "w4")
    connections[alias].close_at = 0
    close_old_connections()
    assert connections[alias].connection is None
    rename(alias)


def hook(alias: str) -> None:
    """What a hook of the commit writes."""
    with transaction.atomic(using=alias):
        transaction.on_commit(lambda: rename(alias), using=alias)


BLOCKS: dict[str, tuple[Callable[[str], Any], set[str]]] = {
    "autocommit": (rename, KEPT),
    "atomic, durable": (durable, KEPT),
    "savepoints": (savepoints, KEPT),
    "no savepoint": (no_savepoint, KEPT),
    "savepoints by hand": (savepoint_by_hand, KEPT),
    "no autocommit": (commit_by_hand, KEPT),
    "no autocommit, blocks": (block_by_hand, KEPT),
    "no autocommit, rolled back": (rolled_back_by_hand, KEPT),
    "beside another": (beside_another, {*KEPT, "row"}),
    "in both, rolled back": (in_both, KEPT),
    "after an error": (broken, KEPT),
    "connection closed between": (closed_between, KEPT),
    "in a hook": (hook, KEPT),
}


#: SQLite takes its lock only in blocks of Django's own.
UNLOCKED = (commit_by_hand, block_by_hand, rolled_back_by_hand)


@pytest.mark.parametrize(("write", "keeps"), BLOCKS.values(), ids=BLOCKS)
def test_a_block(workers: str, warm: Any, write: Any, keeps: set[str]) -> None:
    """Reads in the block see its own writes; after it no answer is stale, and those named were hits all the while."""
    if workers == "default" and write in UNLOCKED:
        keeps = {"trade"}
    warm(QUESTIONS).keeps(keeps, lambda: write(workers))


def test_a_connection_that_is_closed_in_a_block(workers: str, warm: Any) -> None:
    """Nobody knows whether the block was committed, so its marks stay: reads ask the database, and are right."""
    asked = warm(QUESTIONS)
    with suppress(DatabaseError), transaction.atomic(using=workers):
        rename(workers)
        connections[workers].close()
    answers = asked.ask()
    assert {name for name, (_, is_hit) in answers.items() if is_hit} == KEPT
    assert [cached_name(workers), Worker.objects.using(workers).get(pk=-1).name] == ["w1", "w1"]
    rename(workers)
    assert [cached_name(workers), Worker.cached.db_manager(workers).filter(name="w3").count()] == ["w3", 1]


@pytest.mark.parametrize("alias", ["default"])
def test_sqlite_without_immediate(workers: str, warm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that cannot be locked have unknown old values: the whole table is ended, and nothing is stale."""
    monkeypatch.setattr(connections[workers], "transaction_mode", None)
    warm(QUESTIONS).keeps({"trade"}, lambda: durable(workers))


# Requests


def save_and_fail(request: HttpRequest, alias: str) -> HttpResponse:
    rename(alias, "lost")
    assert cached_name(alias) == "lost"
    raise UndoneError


def save_and_answer(request: HttpRequest, alias: str) -> HttpResponse:
    rename(alias)
    return HttpResponse(cached_name(alias))


@transaction.non_atomic_requests(using="default")
@transaction.non_atomic_requests(using="postgres")
def save_apart(request: HttpRequest, alias: str) -> HttpResponse:
    rename(alias)
    return HttpResponse(cached_name(alias))


def save_and_refuse(request: HttpRequest, alias: str) -> HttpResponse:
    """A view that answers, and rolls back."""
    rename(alias, "lost")
    answer = HttpResponse(cached_name(alias), status=400)
    transaction.set_rollback(True, using=alias)
    return answer


VIEWS = {
    "fails": (save_and_fail, (500, None), {*KEPT, "w3"}),
    "answers": (save_and_answer, (200, "w3"), KEPT),
    "apart": (save_apart, (200, "w3"), {*KEPT, "row"}),
    "refuses": (save_and_refuse, (400, "lost"), {*KEPT, "w3"}),
}


@pytest.mark.parametrize(("view", "wanted", "keeps"), VIEWS.values(), ids=VIEWS)
def test_atomic_requests(workers: str, warm: Any, settings: Any, view: Any, wanted: Any, keeps: set[str]) -> None:
    """A view in a transaction of its own sees what it wrote; what it leaves behind is what it committed, or nothing."""
    settings.ROOT_URLCONF = (path("<alias>", view),)
    asked = warm(QUESTIONS)

    def call() -> None:
        answer = Client(raise_request_exception=False).get(f"/{workers}")
        assert (answer.status_code, answer.content.decode() if answer.status_code < 500 else None) == wanted

    connections[workers].settings_dict["ATOMIC_REQUESTS"] = True
    try:
        asked.keeps(keeps, call)
    finally:
        connections[workers].settings_dict["ATOMIC_REQUESTS"] = False


# Cursors that are read while others write


def test_rows_are_fetched_while_they_are_written(workers: str, warm: Any) -> None:
    """Whoever goes through ``iterator()`` and saves what comes: no answer is stale, in the middle or at the end."""
    asked = warm(QUESTIONS)
    with transaction.atomic(using=workers):
        for at, worker in enumerate(Worker.objects.using(workers).order_by("-pk").iterator(chunk_size=1)):
            worker.name = f"w{at + 3}"
            worker.save()
            assert Worker.cached.db_manager(workers).get(pk=worker.pk).name == worker.name
    assert asked.look() == {"trade"}


def test_a_cursor_of_the_server_is_open(workers: str, warm: Any) -> None:
    """What a half read cursor still shows is old, and nobody else is given it."""
    asked = warm(QUESTIONS)
    old = iter(Worker.cached.db_manager(workers).order_by("-pk").iterator(chunk_size=1))
    assert next(old).name == "w1"
    if workers == "postgres":
        rename(workers)
    else:
        # SQLite's own connection would write into what the cursor reads.
        with pytest.raises(UndoneError), transaction.atomic(using=workers):
            rename(workers)
            raise UndoneError
    assert cached_name(workers) == Worker.objects.using(workers).get(pk=-1).name
    assert [each.name for each in old] == ["w2"]
    assert asked.look() <= {*KEPT, "row"}
