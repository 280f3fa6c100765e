"""Advice, end to end: workloads that are made on a real server, counted by the toolkit, and judged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.http import HttpResponse
from django.test import RequestFactory

from redis_toolkit.cache import cached, cached_view, invalidate
from redis_toolkit.conf import settings as toolkit
from redis_toolkit.core.clock import travel
from redis_toolkit.dashboard.advice import Advice, advise
from redis_toolkit.dashboard.declared import every
from redis_toolkit.stats import MONTH, Figures, buckets, flush, summed
from redis_toolkit.stats.telling import gathered, teller
from redis_toolkit.testing import ValkeyServer
from tests import servers
from tests.app.models import Lesson
from tests.integration.cache.term import Term

pytestmark = pytest.mark.django_db(transaction=True)

Told = Callable[[], list[Advice]]


@pytest.fixture
def term(transactional_db: None) -> Term:
    """Ten lessons that are committed."""
    return Term("default")


@pytest.fixture
def told(counting: None) -> Iterator[Told]:
    """What the figures advise, of all that was counted."""
    # (The test tells Redis, and no thread.)
    teller.is_running = True

    def look() -> list[Advice]:
        figures = counted()
        facts = {name: each.facts for name, each in every().items()}
        return advise(figures, facts, figures.subjects("read"), toolkit.ALIAS)

    yield look
    teller.stop()


def counted() -> Figures:
    flush()
    with travel(120):
        return summed(buckets(MONTH))


def test_a_model_that_is_written_more_often_than_read(term: Term, told: Told) -> None:
    """Sixty writes and thirty reads, each of which a write has ended: do not cache it."""
    for at in range(60):
        term.again(0).save()
        if at % 2:
            list(term.cached.filter(group=term.groups[0]))
    [found] = told()
    assert (found.about, found.subject) == ("written", "app.Lesson")
    assert found.sentence == (
        "`Lesson` is written more often than read: caching costs more than it saves (60 writes, 30 reads, 0 % of them"
        " hits)."
    )


def test_a_by_that_is_missing(term: Term, told: Told) -> None:
    """Of 25 misses 23 come from writes to lessons of another day, for no declaration names the weekday alone."""
    asked = term.cached.filter(weekday=2)
    list(asked.all())
    term.cached.get(pk=term.lessons[3].pk)
    for _ in range(23):
        term.again(0).save()
        list(asked.all())
    [found] = told()
    assert (found.about, found.subject) == ("by", "app.Lesson")
    assert found.sentence == (
        '`Lesson`: declare `by=["weekday"]`: 92 % of misses come from `*`, a write anywhere in the table (23 of these 23'
        " ask for such values)."
    )


@pytest.fixture
def small(settings: Any, redis_url: str) -> Iterator[ValkeyServer]:
    """A cache on a server with room for some sixty entries; what is counted is kept on another one."""
    with ExitStack() as stack:
        server = stack.enter_context(
            servers.new_valkey(config={"maxmemory": "4mb", "maxmemory-policy": "allkeys-lru", "maxmemory-clients": "0"})
        )
        usual = settings.CACHES["default"]
        settings.CACHES = {"default": {**usual, "LOCATION": server.url}, "stats": usual}
        settings.REDIS_TOOLKIT_STATS_ALIAS = "stats"
        yield server


def look(minute: int) -> None:
    """Look at the servers, so many minutes from now, and tell what was seen."""
    with travel(60 * minute):
        teller._sample()
        flush()


def test_eviction_pressure(term: Term, small: ValkeyServer, told: Told) -> None:
    """Four hundred results of 20 KB for a server of 4 MB, read twice: raise maxmemory, and no word of the arguments."""

    @cached(key="padded", depends_on=[Lesson])
    def padded(number: int) -> str:
        return f"{number:020000}"

    look(0)
    for number in [*range(400), *range(400)]:
        padded(number)
    look(1)
    [found] = told()
    assert (found.about, found.subject) == ("evicted", "")
    evicted = int(counted().total("server", "default", "evicted"))
    assert evicted > 400
    stored = counted().count("bytes")
    assert found.sentence == (
        f"The server evicts ({evicted:,} keys, while {stored} entries were stored): raise `maxmemory` or shorten `ttl`."
    )


def test_arguments_that_never_come_twice(term: Term, told: Told) -> None:
    """The same four hundred results, each asked for once, on a server with room: the function is the matter."""

    @cached(key="once", depends_on=[Lesson])
    def once(number: int) -> str:
        return f"{number:0200}"

    for number in range(400):
        once(number)
    [found] = told()
    assert (found.about, found.subject) == ("single", "once")
    assert "0 % of 400 calls were hits, and nothing was stored for 400" in found.sentence


def test_reads_that_all_go_past_the_cache(term: Term, told: Told) -> None:
    """A hundred and twenty reads in transactions that have written: said, with the reason."""
    for _ in range(3):
        with transaction.atomic():
            term.again(0).save()
            for lesson in term.lessons * 4:
                term.cached.get(pk=lesson.pk)
    [found] = told()
    assert (found.about, found.subject) == ("bypassed", "app.Lesson")
    assert found.sentence == (
        "Nearly all reads of `Lesson` go past the cache (100 % of 120), because they are made in transactions that have"
        " written."
    )


def test_a_quiet_workload(term: Term, told: Told) -> None:
    """Many reads, a few writes to declared values, some misses: nothing is advised."""

    @cached(key="slow", depends_on=[Lesson])
    def slow(number: int) -> int:
        return sum(len(each.title) for _ in range(20) for each in term.plain(Lesson).all())

    for at in range(30):
        if at % 10 == 0:
            term.again(1).save()
        for number in range(10):
            list(term.cached.filter(group=term.groups[number]).select_related("teacher", "room"))
            slow(number)
    figures = counted()
    assert figures.hits("app.Lesson") > 250
    assert told() == []


def test_too_few_events(term: Term, told: Told) -> None:
    """The beginnings of all those workloads: nothing is advised before there is enough to judge by."""
    for _ in range(15):
        term.again(0).save()
        list(term.cached.filter(weekday=2))
    assert told() == []


def test_writes_of_which_nobody_knows_the_rows(term: Term, told: Told) -> None:
    """Each of thirty ends all that is cached of the table, whatever `by` says: no declaration is advised."""
    asked = term.cached.filter(weekday=2)
    for _ in range(30):
        list(asked.all())
        term.cached.get(pk=term.lessons[3].pk)
        with connection.cursor() as cursor:
            cursor.execute("UPDATE app_lesson SET period = period")
    figures = counted()
    assert (figures.count("ended", "app.Lesson", "*"), figures.count("pinned")) == (58, 0)
    assert told() == []


def test_many_rows_that_are_small(term: Term, told: Told) -> None:
    """Twenty-five readings of ten rows: they are 250 entries of some hundred bytes, not 25 of some thousand."""
    Lesson.objects.update(title="x" * 90)
    keys = [each.pk for each in term.lessons]
    for _ in range(25):
        term.cached.in_bulk(keys)
        invalidate(Lesson)
    figures = counted()
    assert figures.count("bytes", "app.Lesson") == 250
    assert 90 < figures.total("bytes", "app.Lesson") / 250 < 1000


def test_results_that_are_never_stored(term: Term, told: Told, settings: Any) -> None:
    """Two hundred calls with one argument, whose result is too large: it is not the arguments that are the matter."""
    settings.REDIS_TOOLKIT_MAX_ENTRY_BYTES = 1000

    @cached(key="huge", depends_on=[Lesson])
    def huge(number: int) -> str:
        return f"{number:020000}"

    for _ in range(200):
        huge(1)
    [found] = told()
    assert (found.about, found.subject) == ("unstored", "huge")
    assert found.sentence == "Of 200 answers of `huge` that were loaded 0 were stored, so the next reader loads again."


def test_visitors_who_are_known(term: Term, told: Told) -> None:
    """A page that is kept for nobody, for all who come are logged in: said so, and not that its arguments are odd."""

    @cached_view(key="timetable", depends_on=[Lesson])
    def timetable(request: Any) -> HttpResponse:
        return HttpResponse("x")

    for _ in range(100):
        request = RequestFactory().get("/")
        request.user = User(pk=1)
        timetable(request)
    [found] = told()
    assert (found.about, found.subject) == ("bypassed", "timetable")
    assert found.sentence == (
        "Nearly all reads of `timetable` go past the cache (100 % of 100), because its visitors are known, or send"
        " what cannot be told apart."
    )
    assert "private=True" in found.cure


def test_an_outage(term: Term, told: Told, settings: Any) -> None:
    """Sixty writes and fifty reads while the cache is off: how often is read and written is not the matter."""
    settings.REDIS_TOOLKIT_ENABLED = False
    for at in range(60):
        term.again(0).save()
        if at % 6:
            list(term.cached.filter(group=term.groups[0]))
    assert told() == []


@pytest.mark.parametrize("column", ["pk", "weekday"])
def test_too_many_values_for_any_declaration(term: Term, told: Told, column: str) -> None:
    """A hundred values at once depend on the whole table, declared or not: nothing is advised, whoever asked before."""
    few, many = {f"{column}__in": range(3)}, {f"{column}__in": range(100)}
    # This is not counted; but what queries of this shape have in common is known from here.
    list(term.cached.filter(**few))
    gathered.take()
    for _ in range(25):
        list(term.cached.filter(**many))
        list(term.cached.filter(**many))
        term.again(0).save()
    figures = counted()
    assert (figures.count("ended", "app.Lesson", "*"), figures.count("pinned")) == (24, 0)
    assert told() == []


def test_two_lists(term: Term, told: Told) -> None:
    """A stamp is made of one list at most, so only one of their columns is advised; that declaration does help."""
    for _ in range(25):
        list(term.cached.filter(weekday__in=[1, 2], period__in=[1, 2]))
        term.again(9).save()
    [found] = told()
    assert 'declare `by=["period"]`' in found.sentence
