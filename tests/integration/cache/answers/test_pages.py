"""Every page of every order, on each database: the rows that Django's own queryset lists, each once, in its order."""

from __future__ import annotations

import asyncio

import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from django.db.models import Count, F, Q

from redis_toolkit.cache import CachedPages
from redis_toolkit.exceptions import Misconfigured
from tests.app.models import (
    Author,
    Badge,
    Cafe,
    Chair,
    City,
    EarlyLesson,
    Event,
    Ledger,
    Lesson,
    Place,
    Poem,
    Room,
    Student,
    Teacher,
    Unwatched,
    Ware,
)
from tests.portraits import portrait

#: What is paged, and Django's list of the same, whose order ends in the key.
LISTS = {
    "key": (lambda s: s.lessons, ["pk"]),
    "key, backwards": (lambda s: s.lessons.order_by("-pk"), ["-pk"]),
    "one column": (lambda s: s.lessons.order_by("weekday"), ["weekday", "pk"]),
    "one column, backwards": (lambda s: s.lessons.order_by("-weekday"), ["-weekday", "-pk"]),
    "mixed": (lambda s: s.lessons.order_by("weekday", "-period"), ["weekday", "-period", "-pk"]),
    "mixed, other way": (lambda s: s.lessons.order_by("-weekday", "teacher_id"), ["-weekday", "teacher_id", "pk"]),
    "three": (lambda s: s.lessons.order_by("group_id", "-weekday", "-pk"), ["group_id", "-weekday", "-pk"]),
    "unique text": (lambda s: s.lessons.order_by("-slug", "weekday"), ["-slug"]),
    "text": (lambda s: s.lessons.order_by("title"), ["title", "pk"]),
    "reversed": (lambda s: s.lessons.order_by("weekday", "-period").reverse(), ["weekday", "-period", "-pk"]),
    "key, reversed": (lambda s: s.lessons.order_by("pk").reverse(), ["pk"]),
    "a relation's column": (lambda s: s.lessons.order_by("teacher__name", "-period"), ["teacher__name", "-period", "-pk"]),
    "a relation": (lambda s: s.lessons.order_by("teacher"), ["teacher_id", "pk"]),
    "of a group": (lambda s: s.lessons.filter(group=s.groups[0]).order_by("weekday"), ["weekday", "pk"]),
    "of either": (lambda s: s.lessons.filter(Q(weekday=1) | Q(period__gt=6)).order_by("-weekday"), ["-weekday", "-pk"]),
    "of students": (lambda s: s.lessons.filter(students__name__gte="Eve").order_by("weekday"), ["weekday", "pk"]),
    "distinct": (lambda s: s.lessons.filter(students__pk__gt=0).distinct().order_by("-weekday"), ["-weekday", "-pk"]),
    "excluded": (lambda s: s.lessons.exclude(students=s.students[0]).order_by("weekday"), ["weekday", "pk"]),
    "counted": (lambda s: s.lessons.alias(n=Count("students")).filter(n__gt=1).order_by("weekday"), ["weekday", "pk"]),
    "related": (lambda s: s.teachers[0].lessons(manager="cached" if s.cached else "objects").all(), ["pk"]),
    "nothing": (lambda s: s.lessons.none().order_by("weekday"), ["weekday", "pk"]),
    "empty": (lambda s: s.lessons.filter(weekday=99).order_by("weekday"), ["weekday", "pk"]),
    "proxy": (lambda s: s(EarlyLesson).order_by("-weekday"), ["-weekday", "-pk"]),
    "uuid": (lambda s: s(Badge).order_by("label", "-pk"), ["label", "-pk"]),
    "child": (lambda s: s(Cafe).order_by("name", "-stars"), ["name", "-stars", "-pk"]),
    "its own order": (lambda s: s(Place).order_by("name"), ["name", "pk"]),
    "key of a key": (lambda s: s(Author).order_by("-number"), ["-number", "-pk"]),
    "to a key of a key": (lambda s: s(Poem).order_by("author__number", "title"), ["author__number", "title", "pk"]),
    "to a code": (lambda s: s(City).order_by("-country", "name"), ["-country_id", "name", "pk"]),
    "two columns": (lambda s: s(Chair).order_by("-hall"), ["-hall", "-number"]),
    "two columns, by key": (lambda s: s(Chair), ["hall", "number"]),
    "floats": (lambda s: s(Event).order_by("-share"), ["-share", "-pk"]),
    "decimals": (lambda s: s(Event).order_by("amount"), ["amount", "pk"]),
    "booleans": (lambda s: s(Event).order_by("-public", "name"), ["-public", "name", "pk"]),
    "a cached base": (lambda s: s(Ledger).order_by("-name"), ["-name", "-pk"]),
}  # fmt: skip


@pytest.mark.parametrize("size", [1, 2, 5, 12, 50])
@pytest.mark.parametrize(("paged", "order"), LISTS.values(), ids=LISTS)
def test_pages_are_djangos_list(school, cost, paged, order, size):
    """Pages of 1, 2, 5, 12 and 50 rows together are Django's list without repeats, twice; then with 0 queries."""
    wanted = list(dict.fromkeys(paged(school).order_by(*order)))
    pages = CachedPages(paged(school.as_cached()), size=size)
    assert portrait(list(pages)) == portrait(wanted)
    with cost() as it:
        assert portrait(list(pages)) == portrait(wanted)
    assert it.sql == []
    assert {end for _, end in it.outcomes} <= {"hit"}


