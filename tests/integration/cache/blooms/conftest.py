"""Tables with filters, emptied before and after each test, on each database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db.models import Model

from redis_toolkit.cache import debts
from redis_toolkit.cache.building import build, status_of
from redis_toolkit.core.connections import link
from redis_toolkit.models import Outbox
from tests.app.models import Coupon, Parcel, Pass, SeasonPass


@pytest.fixture
def doors(alias: str, django_db_setup: None, django_db_blocker: Any) -> Iterator[str]:
    """The alias of a database whose tables with filters are empty, as the outbox is."""

    def clear() -> None:
        debts.pay(link())
        for model in (SeasonPass, Pass, Parcel, Coupon):
            model.objects.using(alias).all().delete()
        Outbox.objects.using(alias).all().delete()

    with django_db_blocker.unblock():
        clear()
        yield alias
        clear()


@pytest.fixture
def built(doors: str) -> Callable[[type[Model]], None]:
    """Builds the filter of a model, and sees that it answers."""

    def make(model: type[Model]) -> None:
        assert build(model, doors).outcome == "built"
        assert status_of(model, doors).state == "complete"

    return make


@pytest.fixture
def asked(doors: str, cost: Any) -> Callable[..., tuple[bool, str]]:
    """Whether ``get`` finds a row, and how the answer was come by."""

    def ask(model: Any, **wanted: Any) -> tuple[bool, str]:
        with cost() as it:
            try:
                model.cached.db_manager(doors).get(**wanted)
                found = True
            except model.DoesNotExist:
                found = False
        ((_, outcome),) = it.outcomes
        assert it.queries == int(outcome in {"miss", "bypass"})
        assert it.failures == []
        return found, outcome

    return ask
