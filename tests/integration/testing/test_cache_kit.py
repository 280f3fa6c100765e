"""The kit for tests of what is cached, inside ``TestCase`` and outside."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import pytest
import redis
from django.db import IntegrityError, connections, transaction
from django.test import TestCase, TransactionTestCase, override_settings

from redis_toolkit.conf import settings
from redis_toolkit.exceptions import StoreUnavailable
from redis_toolkit.testing.cache import (
    IsolatedCacheMixin,
    Read,
    assert_cache_hits,
    assert_redis_round_trips,
    isolated_cache,
    run_commit_hooks,
)
from tests import servers
from tests.app.models import Lesson, Room, Student
from tests.concurrency.timetable import Timetable
from tests.integration.cache.term import Term


@pytest.fixture(autouse=True, scope="module")
def server(shared_redis: redis.Redis) -> None:
    """There is one before the first class is set up."""


def keys(pattern: str = "*") -> list[bytes]:
    """The keys that the shared server has."""
    with redis.Redis.from_url(servers.redis_url) as client:
        return sorted(client.keys(pattern))


class Kept:
    """What holds in a ``TestCase`` on either database. No test case itself, which pytest would run."""

    alias = ""
    #: Whether a block commits by itself.
    commits = False
    term: Term

    @classmethod
    def setUpTestData(cls) -> None:
        cls.term = Term(cls.alias)

    def list_of(self, group: int) -> list[str]:
        """A cached list."""
        return [lesson.title for lesson in self.term.cached.filter(group=self.term.groups[group]).order_by("pk")]

    def test_a_list_is_a_miss_and_then_a_hit(self) -> None:
        """What setUpTestData has made is read once and then answered from Redis, on SQLite, too."""
        with assert_cache_hits(1, misses=1, bypasses=0) as reads:
            assert [self.list_of(5), self.list_of(5)] == [["Lesson 5"]] * 2
        assert reads == [Read("app.Lesson", "rows", "miss"), Read("app.Lesson", "rows", "hit")]

    def test_the_next_test_begins_empty(self) -> None:
        """The same list is a miss here as well, whichever test comes first."""
        with assert_cache_hits(1, misses=1):
            self.list_of(5)
            self.list_of(5)

    def test_a_save_ends_its_own_entries_and_no_others(self) -> None:
        """After a save its group is a miss with the new value, and another group a hit."""
        self.list_of(5)
        self.list_of(6)
        lesson = self.term.again(5)
        lesson.title = "new"
        lesson.save()
        with assert_cache_hits(1, misses=1):
            assert [self.list_of(5), self.list_of(6)] == [["new"], ["Lesson 6"]]

    def test_a_block_of_ones_own_is_a_transaction(self) -> None:
        """Inside, what was written is read from the database; after it, stored and hit; a rollback brings the old."""
        self.list_of(5)
        with transaction.atomic(using=self.alias):
            self.term.plain(Lesson).filter(pk=self.term.lessons[5].pk).update(title="new")
            with assert_cache_hits(0, bypasses=2):
                assert [self.list_of(5), self.list_of(5)] == [["new"]] * 2
        with assert_cache_hits(1, misses=1):
            assert [self.list_of(5), self.list_of(5)] == [["new"]] * 2
        with pytest.raises(ZeroDivisionError), transaction.atomic(using=self.alias):
            self.term.plain(Lesson).filter(pk=self.term.lessons[5].pk).update(title="newer")
            assert self.list_of(5) == ["newer"]
            raise ZeroDivisionError
        with assert_cache_hits(1, misses=1):
            assert [self.list_of(5), self.list_of(5)] == [["new"]] * 2

    def test_a_failed_write_leaves_the_test_usable(self) -> None:
        """IntegrityError in a block of one's own: the answers after it are the old ones, and cached."""
        with pytest.raises(IntegrityError), transaction.atomic(using=self.alias):
            self.term.plain(Student).all().delete()
            self.term.lesson(11, slug="lesson-5").save(using=self.alias)
        with assert_cache_hits(1, misses=1):
            assert [self.list_of(5), self.list_of(5)] == [["Lesson 5"]] * 2

    def test_a_failed_statement_outside_of_a_block(self) -> None:
        """On SQLite the test goes on after a statement of one's own that failed, as it does without a keyspace."""
        if self.alias == "default":
            with pytest.raises(IntegrityError), connections[self.alias].cursor() as cursor:
                cursor.execute("UPDATE app_lesson SET title = NULL WHERE id = %s", [self.term.lessons[5].pk])
        assert self.list_of(5) == ["Lesson 5"]

    def test_round_trips_are_those_of_production(self) -> None:
        """A hit is 1, a save 2 and the delete of a row with m2m rows 3, as outside of TestCase."""
        self.list_of(5)
        with assert_redis_round_trips(1):
            self.list_of(5)
        lesson = self.term.again(5)
        lesson.title = "new"
        with assert_redis_round_trips(2):
            lesson.save()
        with assert_redis_round_trips(3):
            lesson.delete()

    def test_hooks_are_run(self) -> None:
        """on_commit() of a block that TestCase keeps from committing: 1 call, at the end, which reads the new value."""
        self.list_of(5)
        seen: list[Any] = []
        with run_commit_hooks():
            with transaction.atomic(using=self.alias):
                self.term.plain(Lesson).filter(pk=self.term.lessons[5].pk).update(title="new")
                transaction.on_commit(lambda: seen.append(self.list_of(5)), using=self.alias)
            assert (seen != []) is self.commits
        assert seen == [["new"]]

    def test_nothing_is_left_under_the_projects_prefix(self) -> None:
        """Neither stamps nor entries of this test lie where the project's own do."""
        self.list_of(5)
        self.term.again(5).save()
        assert keys("rt.test-*") != []
        assert keys("rt:[qrs]:*") == []

    def test_answers_are_exact_after_every_write(self) -> None:
        """A battery of 21 questions, asked after each of 6 kinds of write: 0 wrong."""
        for model in (Lesson, Room):
            self.term.plain(model).all().delete()
        for each in (*self.term.groups, *self.term.teachers, *self.term.students):
            each.delete()
        timetable = Timetable(self.alias)
        wrong = [timetable.stale()]
        timetable.change(title="new", group_id=2)
        wrong.append(timetable.stale())
        timetable.add(2, group_id=3)
        wrong.append(timetable.stale())
        Lesson.objects.using(self.alias).filter(period=2).update(group_id=1, room_id=None)
        wrong.append(timetable.stale())
        timetable.lesson.students.set([1, 2])
        wrong.append(timetable.stale())
        timetable.run_sql("UPDATE app_lesson SET title = 'raw'")
        wrong.append(timetable.stale())
        timetable.lesson.delete()
        assert [*wrong, timetable.stale()] == [0] * 7


