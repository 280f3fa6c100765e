"""``WriteBehind``: what is gathered, read back merged, flushed, refused."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import uuid
from decimal import Decimal
from io import StringIO
from typing import Any, cast

import pytest
from asgiref.sync import sync_to_async
from django.core.management import CommandError, call_command
from django.db import connections, transaction

from redis_toolkit.cache import Flushed, WriteBehind
from redis_toolkit.cache.behind import counters, gathering, ledger
from redis_toolkit.cache.watch import watch_of
from redis_toolkit.core.clock import travel
from redis_toolkit.core.connections import link
from redis_toolkit.exceptions import BreakerOpen, Misconfigured, OutcomeUnknown, StoreUnavailable
from redis_toolkit.models import Ledger
from redis_toolkit.signals import cache_failed
from redis_toolkit.testing.cache import isolated_cache
from tests.app.models import Chair, Page, Post, Visitor
from tests.integration.cache import tenants
from tests.integration.cache.threads import elsewhere

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

NOON = dt.datetime(2026, 3, 29, 10, tzinfo=dt.UTC)
#: Of Page.views on the default database.
GATHERED, BATCH, SETTLED = (f"rt:wb:{{default@app.Page.views}}:{part}" for part in ("gathered", "batch", "settled"))


@pytest.fixture(autouse=True)
def undeclared(monkeypatch):
    """What a test declares is gone after it."""
    monkeypatch.setattr(counters, "_declared", {})


@pytest.fixture
def views(alias):
    return WriteBehind(Page, "views", using=alias)


@pytest.fixture
def page(alias):
    """A page that was seen ten times."""
    return Page.objects.using(alias).create(views=10)


@pytest.fixture
def failures():
    """What ``cache_failed`` tells: during which step."""
    heard: list[str] = []

    def failed(during, **_):
        heard.append(during)

    cache_failed.connect(failed)
    yield heard
    cache_failed.disconnect(failed)


def held(page: Any, field: str = "views") -> Any:
    """What the database has."""
    return type(page).objects.using(page._state.db).values_list(field, flat=True).get(pk=page.pk)


# Adding, reading, flushing


def test_what_is_added_is_read_at_once_and_flushed_later(alias, views, page):
    """3 and 1 added to 10: 14 is read, the database has 10 until the flush, which changes 1 row, and then 14."""
    views.add(page.pk, 3)
    views.add(page)
    assert views.values([page.pk, page.pk + 1, str(page.pk)]) == {str(page.pk): 14}
    assert (views.value(page), views.value(10**6), held(page)) == (14, None, 10)
    assert views.flush() == Flushed("app.Page.views", alias, rows=1)
    assert (held(page), views.value(page.pk)) == (14, 14)
    assert views.flush() == Flushed("app.Page.views", alias)


def test_many_rows_in_few_statements(alias, views, cost):
    """1,200 rows are 3 batches, of 5 statements each (on SQLite 7), one of them the cache's, besides BEGIN and COMMIT."""
    Page.objects.using(alias).bulk_create(Page(pk=at) for at in range(1, 1201))
    views.add_many(dict.fromkeys(range(1, 1201), 3))
    views.add_many({at: at for at in range(1, 1201)})
    assert Ledger.objects.using(alias).count() == 0
    views.flush()
    views.add_many(dict.fromkeys(range(1, 1201), 1))
    with cost() as it:
        assert views.flush().rows == 1200
    said = [word for sql in it.sql if (word := sql.split()[0]) not in {"BEGIN", "COMMIT"}]
    # The lock; the rows; what the cache must know of them and their change, in pieces of 333 on SQLite, as far as Django
    # takes it to allow 999 values a statement; the ledger.
    pieces = 2 if connections[alias].features.max_query_params == 999 else 1
    assert said[: 3 + 2 * pieces] == ["SELECT", "SELECT", *["SELECT", "UPDATE"] * pieces, "UPDATE"]
    # (The third batch has the 202 rows, or so, that are left.)
    assert said.count("UPDATE") == 3 + 2 * pieces + 1
    assert list(Page.objects.using(alias).order_by("pk").values_list("views", flat=True)) == [
        at + 4 for at in range(1, 1201)
    ]
    assert list(Ledger.objects.using(alias).values_list("counter", flat=True)) == [views._counter.keys().batch]


