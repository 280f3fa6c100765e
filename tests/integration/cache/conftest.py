"""Counters of what a read costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.db import connections
from django.db.models.sql.compiler import SQLCompiler
from django.test.utils import CaptureQueriesContext

from redis_toolkit.cache import debts, flights, invalidate, looks, outbox
from redis_toolkit.core.connections import link
from redis_toolkit.models import Outbox
from redis_toolkit.signals import cache_failed, cache_read
from tests.app.models import Lesson
from tests.integration.cache.term import Term
from tests.school import ALIASES


@dataclass
class Cost:
    """What a block of code asked: SQL statements, compilations of SQL, and how cached reads ended."""

    queries: int = 0
    sql: list[str] = field(default_factory=list)
    compilations: int = 0
    outcomes: list[tuple[str, str]] = field(default_factory=list)
    failures: list[tuple[str, str]] = field(default_factory=list)


@pytest.fixture(autouse=True)
def unclaimed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No load is claimed here: round trips are counted, and how long a query takes must not decide how many there are."""
    monkeypatch.setattr(flights, "_WORTH", float("inf"))


@pytest.fixture
def cost(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    """Counters of what a block asks: ``with`` this called ``as it``, then look at it."""
    compiled: list[str] = []
    own = SQLCompiler.as_sql

    def counting(compiler: SQLCompiler, *args: Any, **kwargs: Any) -> Any:
        compiled.append(type(compiler).__name__)
        return own(compiler, *args, **kwargs)

    monkeypatch.setattr(SQLCompiler, "as_sql", counting)

    @contextmanager
    def counted() -> Iterator[Cost]:
        it = Cost()
        compiled.clear()

        def read(kind: str, outcome: str, **_: Any) -> None:
            it.outcomes.append((kind, outcome))

        def failed(during: str, error: Exception, **_: Any) -> None:
            it.failures.append((during, str(error)))

        cache_read.connect(read)
        cache_failed.connect(failed)
        captures = [CaptureQueriesContext(connections[alias]) for alias in ALIASES]
        try:
            with ExitStack() as stack:
                for capture in captures:
                    stack.enter_context(capture)
                yield it
        finally:
            cache_read.disconnect(read)
            cache_failed.disconnect(failed)
            it.sql = [query["sql"] for capture in captures for query in capture.captured_queries]
            it.queries = len(it.sql)
            it.compilations = len(compiled)

    return counted


@pytest.fixture(params=ALIASES)
def alias(request: pytest.FixtureRequest) -> str:
    """Each database."""
    name: str = request.param
    return name


@pytest.fixture
def _django_db_helper(request: pytest.FixtureRequest) -> None:
    """pytest-django's own, which flushes every table, for tests without a fixture that tidies up itself."""
    if {"doors", "term", "empty_outboxes"}.isdisjoint(request.fixturenames):
        request.getfixturevalue("_django_db_helper")


@pytest.fixture
def term(alias: str, django_db_setup: None, django_db_blocker: Any) -> Iterator[Term]:
    """Ten lessons on each database, and a server that knows the scripts."""
    with django_db_blocker.unblock():
        invalidate(Lesson, using=alias)
        # What was owed since the databases were made, before there was a server.
        debts.pay(link())
        Outbox.objects.using(alias).all().delete()
        made = Term(alias)
        yield made
        made.clear()


@pytest.fixture
def empty_outboxes(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """No rows in any outbox, before the test and after it, and a process that knows of none.

    Without pytest-django's own fixture, so that a test may add databases, and others may see what it commits.
    """

    def empty() -> None:
        for alias in ALIASES:
            Outbox.objects.using(alias).all().delete()
        outbox.forget()
        looks.forget()

    with django_db_blocker.unblock():
        debts.pay(link())
        empty()
        yield
        empty()


@pytest.fixture
def ended(cost: Callable[[], Any]) -> Callable[[dict[str, Callable[[], Any]]], set[str]]:
    """Tells which of several answers, by name, the cache does not give any more; each is then stored again."""

    def look(answers: dict[str, Callable[[], Any]]) -> set[str]:
        found = set()
        for name, ask in answers.items():
            with cost() as it:
                ask()
            ((_, outcome),) = it.outcomes
            assert it.failures == []
            assert outcome in {"hit", "miss"}
            if outcome == "miss":
                found.add(name)
        return found

    return look
