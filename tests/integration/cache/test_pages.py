"""Pages of a long list: what they cost, what a write does to them, whose cursors they take, and rows that go midway."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections, transaction
from django.test import override_settings

from redis_toolkit.cache import CachedPages, Page
from redis_toolkit.cache import pages as module
from redis_toolkit.exceptions import BadCursor, RedisToolkitError
from redis_toolkit.testing.cache import assert_redis_round_trips
from tests.app.models import Lesson

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


def pages_of(term: Any, size: int = 4) -> CachedPages[Lesson]:
    """All lessons, by weekday and then by period, the latest first."""
    return CachedPages(term.cached.order_by("weekday", "-period"), size=size)


def periods(page: Page[Lesson]) -> list[int]:
    return [lesson.period for lesson in page.rows]


def deleting(term: Any, at: int) -> Callable[..., Any]:
    """A wrapper of one connection's statements that deletes a lesson as soon as keys have been listed."""
    done: list[int] = []

    def wrapper(execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        result = execute(sql, params, many, context)
        if len(done) < at and sql.startswith('SELECT "app_lesson"."weekday"'):
            done.append(at)
            rows = term.plain(Lesson)
            rows.filter(pk=rows.order_by("weekday", "-period").first().pk).delete()
        return result

    return wrapper


def test_a_page_is_two_round_trips(term, cost):
    """A hit is 2 round trips and 0 queries; the miss before it 6 and 2; 4 rows or 10, the first page or a later one."""
    pages = pages_of(term)
    with cost() as it, assert_redis_round_trips(6):
        first = pages.page()
    assert (it.queries, it.outcomes) == (2, [("rows", "miss"), ("bulk", "miss")])
    second = pages.page(first.next)
    for after, wanted in ((None, first), (first.next, second)):
        with cost() as it, assert_redis_round_trips(2):
            assert pages.page(after) == wanted
        assert (it.queries, it.outcomes) == (0, [("rows", "hit"), ("bulk", "hit")])
    assert periods(first) + periods(second) == [1, 0, 3, 2, 5, 4, 7, 6]
    assert periods(pages.page(second.next)) == [9, 8]
    assert pages.page(second.next).next is None


def test_rows_are_shared_by_all_lists(term, cost):
    """Rows that another list, `get` or `in_bulk` has stored are not loaded again: a new list of them is 1 query."""
    list(pages_of(term))
    term.cached.get(pk=term.lessons[3].pk)
    with cost() as it:
        found = CachedPages(term.cached.order_by("-period"), size=10).page()
    assert periods(found) == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]
    assert (it.queries, it.outcomes) == (1, [("rows", "miss"), ("bulk", "hit")])


def test_a_changed_row_shows_on_every_page_at_once(term, cost):
    """After one save every list shows the new title, and the row is loaded once: 3 lists are 3 queries for keys and 1."""
    lists = [CachedPages(term.cached.order_by(name), size=10) for name in ("period", "-period", "weekday")]
    for pages in lists:
        pages.page()
    lesson = term.again(5)
    lesson.title = "new"
    lesson.save()
    with cost() as it:
        titles = [[row.title for row in pages.page().rows if row.period == 5] for pages in lists]
    assert titles == [["new"], ["new"], ["new"]]
    assert it.queries == 3 + 1


def test_a_write_to_another_group_leaves_a_page_a_hit(term, cost):
    """A page of a group is a miss after a write to that group, and a hit after one to another."""
    pages = CachedPages(term.cached.filter(group=term.groups[5]).order_by("weekday"))
    pages.page()
    term.again(6).save()
    with cost() as it:
        assert periods(pages.page()) == [5]
    assert it.outcomes == [("rows", "hit"), ("bulk", "hit")]
    term.again(5).save()
    with cost() as it:
        assert periods(pages.page()) == [5]
    assert it.outcomes == [("rows", "miss"), ("bulk", "miss")]


@pytest.mark.parametrize(("left", "shown"), [(module._TRIES, [3, 2, 5, 4]), (1, [0, 3, 2])])
def test_a_row_is_deleted_between_the_keys_and_the_rows(term, monkeypatch, left, shown):
    """1. keys are listed  2. the first row is deleted  3. it is missing: the page is listed again, and is full."""
    monkeypatch.setattr(module, "_TRIES", left)
    pages = pages_of(term)
    with connections[term.alias].execute_wrapper(deleting(term, 2 if left > 1 else 1)):
        page = pages.page()
    assert periods(page) == shown
    # Nobody is met twice or left out for that.
    rest = [lesson.period for lesson in pages.walk(page.next)]
    assert shown + rest == ([3, 2, 5, 4, 7, 6, 9, 8] if left > 1 else [0, 3, 2, 5, 4, 7, 6, 9, 8])