class OnSQLite(Kept, IsolatedCacheMixin, TestCase):
    """In the transaction of a TestCase on SQLite, which would otherwise never fill."""

    alias = "default"
    databases = {"default"}


class OnPostgreSQL(Kept, IsolatedCacheMixin, TestCase):
    """In the transaction of a TestCase on PostgreSQL."""

    alias = "postgres"
    databases = {"postgres"}


class Asynchronous(IsolatedCacheMixin, TestCase):
    """The ORM of a coroutine runs in another thread than the coroutine."""

    databases = {"postgres"}
    term: Term

    @classmethod
    def setUpTestData(cls) -> None:
        cls.term = Term("postgres")

    async def test_round_trips_are_counted(self) -> None:
        """A hit is 1, a save 2 and a miss 3, as in a test that is not asynchronous."""
        # The first read finds what was written into the outbox when the databases were made, without a server.
        await self.term.cached.acount()
        with assert_redis_round_trips(1):
            assert await self.term.cached.acount() == 10
        with assert_redis_round_trips(2):
            await self.term.lessons[5].asave(using="postgres")
        with assert_redis_round_trips(3):
            assert await self.term.cached.acount() == 10


class InATransactionTestCase(Kept, IsolatedCacheMixin, TransactionTestCase):
    """The same where transactions do end."""

    alias = "postgres"
    commits = True
    databases = {"postgres"}

    def setUp(self) -> None:
        super().setUp()
        self.term = Term(self.alias)


class WhoeverForgetsSetUp(IsolatedCacheMixin, TestCase):
    """A class whose ``setUp`` does not call ours. Either test writes what the other must not be given."""

    databases = {"default", "postgres"}
    terms: dict[str, Term]

    @classmethod
    def setUpTestData(cls) -> None:
        cls.terms = {alias: Term(alias) for alias in ("default", "postgres")}
        with assert_cache_hits(2, misses=2):
            for term in cls.terms.values():
                assert [term.cached.count(), term.cached.count()] == [10, 10]

    def setUp(self) -> None:
        """Nothing."""

    def _write_and_read(self, gone: int) -> None:
        with assert_cache_hits(0, misses=0, bypasses=4):
            for term in self.terms.values():
                assert term.cached.count() == 10
                term.plain(Lesson).filter(pk__in=[each.pk for each in term.lessons[:gone]]).delete()
                assert term.cached.count() == 10 - gone
        assert settings.PREFIX == "rt"
        assert keys("rt.test-*") == keys("rt:[qr]:*") == []

    def test_one(self) -> None:
        """What the other deletes is there: every read is a bypass, under the prefix of the project."""
        self._write_and_read(1)

    def test_another(self) -> None:
        """The same."""
        self._write_and_read(2)