def test_what_it_costs(views, page):
    """An add is 1 round trip; a read 1 query and 1; a flush of nothing 1 and no query."""
    views.add(page.pk)
    views.flush()
    views.add(page.pk)
    for deed, trips in ((lambda: views.add(page.pk), 1), (lambda: views.value(page.pk), 1), (views.flush, 5)):
        before = link().round_trips
        deed()
        assert link().round_trips - before == trips
    before = link().round_trips
    views.flush()
    assert link().round_trips - before == 1


def test_cached_readers_see_what_is_flushed(alias, views, cost):
    """After a flush the cached row has the new value, and so has its section; the list of another section stays a hit."""
    news = Page.objects.using(alias).create(section="news")
    Page.objects.using(alias).create(section="sport")
    cached = Page.cached.db_manager(alias)

    def read():
        return cached.get(pk=news.pk).views, [each.views for each in cached.filter(section="news")]

    def other():
        return [each.views for each in cached.filter(section="sport")]

    assert (read(), other()) == ((0, [0]), [0])
    views.add(news.pk, 3)
    assert read() == (0, [0])
    views.flush()
    assert read() == (3, [3])
    watch_of(connections[alias]).settle(connections[alias])
    with cost() as it:
        assert other() == [0]
    assert it.outcomes == [("rows", "hit")]


@pytest.mark.parametrize("amount", ["0.001", "123456789012345.678", "-0.5", "7"])
def test_decimals_are_exact(alias, amount):
    """A hundred times the amount, gathered and flushed in two parts, is a hundred times the amount."""
    page = Page.objects.using(alias).create(earned=Decimal("0.1"))
    earned = WriteBehind(Page, "earned", using=alias)
    for _ in range(2):
        for _ in range(50):
            earned.add(page.pk, Decimal(amount))
        read = earned.value(page.pk)
        earned.flush()
        # (SQLite has no decimals, and keeps fifteen digits of what it is given.)
        if alias == "postgres" or len(amount) < 10:
            assert held(page, "earned") == read == earned.value(page.pk)
    if alias == "postgres" or len(amount) < 10:
        assert read == Decimal(amount) * 100 + Decimal("0.1")


def test_a_child_of_another_table(alias):
    """A field of the child's own table is counted by the key of its parent."""
    post = Post.objects.using(alias).create()
    likes = WriteBehind(Post, "likes", using=alias)
    likes.add(post, 3)
    assert (likes.value(post.pk), likes.flush().rows, held(post, "likes")) == (3, 1, 3)


def test_null_counts_as_nothing(alias):
    """A row that holds NULL is None until something waits for it, and then counts from 0."""
    page = Page.objects.using(alias).create()
    votes = WriteBehind(Page, "votes", using=alias)
    assert votes.value(page.pk) is None
    votes.add(page.pk, -2)
    assert (votes.value(page.pk), votes.flush().rows, held(page, "votes")) == (-2, 1, -2)


def test_the_latest_time_stays(alias):
    """Of times put in any order, before and after a flush, and of what the database has, the latest is read and stays."""
    page = Page.objects.using(alias).create()
    seen = WriteBehind(Page, "seen", kind="latest", using=alias)
    minute = dt.timedelta(minutes=1)
    seen.put(page.pk, NOON)
    seen.put(page.pk, NOON - minute)
    assert seen.value(page.pk) == NOON
    seen.flush()
    seen.put(page.pk, NOON - minute)
    assert (held(page, "seen"), seen.value(page.pk), seen.flush().rows) == (NOON, NOON, 1)
    assert held(page, "seen") == NOON
    seen.put_many({page.pk: NOON.astimezone(dt.timezone(dt.timedelta(hours=2))) + minute / 60_000_000})
    assert (seen.value(page.pk), held(page, "seen")) == (NOON + dt.timedelta(microseconds=1), NOON)
    with travel(10**9):
        seen.put(page)
    seen.flush()
    assert held(page, "seen") > NOON + dt.timedelta(days=365)


