"""Write-behind: what is added is in the database exactly once, whoever is killed, and is read exactly once meanwhile."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction

from redis_toolkit.cache import WriteBehind
from redis_toolkit.cache.behind import counters, ledger
from redis_toolkit.testing import ValkeyServer
from tests import servers
from tests.app.models import Page
from tests.concurrency.flushers import PAGES, POINTS, Nursery, added
from tests.school import ALIASES

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


@pytest.fixture(autouse=True)
def undeclared(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test declares is gone after it."""
    monkeypatch.setattr(counters, "_declared", {})


@pytest.fixture
def valkey(settings: Any) -> Iterator[ValkeyServer]:
    """A server of this test's own that keeps an append-only file, as one that counts should."""
    with servers.new_valkey(config={"appendonly": True}) as server:
        settings.CACHES = {**settings.CACHES, "default": {**settings.CACHES["default"], "LOCATION": server.url}}
        yield server


@pytest.fixture(params=ALIASES)
def alias(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def views(alias: str) -> WriteBehind:
    return WriteBehind(Page, "views", using=alias)


@pytest.fixture
def nursery(alias: str, valkey: ValkeyServer, django_environment: dict[str, str]) -> Iterator[Nursery]:
    made = Nursery(django_environment, alias)
    yield made
    made.close()


def finish(views: WriteBehind, alias: str) -> None:
    """Flush all there is."""
    # PostgreSQL may take a moment to notice that somebody who had the lock is dead.
    with transaction.atomic(using=alias):
        ledger.lock(alias, views._counter.keys().ledger, wait=True)
    flushed = views.flush()
    assert (flushed.kept, flushed.failed, flushed.absent, flushed.refused) == (False, False, 0, 0)


def held(alias: str) -> Counter[int]:
    """What the database has."""
    return Counter(dict(Page.objects.using(alias).values_list("pk", "views")))


def test_a_hundred_thousand_increments_and_ten_dead_flushers(alias, views, valkey, nursery):
    """4 processes add 100,000 while 10 flushers are killed (-9), one at each step and 4 anywhere, and Redis twice: 100,000."""
    Page.objects.using(alias).bulk_create(Page(pk=at) for at in range(1, PAGES + 1))
    deaths = [*({"point": point} for point in POINTS), *[{}] * 4]
    expected: Counter[int] = Counter()
    for portion, death in enumerate(deaths):
        for adder in range(4):
            nursery.order(adder=adder, portion=portion, increments=2500)
        nursery.order(**death)
        waits_for, flushes = {"added 0", "added 1", "added 2", "added 3", "ended"}, 0
        while waits_for:
            heard = nursery.hear()
            flushes += "flushing" in heard
            if "flushing" in heard and not death and flushes == portion - len(POINTS) + 1:
                os.kill(heard["flushing"], signal.SIGKILL)
            if "ended" in heard:
                assert heard["code"] == -signal.SIGKILL
            waits_for -= {f"added {heard['added']}" if "added" in heard else next(iter(heard))}
        expected += sum((each for adder in range(4) for each in added(adder, portion, 2500)), Counter())
        if death.get("point") in {"written", "committed"}:
            valkey.kill()
            valkey.start()
        # Nobody adds or flushes now, and who died has left something behind.
        assert Counter(views.values(expected)) == expected
    assert expected.total() == 100_000
    finish(views, alias)
    assert held(alias) == expected
    assert views.values([1, 2]) == {1: expected[1], 2: expected[2]}