@override_settings(REDIS_TOOLKIT_OUTBOX_INTERVAL=7)
class WithSettingsOfItsOwn(IsolatedCacheMixin, TestCase):
    """A class with settings: they hold in its tests, and go with it."""

    def test_they_hold(self) -> None:
        """In the keyspace of the test, which is one below the project's."""
        assert settings.OUTBOX_INTERVAL == 7
        assert settings.PREFIX.startswith("rt.test-")
        assert settings.PREFIX.count("test-") == 1


class WithoutTheMixin(TestCase):
    """What is left when a keyspace ends and the transaction of the test goes on."""

    databases = {"default", "postgres"}

    def test_what_was_written_is_nobodys_business(self) -> None:
        """After the block every read of the test is a bypass, and 0 keys lie under the project's prefix."""
        for alias in ("default", "postgres"):
            with isolated_cache() as prefix:
                term = Term(alias)
                assert term.cached.filter(group=term.groups[5]).count() == 1
                assert keys(f"{prefix}:*") != []
            assert keys(f"{prefix}:*") == []
            with assert_cache_hits(0, misses=0, bypasses=2):
                assert term.cached.filter(group=term.groups[5]).count() == 1
                assert Room.objects.using(alias).count() == term.cached.filter(weekday=1).count() == 2
            assert keys("rt:[qr]:*") == []

    def test_what_was_written_before_is_read_as_it_is(self) -> None:
        """Rows the test wrote ahead of its keyspace are cached in it, and not after it."""
        term = Term("postgres")
        with isolated_cache(), assert_cache_hits(1, misses=1):
            assert [term.cached.count(), term.cached.count()] == [10, 10]
        with assert_cache_hits(0, bypasses=2):
            assert [term.cached.count(), term.cached.count()] == [10, 10]

    def test_keyspaces_may_be_nested(self) -> None:
        """The inner one begins empty, and the outer one is as it was when the inner has ended."""
        term = Term("postgres")
        with isolated_cache():
            term.cached.count()
            with isolated_cache(), assert_cache_hits(1, misses=1):
                assert [term.cached.count(), term.cached.count()] == [10, 10]
                term.plain(Lesson).filter(pk=term.lessons[0].pk).delete()
            # What was written in the inner one was not marked here, so nothing that was stored here is left.
            with assert_cache_hits(1, misses=1):
                assert [term.cached.count(), term.cached.count()] == [9, 9]


@pytest.mark.django_db
def test_the_database_of_pytest_django(settings: Any) -> None:
    """In pytest-django's own transaction, with the cache turned off in the settings: a miss and a hit."""
    settings.REDIS_TOOLKIT_ENABLED = False
    with isolated_cache(), assert_cache_hits(1, misses=1):
        assert [Lesson.cached.count(), Lesson.cached.count()] == [0, 0]
    with assert_cache_hits(0, bypasses=1):
        Lesson.cached.count()


@pytest.mark.django_db(transaction=True, databases=["postgres"])
def test_a_keyspace_in_a_block_of_ones_own() -> None:
    """The transaction around it goes on afterwards: its own writes are read, its marks go when it is rolled back."""
    # (One whose isolation level nobody has set.)
    connections["postgres"].close()
    term = Term("postgres")
    with pytest.raises(ZeroDivisionError), transaction.atomic(using="postgres"):
        term.plain(Lesson).filter(pk=term.lessons[0].pk).delete()
        with isolated_cache(), assert_cache_hits(1, misses=1):
            assert [term.cached.count(), term.cached.count()] == [9, 9]
        with redis.Redis.from_url(servers.redis_url) as client:
            client.flushdb()
        # Redis has lost the marks, and what was written before is remembered all the same.
        with assert_cache_hits(0, misses=0, bypasses=1):
            assert term.cached.count() == 9
        term.plain(Lesson).filter(pk=term.lessons[1].pk).delete()
        raise ZeroDivisionError
    with assert_cache_hits(1, misses=1):
        assert [term.cached.count(), term.cached.count()] == [10, 10]