def test_the_list_changes_between_two_pages(term):
    """Rows deleted, inserted, and moved before and after the cursor: those that stay are met once, in order."""
    pages = pages_of(term)
    first = pages.page()
    assert periods(first) == [1, 0, 3, 2]
    term.again(0).delete()  # behind the reader
    term.again(2).delete()  # the row of the cursor itself
    term.again(7).delete()  # ahead
    term.lesson(20, weekday=1).save(using=term.alias)  # behind
    term.lesson(21, weekday=2).save(using=term.alias)  # behind, on the cursor's day
    term.lesson(22, weekday=4).save(using=term.alias)  # ahead
    assert [lesson.period for lesson in pages.walk(first.next)] == [5, 4, 22, 6, 9, 8]
    assert [lesson.period for lesson in pages] == [20, 1, 21, 3, 5, 4, 22, 6, 9, 8]


def test_within_a_transaction_that_wrote(term):
    """Pages show what their own transaction has written, and store nothing of it."""
    pages = pages_of(term)
    first = pages.page()
    with pytest.raises(ZeroDivisionError), transaction.atomic(using=term.alias):
        term.again(3).delete()
        assert periods(pages.page()) == [1, 0, 2, 5]
        raise ZeroDivisionError
    assert pages.page() == first


CURSORS = {
    "no signature": "gaEB",
    "text": "all",
    "one letter changed": lambda cursor: ("A" if cursor[0] != "A" else "B") + cursor[1:],
    "the end cut off": lambda cursor: cursor[:-1],
    "no body": lambda cursor: cursor[cursor.rindex(".") :],
    "no text": 7,
    "bytes": lambda cursor: cursor.encode(),
    "a lone surrogate": "\ud800.\udfff",
    "a null": "\0",
    "SQL": "1'; DROP TABLE app_lesson; --",
    "long": "." * 100_000,
    "not ASCII": "äöü.äöü",
}


@pytest.mark.parametrize("cursor", CURSORS.values(), ids=CURSORS)
def test_hostile_cursors(term, cost, cursor):
    """What was not given out is a BadCursor, which is a ValueError, before any query and any round trip."""
    pages = pages_of(term)
    good = pages.page().next
    with cost() as it, assert_redis_round_trips(0), pytest.raises(BadCursor, match="begin at the first page") as caught:
        pages.page(cursor(good) if callable(cursor) else cursor)
    assert it.queries == 0
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, RedisToolkitError)


def test_a_cursor_belongs_to_its_order(term):
    """A cursor of another order, another direction, another model or another project's key is refused."""
    cursor = pages_of(term).page().next
    for names in (("weekday", "period"), ("-weekday", "-period"), ("weekday",), ("period", "-weekday")):
        with pytest.raises(BadCursor):
            CachedPages(term.cached.order_by(*names)).page(cursor)
    with override_settings(SECRET_KEY="another"), pytest.raises(BadCursor):
        pages_of(term).page(cursor)


def test_a_cursor_outlives_a_change_of_keys(term, settings):
    """A cursor signed with a key that is now one of SECRET_KEY_FALLBACKS still leads to its page."""
    pages = pages_of(term)
    cursor = pages.page().next
    wanted = pages.page(cursor).rows
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "new"
    assert pages.page(cursor).rows == wanted


def test_cursors_are_fit_for_addresses(term):
    """A cursor is made of letters, digits and `- _ .`, is the same each time, and an empty one is the first page."""
    pages = CachedPages(term.cached.order_by("title"), size=3)
    cursor = pages.page().next
    assert cursor is not None
    assert cursor == pages.page("").next
    assert set(cursor) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")


def test_when_redis_is_away(term, cost, redis_client, valkey):
    """Without Redis pages come from the database, 2 queries each, and are the same."""
    pages = pages_of(term)
    first = pages.page()
    valkey.kill()
    with cost() as it:
        assert pages.page() == first
    assert it.queries == 2