def test_keys_that_are_no_numbers(alias):
    """UUIDs are keys, however they are written."""
    visitor = Visitor.objects.using(alias).create()
    clicks = WriteBehind(Visitor, "clicks", using=alias)
    clicks.add(visitor.pk, 2)
    clicks.add(str(visitor.pk).upper(), 3)
    assert clicks.value(visitor.pk) == 5
    assert clicks.values([uuid.uuid4()]) == {}
    clicks.flush()
    assert held(visitor, "clicks") == 5


def test_asynchronous_callers(alias, views, page):
    """Every call has a form with ``a``."""
    seen = WriteBehind(Page, "seen", kind="latest", using=alias)

    async def play():
        try:
            return await called()
        finally:
            # Of the loop's own thread.
            await sync_to_async(connections.close_all)()

    async def called():
        await views.aadd(page.pk)
        await views.aadd_many({page.pk: 2})
        await seen.aput(page.pk, NOON)
        await seen.aput_many({page.pk: NOON})
        told = await views.avalue(page.pk), await views.avalues([page.pk]), await seen.avalue(page.pk)
        return *told, (await views.aflush()).rows

    assert asyncio.run(play()) == (13, {page.pk: 13}, NOON, 1)
    assert held(page) == 13


# Transactions


def test_a_rollback_takes_back_what_was_added(views, page):
    """In a block an add waits for the commit: of 1, 2 and 4 the 2 of a savepoint that is rolled back never counts."""
    with transaction.atomic(using=page._state.db):
        views.add(page.pk, 1)
        with pytest.raises(ZeroDivisionError), transaction.atomic(using=page._state.db):
            views.add(page.pk, 2)
            raise ZeroDivisionError
        views.add(page.pk, 4)
        assert elsewhere(lambda: views._counter.link.ask(gathering.pack(("DBSIZE",)))) == 0
    assert views.value(page.pk) == 15
    with pytest.raises(ZeroDivisionError), transaction.atomic(using=page._state.db):
        views.add(page.pk, 100)
        raise ZeroDivisionError
    assert views.value(page.pk) == 15


def test_the_tenant_is_that_of_the_add(views, page, settings, monkeypatch):
    """What is added in a block is its tenant's of that moment, whoever is the tenant when the block commits."""
    settings.REDIS_TOOLKIT_TENANT = "tests.integration.cache.tenants.current"
    with transaction.atomic(using=page._state.db):
        monkeypatch.setattr(tenants, "name", "one")
        views.add(page.pk, 1)
        monkeypatch.setattr(tenants, "name", "two")
        views.add(page.pk, 2)
    assert views.value(page.pk) == 12
    monkeypatch.setattr(tenants, "name", "one")
    assert views.value(page.pk) == 11


def test_whoever_will_not_wait_for_the_commit(alias, page):
    """With ``on_commit=False`` an add counts at once, whatever becomes of the transaction."""
    views = WriteBehind(Page, "views", using=alias, on_commit=False)
    with pytest.raises(ZeroDivisionError), transaction.atomic(using=alias):
        views.add(page.pk, 100)
        raise ZeroDivisionError
    assert views.value(page.pk) == 110