@pytest.mark.django_db(transaction=True, databases=["postgres"])
def test_a_keyspace_in_a_transaction_begun_by_hand() -> None:
    """The same where Django knows of no block: what was written before is not read from the cache afterwards."""
    term = Term("postgres")
    term.cached.count()
    transaction.set_autocommit(False, using="postgres")
    try:
        term.plain(Lesson).filter(pk=term.lessons[0].pk).delete()
        with isolated_cache(), assert_cache_hits(1, misses=1):
            assert [term.cached.count(), term.cached.count()] == [9, 9]
        transaction.rollback(using="postgres")
    finally:
        transaction.set_autocommit(True, using="postgres")
    with assert_cache_hits(1, misses=1):
        assert [term.cached.count(), term.cached.count()] == [10, 10]


@pytest.mark.django_db(transaction=True, databases=["postgres"])
def test_a_transaction_that_was_lost_before() -> None:
    """One whose connection is gone is not gone on with: what is written in the keyspace is nobody's business after it."""
    term = Term("postgres")
    with pytest.raises(ZeroDivisionError), transaction.atomic(using="postgres"):
        term.plain(Lesson).filter(pk=term.lessons[0].pk).delete()
        raise ZeroDivisionError
    connections["postgres"].close()
    with redis.Redis.from_url(servers.redis_url) as client:
        client.flushdb()  # (Nobody takes its marks off.)
    with ExitStack() as block:
        with isolated_cache():
            # As the class of a TestCase does.
            block.enter_context(transaction.atomic(using="postgres"))
            term.plain(Lesson).filter(pk=term.lessons[1].pk).delete()
        with assert_cache_hits(0, misses=0, bypasses=1):
            assert term.cached.count() == 9
        transaction.set_rollback(True, using="postgres")
    assert term.cached.count() == 10


@pytest.mark.django_db
def test_a_server_without_the_scripts() -> None:
    """A keyspace begins with them, so a miss is 3 round trips whatever was done before."""
    with isolated_cache():
        # (The first read finds what was written into the outbox when the databases were made.)
        Lesson.cached.count()
    with redis.Redis.from_url(servers.redis_url) as client:
        client.script_flush()
    with isolated_cache(), assert_redis_round_trips(3):
        Lesson.cached.count()


@pytest.mark.django_db(databases=["postgres"])
def test_redis_goes_in_the_middle_of_a_test(valkey) -> None:
    """Killed within the keyspace: writes and reads go on with the database. Started again: the next test is cached."""
    with isolated_cache():
        term = Term("postgres")
        term.cached.count()
        valkey.kill()
        term.plain(Lesson).filter(pk=term.lessons[0].pk).delete()
        with assert_cache_hits(0, bypasses=1):
            assert term.cached.count() == 9
    valkey.start()
    with isolated_cache(), assert_cache_hits(1, misses=1):
        assert [term.cached.count(), term.cached.count()] == [9, 9]


def test_without_redis_the_test_fails() -> None:
    """A test of the cache without a server is an error that names the way out."""
    nowhere = {"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": "unix:///nowhere/at.all?db=0"}}
    with (
        override_settings(CACHES=nowhere),
        pytest.raises(StoreUnavailable, match=r"needs Redis.*servers"),
        isolated_cache(),
    ):
        raise AssertionError("the block was run")


@pytest.mark.django_db(transaction=True)
def test_what_a_failure_says() -> None:
    """The message tells what was expected and names each read; a block that raises says only what it raised."""
    with isolated_cache():
        with pytest.raises(AssertionError) as wrong, assert_cache_hits(2, bypasses=0):
            Lesson.cached.count()
            Lesson.cached.filter(pk=1).exists()
        assert str(wrong.value) == (
            "2 of outcome 'hit' expected, 0 seen.\n  1. count of app.Lesson: miss\n  2. exists of app.Lesson: miss"
        )
        with pytest.raises(AssertionError, match="No cached read was made"), assert_cache_hits(1):
            Lesson.objects.count()
        with (
            pytest.raises(AssertionError, match=r"^5 round trips to Redis expected, 1 seen\.$"),
            assert_redis_round_trips(5),
        ):
            Lesson.cached.count()
        with pytest.raises(ZeroDivisionError), assert_cache_hits(1), assert_redis_round_trips(1):
            raise ZeroDivisionError


def test_no_database_is_asked() -> None:
    """The keyspace alone opens no connection, so a test without a database may have one."""
    connections.close_all()
    with isolated_cache():
        assert [each.connection for each in connections.all()] == [None] * len(connections.settings)
