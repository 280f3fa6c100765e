"""Answers that are asked for before a write and after it, of the cache and of the database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import pytest
from django.apps import apps
from django.db import connections, transaction
from django.db.models import QuerySet

from redis_toolkit.cache import CachedQuerySet, debts
from redis_toolkit.core.connections import link
from redis_toolkit.models import Outbox
from redis_toolkit.signals import cache_failed, cache_read
from tests.battery import plain
from tests.school import ALIASES

#: A model, and what is asked of its manager.
Asked = tuple[Any, Callable[[Any], Any]]


class Warm:
    """Questions on one database, all of whose answers are in the cache."""

    def __init__(self, alias: str, questions: Mapping[str, Asked]) -> None:
        self.alias = alias
        self._questions = questions
        self._outcomes: list[str] = []
        cache_read.connect(self._heard)
        cache_failed.connect(self._heard)
        self.ask()
        assert [name for name, (answer, is_hit) in self.ask().items() if is_hit is isinstance(answer, type)] == []

    def _heard(self, outcome: str = "failed", **_: Any) -> None:
        self._outcomes.append(outcome)

    def ask(self) -> dict[str, tuple[Any, bool]]:
        """Every answer that the cache gives, and whether the database was not asked for it."""
        answers = {}
        for name, (model, ask) in self._questions.items():
            self._outcomes.clear()
            answer = plain(ask(cached(model, self.alias)))
            answers[name] = answer, set(self._outcomes) == {"hit"}
            assert "failed" not in self._outcomes
        return answers

    def look(self) -> set[str]:
        """Ask everything, see that each answer is the database's, and tell which came from the cache."""
        answers = self.ask()
        for name, (model, ask) in self._questions.items():
            truth = plain(ask(QuerySet(model=model, using=self.alias)))
            assert answers[name][0] == truth, f"{name}: cached {answers[name][0]!r}, in the database {truth!r}"
        # What was a miss is stored now, and as it should be; an error (told by its class) is never stored.
        assert self.ask() == {name: (answer, not isinstance(answer, type)) for name, (answer, _) in answers.items()}
        return {name for name, (_, is_hit) in answers.items() if is_hit}

    def keeps(self, names: set[str], write: Callable[[], Any]) -> None:
        """Write: no answer is stale then, all are stored again, and just these are hits all the while."""
        write()
        kept = self.look()
        wrong = [f"kept: {name}" for name in sorted(kept - names)] + [f"ended: {name}" for name in sorted(names - kept)]
        assert wrong == []


def cached(model: Any, alias: str) -> Any:
    """What asks the cache for rows of ``model``."""
    manager = getattr(model, "cached", None)
    return CachedQuerySet(model=model, using=alias) if manager is None else manager.db_manager(alias)


def wipe(alias: str) -> None:
    """Empty every table of these tests."""
    with transaction.atomic(using=alias):
        models: Iterable[Any] = apps.get_app_config("app").get_models(include_auto_created=True)
        # The last first: where the database itself looks after what hangs on a row, it cannot be put off.
        for model in reversed(list(models)):
            if model._meta.managed and model._meta.can_migrate(connections[alias]):
                QuerySet(model=model, using=alias)._raw_delete(alias)


@pytest.fixture
def _django_db_helper() -> None:
    """In the place of pytest-django's own, which flushes every table after each test: ``warm`` tidies up itself."""


@pytest.fixture
def warm(alias: str, django_db_setup: None, django_db_blocker: Any) -> Iterator[Callable[..., Warm]]:
    """Makes a :class:`Warm` of questions on one database, which is empty at the beginning."""
    with django_db_blocker.unblock():
        # What was owed since the databases were made, before there was a server: no look is to find it amid the test.
        debts.pay(link())
        for each in ALIASES:
            Outbox.objects.using(each).all().delete()
        yield lambda questions, using=alias: Warm(using, questions)
        wipe(alias)


@pytest.fixture
def elsewhere(alias: str, warm: Any) -> Iterator[str]:
    """The other database, empty as well."""
    other = "postgres" if alias == "default" else "default"
    yield other
    wipe(other)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """By this mark pytest-django knows that both databases are needed."""
    for item in items:
        if "warm" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.django_db(databases="__all__"))