def test_a_flush_in_a_transaction_is_refused(alias, views, page):
    """Nothing is applied, and what waits still waits."""
    views.add(page.pk)
    refused = Flushed("app.Page.views", alias, reason="a transaction is open", kept=True, failed=True)
    with transaction.atomic(using=alias):
        assert views.flush() == refused
    connections[alias].set_autocommit(False)
    try:
        assert views.flush() == refused
    finally:
        connections[alias].rollback()
        connections[alias].set_autocommit(True)
    assert (held(page), views.flush().rows, held(page)) == (10, 1, 11)


@pytest.mark.django_db(databases="__all__")
def test_inside_the_transaction_of_a_test_case(alias):
    """In an isolated cache a TestCase's transaction counts as none: adds and flushes work as they do in production."""
    page = Page.objects.using(alias).create()
    with isolated_cache():
        views = WriteBehind(Page, "views", using=alias)
        views.add(page.pk, 2)
        assert (views.value(page.pk), views.flush().rows, views.value(page.pk)) == (2, 1, 2)
        assert held(page) == 2


# Redis in trouble


@pytest.fixture
def away(valkey, settings):
    """A server that has just been killed; nobody looks for it."""
    settings.REDIS_TOOLKIT_BREAKER_RETRY = 3600
    valkey.kill()
    return valkey


def test_without_redis_an_add_is_an_error(away, views, page):
    """By default the caller hears of it, and so does who reads, or flushes."""
    for deed in (lambda: views.add(page.pk), lambda: views.value(page.pk), views.flush):
        with pytest.raises(StoreUnavailable):
            deed()
    assert held(page) == 10


def test_without_redis_the_database_takes_it(alias, away, page, failures):
    """With ``on_error="database"`` each add is an UPDATE, and what is read is what the database has."""
    views = WriteBehind(Page, "views", using=alias, on_error="database")
    for _ in range(5):
        views.add(page.pk)
    assert (held(page), views.value(page.pk)) == (15, 15)
    assert [each for each in failures if each in {"add", "read"}] == ["add"] * 5 + ["read"]
    seen = WriteBehind(Page, "seen", kind="latest", using=alias, on_error="database")
    for when in (NOON, NOON - dt.timedelta(1)):
        seen.put(page.pk, when)
    assert held(page, "seen") == NOON


def test_without_redis_it_may_be_ignored(alias, away, page, failures):
    """With ``on_error="ignore"`` nothing is counted but the failures."""
    views = WriteBehind(Page, "views", using=alias, on_error="ignore")
    views.add(page.pk)
    assert (held(page), views.value(page.pk), failures) == (10, 10, ["add", "read"])


def test_without_redis_in_a_transaction(alias, away, page):
    """With the breaker open an add fails inside the block, or is a part of it and goes with its rollback."""
    views = WriteBehind(Page, "views", using=alias)
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            views.add(page.pk)
    with transaction.atomic(using=alias), pytest.raises(BreakerOpen):
        views.add(page.pk)
    views = WriteBehind(Page, "views", using=alias, on_error="database")
    with pytest.raises(ZeroDivisionError), transaction.atomic(using=alias):
        views.add(page.pk, 100)
        raise ZeroDivisionError
    assert held(page) == 10
    with transaction.atomic(using=alias):
        views.add(page.pk, 5)
    assert held(page) == 15


@pytest.mark.parametrize("on_error", ["raise", "database"])
def test_an_answer_that_is_lost(alias, valkey, page, on_error):
    """A server that hangs has been told: the caller hears that nobody knows, and it is counted once, not twice."""
    views = WriteBehind(Page, "views", using=alias, on_error=on_error)
    views.add(page.pk)
    valkey.pause()
    with pytest.raises(OutcomeUnknown, match="did not answer"):
        views.add(page.pk, 100)
    valkey.resume()
    link().breaker.close()
    assert views.value(page.pk) == 111
    assert held(page) == 10


