"""``WriteBehind``: what is gathered, flushed, read back merged, refused."""

from __future__ import annotations

import pytest

from redis_toolkit.cache import Flushed, WriteBehind
from redis_toolkit.cache.behind import counters
from tests.app.models import Page, Visitor

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


@pytest.fixture(autouse=True)
def undeclared(monkeypatch):
    """What a test declares is gone after it."""
    monkeypatch.setattr(counters, "_declared", {})


@pytest.fixture
def views(alias):
    return WriteBehind(Page, "views", using=alias)


@pytest.fixture
def pages(alias):
    return [Page.objects.using(alias).create(views=10) for _ in range(3)]


def test_what_is_added_is_read_at_once_and_flushed_later(alias, views, pages):
    """3 and 1 added to 10: 14 is read, the database has 10 until the flush, which changes 1 row, and then 14."""
    page = pages[0]
    views.add(page.pk, 3)
    views.add(page)
    assert views.values([page.pk, pages[1].pk, 10**6]) == {page.pk: 14, pages[1].pk: 10}
    page.refresh_from_db()
    assert page.views == 10
    assert views.flush() == Flushed("app.Page.views", alias, rows=1)
    page.refresh_from_db()
    assert (page.views, views.value(page.pk)) == (14, 14)
    assert views.flush() == Flushed("app.Page.views", alias)