@pytest.mark.parametrize("mode", ["nocache", "refresh", "cache"])
def test_modes(school, cost, mode):
    """`nocache()` pages store nothing, `refresh()` pages ask the database each time, and all list the same."""
    asked = getattr(school.as_cached().lessons.order_by("-weekday"), mode)()
    wanted = list(school.lessons.order_by("-weekday", "-pk"))
    pages = CachedPages(asked, size=5)
    assert portrait(list(pages)) == portrait(wanted)
    with cost() as it:
        assert portrait(list(pages)) == portrait(wanted)
    # Three pages: which rows, and the rows.
    assert it.queries == (0 if mode == "cache" else 6)


def test_asynchronously(school):
    """`apage()` gives what `page()` does, `async for` what `for` does."""
    pages = CachedPages(school.as_cached().lessons.order_by("-weekday"), size=5)

    async def ask():
        first = await pages.apage()
        second = await pages.apage(first.next)
        rows = [row async for row in pages]
        await sync_to_async(connections.close_all)()
        return first, second, rows

    first, second, rows = asyncio.run(ask())
    assert (first, second) == (pages.page(), pages.page(first.next))
    assert (
        [row.pk for row in rows]
        == [row.pk for row in pages]
        == [row.pk for row in school.lessons.order_by("-weekday", "-pk")]
    )


REFUSED = {
    "nullable": (lambda s: s.lessons.order_by("held"), "which may be null"),
    "nullable relation": (lambda s: s.lessons.order_by("room_id"), "which may be null"),
    "by way of a nullable relation": (lambda s: s.lessons.order_by("room__code"), "'room' may be null"),
    "many rows": (lambda s: s.lessons.order_by("students__name"), "is no column"),
    "from the other side": (lambda s: s(Student).order_by("badge__label"), "has no field|is no foreign key|is no column"),
    "F": (lambda s: s.lessons.order_by(F("weekday")), "is not a column of its own"),
    "F, backwards": (lambda s: s.lessons.order_by(F("weekday").desc()), "is not a column of its own"),
    "chance": (lambda s: s.lessons.order_by("?"), "is not a column of its own"),
    "an annotation": (lambda s: s.lessons.alias(n=Count("students")).order_by("n"), "has no field 'n'"),
    "a part of a column": (lambda s: s(Event).order_by("name__length"), "is no foreign key"),
    "json": (lambda s: s.lessons.order_by("notes"), "nobody knows how values of JSONField compare"),
    "a project's own": (lambda s: s(Event).order_by("file"), "which may be null|nobody knows"),
    "a database's value": (lambda s: s(Ware).order_by("loud"), "which may be null|nobody knows"),
    "rows in an order of their own": (lambda s: s(Room).order_by("building"), "may be null"),
    "a slice": (lambda s: s.lessons.order_by("pk")[:3], "a slice"),
    "a union": (lambda s: s.lessons.filter(pk=1).union(s.lessons.filter(pk=2)), "a union"),
    "joined": (lambda s: s.lessons.select_related("teacher"), r"select_related\(\)"),
    "prefetched": (lambda s: s.lessons.prefetch_related("teacher"), r"prefetch_related\(\)"),
    "annotated": (lambda s: s.lessons.annotate(n=Count("students")), r"annotate\(\)"),
    "partial": (lambda s: s.lessons.only("title"), r"only\(\) or defer\(\)"),
    "deferred": (lambda s: s.lessons.defer("title"), r"only\(\) or defer\(\)"),
    "values": (lambda s: s.lessons.values("title"), r"values\(\)"),
    "locked": (lambda s: s.lessons.select_for_update(), r"select_for_update\(\)"),
}  # fmt: skip


@pytest.mark.parametrize(("asked", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(school, asked, message):
    """What has no total order, or cannot be fetched by key, is refused when the pages are made, and says why."""
    with pytest.raises(Misconfigured, match=message):
        CachedPages(asked(school.as_cached()))


def test_distinct_on_is_refused(school):
    """`distinct()` with fields is refused."""
    with pytest.raises(Misconfigured, match=r"distinct\(\) with fields"):
        CachedPages(school.as_cached().lessons.distinct("weekday"))


def test_plain_managers_are_refused(school):
    """A queryset that does not answer from the cache is refused."""
    for plain in (Lesson.objects, Lesson.objects.all(), Teacher.objects):
        with pytest.raises(Misconfigured, match="takes a queryset of a CacheManager"):
            CachedPages(plain)


@pytest.mark.parametrize("size", [0, -1, 1001, "5", 2.0, True, None])
def test_sizes(school, size):
    """A size that is no number of rows from 1 to 1,000 is a ValueError."""
    with pytest.raises(ValueError, match="from 1 to 1000"):
        CachedPages(Lesson.cached, size=size)


def test_what_nobody_watches_is_paged_by_the_database(school, cost):
    """What cannot be cached, such as a table that nobody watches, is paged all the same: 2 queries a page."""
    rows = school(Unwatched).bulk_create(Unwatched(text=text) for text in "cab")
    try:
        with cost() as it:
            found = [row.text for row in CachedPages(school.as_cached()(Unwatched).order_by("text"), size=2)]
        assert (found, it.queries) == (["a", "b", "c"], 4)
    finally:
        school(Unwatched).filter(pk__in=[row.pk for row in rows]).delete()