def test_a_connection_that_was_closed_meanwhile(views, page, redis_client):
    """It is noticed before anything is sent: the add is made on another, and counted once."""
    views.add(page.pk)
    redis_client.client_kill_filter(_id=link().ask(gathering.pack(("CLIENT", "ID"))))
    views.add(page.pk, 2)
    assert views.value(page.pk) == 13


def test_a_server_without_the_script(views, page, redis_client):
    """It is given the script, and counts once."""
    redis_client.script_flush()
    views.add(page.pk, 2)
    assert views.value(page.pk) == 12


def test_a_full_server(alias, valkey, redis_client, views, page):
    """It takes no more, says so, and can still be flushed, which makes room."""
    views.add(page.pk, 2)
    redis_client.config_set("maxmemory", 1)
    with pytest.raises(StoreUnavailable, match="OOM"):
        views.add(page.pk)
    assert (views.value(page.pk), views.flush().rows, held(page)) == (12, 1, 12)
    redis_client.config_set("maxmemory", 0)
    assert views.value(page.pk) == 12


def test_a_server_that_was_emptied(alias, views, page, redis_client):
    """What waited is lost; what comes after is counted and read as ever."""
    views.add(page.pk)
    views.flush()
    views.add(page.pk, 100)
    redis_client.flushdb()
    assert views.value(page.pk) == 11
    views.add(page.pk, 2)
    assert (views.value(page.pk), views.flush().rows, views.value(page.pk), held(page)) == (13, 1, 13, 13)


def test_only_so_many_rows_may_wait(alias, page):
    """Of at most 2 rows a third is refused, and all that comes with it; those that wait are added to."""
    views = WriteBehind(Page, "views", using=alias, most=2)
    views.add_many({page.pk: 1, 10**6: 1})
    views.add_many({page.pk: 1, 10**6: 1})
    with pytest.raises(StoreUnavailable, match=r"app.Page.views has 2 rows that wait to be flushed.*redis_drain"):
        views.add_many({page.pk: 100, 10**6 + 1: 1})
    assert views.value(page.pk) == 12
    assert views.flush() == Flushed("app.Page.views", alias, rows=1, absent=1)
    views.add_many({page.pk: 1, 10**6 + 1: 1})
    assert views.value(page.pk) == 13


def test_a_sum_that_is_too_large_changes_nothing(alias):
    """Of several rows one of which Redis cannot add to, none is changed."""
    one, other = (Visitor.objects.using(alias).create() for _ in range(2))
    clicks = WriteBehind(Visitor, "clicks", using=alias)
    clicks.add(other.pk, 2**63 - 1)
    with pytest.raises(StoreUnavailable, match="overflow"):
        clicks.add_many({one.pk: 5, other.pk: 1})
    assert clicks.values([one.pk, other.pk]) == {one.pk: 0, other.pk: 2**63 - 1}


def test_nothing_is_taken_back_as_well(alias):
    """An amount of 0 among those that are taken back is no hindrance: all are."""
    none, one, other = (Visitor.objects.using(alias).create() for _ in range(3))
    clicks = WriteBehind(Visitor, "clicks", using=alias)
    clicks.add(other.pk, 2**63 - 1)
    with pytest.raises(StoreUnavailable, match="overflow"):
        clicks.add_many({none.pk: 0, one.pk: 5, other.pk: 1})
    assert clicks.values([none.pk, one.pk, other.pk]) == {none.pk: 0, one.pk: 0, other.pk: 2**63 - 1}


# Rows that cannot be changed


def test_rows_that_are_gone(alias, views, page):
    """Their numbers are dropped and counted; the others are applied."""
    gone = Page.objects.using(alias).create()
    views.add_many({page.pk: 1, gone.pk: 1})
    gone.delete()
    assert views.flush() == Flushed("app.Page.views", alias, rows=1, absent=1)
    assert held(page) == 11


def test_what_the_database_refuses(alias, views, page, caplog):
    """A value that cannot be is dropped, with a line in the log; it holds up nothing else, now or later."""
    low = Page.objects.using(alias).create(views=1)
    views.add_many({page.pk: 1, low.pk: -5})
    assert views.value(low.pk) == -4
    with caplog.at_level(logging.ERROR, "redis_toolkit.cache"):
        assert views.flush() == Flushed("app.Page.views", alias, rows=1, refused=1)
    assert (held(page), held(low)) == (11, 1)
    assert f"app.Page.views of row {low.pk} was not changed by -5: " in caplog.text
    views.add(low.pk)
    assert (views.flush().rows, held(low)) == (1, 2)


def test_garbage_among_what_is_gathered(page, redis_client, caplog):
    """What another program put into our hash is dropped with a line in the log, and the rest is applied."""
    if page._state.db != "default":
        return
    views = WriteBehind(Page, "views")
    views.add(page.pk)
    redis_client.hset(GATHERED, mapping={"x": "1", str(page.pk + 1): "many"})
    with caplog.at_level(logging.ERROR, "redis_toolkit.cache"):
        assert views.flush() == Flushed("app.Page.views", "default", rows=1, refused=2)
    assert held(page) == 11
    assert len(caplog.records) == 2


def test_a_batch_that_was_left_long_ago(alias, views, page, caplog):
    """Whoever finds it applies it, and says in the log how old it is."""
    views.add(page.pk)
    assert gathering.take(views._counter, 10).numbers == {str(page.pk).encode(): b"1"}
    with caplog.at_level(logging.WARNING, "redis_toolkit.cache"), travel(3600):
        assert views.flush().rows == 1
    assert caplog.messages[0].startswith("app.Page.views: a batch of 1 rows was left 3600 seconds ago")
    assert held(page) == 11


def test_a_database_without_the_ledger(alias, views, page, monkeypatch):
    """The reason says how to make one; what waits still waits."""
    views.add(page.pk)
    monkeypatch.setattr(Ledger._meta, "db_table", "nobody_made_it")
    monkeypatch.setattr(ledger, "TABLE", "nobody_made_it")
    flushed = views.flush()
    assert (flushed.failed, flushed.kept, flushed.rows) == (True, True, 0)
    assert flushed.reason == f"the database has no ledger (manage.py migrate redis_toolkit --database={alias})"
    monkeypatch.undo()
    assert (views.flush().rows, held(page)) == (1, 11)


# Declaring


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda views: views.add("seven"), ValueError, "'seven' is no primary key of app.Page"),
        (lambda views: views.add(None), ValueError, "None is no primary key of app.Page"),
        (lambda views: views.add(2**63), ValueError, "9223372036854775808 is no primary key"),
        (lambda views: views.add(1, 1.5), TypeError, "1.5 cannot be added"),
        (lambda views: views.add(1, True), TypeError, "True cannot be added"),
        (lambda views: views.add(1, 2**63), ValueError, "9223372036854775808 cannot be added"),
        (lambda views: views.add_many(dict.fromkeys(range(10_001), 1)), ValueError, "at most 10,000"),
        (lambda views: views.put(1), TypeError, "use add"),
        (lambda views: WriteBehind(Page, "earned").add(1, Decimal("0.0001")), ValueError, "more than 3 places"),
        (lambda views: WriteBehind(Page, "earned").add(1, Decimal("NaN")), ValueError, "cannot be added"),
        (lambda views: WriteBehind(Page, "seen", kind="latest").add(1), TypeError, "use put"),
        (lambda views: WriteBehind(Page, "seen", kind="latest").put_many({1: cast("Any", 7)}), TypeError, "no datetime"),
        (lambda views: WriteBehind(Page, "seen", kind="latest").put(1, NOON.replace(tzinfo=None)), ValueError, "zone"),
        (lambda views: WriteBehind(Page, "views", on_error=cast("Any", "log")), Misconfigured, "on_error='log'"),
        (lambda views: WriteBehind(Page, "clicks").add(1), Misconfigured, "app.Page has no field 'clicks'"),
        (lambda views: WriteBehind(Page, "seen").add(1), Misconfigured, "app.Page.seen does not hold whole numbers"),
        (lambda views: WriteBehind(Page, "id").add(1), Misconfigured, "app.Page.id does not hold whole numbers"),
        (lambda views: WriteBehind(Post, "views").add(1), Misconfigured, "app.Post.views lies in the table of app.Page"),
        (lambda views: WriteBehind(Chair, "hall").value(1), Misconfigured, "primary key of app.Chair"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_at_once(call, error, said, redis_client):
    """Keys, amounts and declarations that make no sense raise where they are made, and nothing is gathered."""
    with pytest.raises(error, match=said):
        call(WriteBehind(Page, "views"))
    assert redis_client.dbsize() == 0


def test_each_prefix_has_a_ledger_of_its_own(page, settings):
    """Two projects of one database that count the same field do not take each other's batches for applied."""
    views = WriteBehind(Page, "views", using=page._state.db)
    for prefix in ("rt", "other", "p" * 250):
        settings.REDIS_TOOLKIT_PREFIX = prefix
        views.add(page.pk)
        assert views.flush().rows == 1
    assert held(page) == 13
    rows = Ledger.objects.using(page._state.db)
    assert min(len(counter) for counter in rows.values_list("counter", flat=True)) == 32
    assert rows.count() == 3


# The command


def said(*words: str) -> list[str]:
    out = StringIO()
    call_command("redis_drain", *words, stdout=out)
    return out.getvalue().splitlines()


def test_drain_flushes_too():
    """A line for each counter that had something to flush; --outbox leaves it, --write-behind leaves the outbox."""
    said("--outbox")
    pages = [Page.objects.using(name).create() for name in ("default", "postgres", "postgres")]
    counters = [WriteBehind(Page, "views", using=name) for name in ("default", "postgres")]
    for each in pages:
        counters[each._state.db == "postgres"].add(each.pk)
    counters[0].add(10**6)
    drained = ["default: 0 rows drained.", "postgres: 0 rows drained."]
    assert said("--outbox") == drained
    assert said("--write-behind", "--database=default") == [
        "app.Page.views of default: 1 row changed, 1 no more there."
    ]
    assert said() == [*drained, "app.Page.views of postgres: 2 rows changed."]
    assert said() == drained
    assert [held(each) for each in pages] == [1, 1, 1]


def test_drain_tells_what_was_not_flushed():
    """The exit is an error that names the counter and the reason; whatever else there is was flushed."""
    pages = [Page.objects.using(name).create() for name in ("default", "postgres")]
    for each in pages:
        WriteBehind(Page, "views", using=each._state.db).add(each.pk)
    reason = r"^Not all flushed: app.Page.views of default \(0 rows changed: a transaction is open\)\. What waits stays"
    with pytest.raises(CommandError, match=reason), transaction.atomic():
        said("--write-behind")
    assert [held(each) for each in pages] == [0, 1]


def test_drain_without_redis(away):
    """It says that Redis did not answer."""
    WriteBehind(Page, "views")
    with pytest.raises(CommandError, match=r"^Not all flushed: app.Page.views of default .*Redis .* did not answer"):
        said("--write-behind")


def test_the_task(caplog):
    """It flushes every counter, returns how many rows were changed, and names in the log what it could not flush."""
    from redis_toolkit.tasks import flush_write_behind

    page = Page.objects.create()
    WriteBehind(Page, "views").add(page.pk)
    WriteBehind(Page, "clicks")
    with caplog.at_level(logging.WARNING, "redis_toolkit.cache"):
        assert flush_write_behind() == 1
    assert flush_write_behind.name == "redis_toolkit.flush_write_behind"
    assert caplog.messages == [
        "app.Page.clicks of default was not flushed: WriteBehind: app.Page has no field 'clicks'."
    ]
