"""The Celery task that drains outboxes, in real workers that are started, killed and left without Redis."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
import redis
from celery import Celery, current_app
from django.db import connections, transaction

from redis_toolkit.cache import WriteBehind, looks, refreshing, renewals
from redis_toolkit.cache.behind import counters
from redis_toolkit.cache.building import status_of
from redis_toolkit.exceptions import StoreUnavailable
from redis_toolkit.models import Outbox
from tests import servers
from tests.app.models import Page, Parcel
from tests.app.remembered import described
from tests.integration.cache.leftovers import leave
from tests.listening import outcomes_heard
from tests.school import ALIASES

pytestmark = [pytest.mark.django_db(transaction=True, databases="__all__"), pytest.mark.usefixtures("empty_outboxes")]

TASK = "redis_toolkit.drain_outbox"
#: Seconds for a worker to start and to do what it is asked.
PATIENCE = 60

Start = Callable[[], "Worker"]


class Worker:
    """``celery worker`` in a process of its own."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self._log = log
        words = ["-A", "tests.worker", "worker", "--pool", "solo", "--loglevel", "INFO"]
        words += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "celery", *words], env={**environment, "PATH": ""}, stdout=file, stderr=file
            )

    @property
    def log(self) -> str:
        return self._log.read_text()

    def kill(self) -> int:
        """``kill -9``; the exit code."""
        self._process.kill()
        return self._process.wait(PATIENCE)


@pytest.fixture
def broker() -> str:
    """The address of the shared server as Celery writes it: the broker, not what the cache uses in every test."""
    path, _, database = servers.redis_url.removeprefix("unix://").partition("?db=")
    return f"redis+socket://{path}?virtual_host={database}" if database else servers.redis_url


@pytest.fixture
def worker(broker: str, django_environment: dict[str, str], tmp_path: Path) -> Iterator[Start]:
    """Start a worker; it is killed at the end of the test."""
    started: list[Worker] = []

    def start() -> Worker:
        started.append(Worker({**django_environment, "CELERY_BROKER": broker}, tmp_path / f"{len(started)}.log"))
        return started[-1]

    yield start
    for each in started:
        each.kill()


@pytest.fixture
def client(broker: str) -> Iterator[Celery]:
    """Who sends tasks. A task sent before a worker is there waits for it, and so does who waits for its result."""
    app = Celery("client", broker=broker, backend=broker, set_as_current=False)
    yield app
    app.backend.result_consumer.stop()
    app.close()


def asked(client: Celery) -> Any:
    """Ask for a drain, and for its result."""
    return client.send_task(TASK, ignore_result=False)


def count(alias: str) -> int:
    rows: int = Outbox.objects.using(alias).count()
    return rows


@contextmanager
def held(alias: str, row: int) -> Iterator[None]:
    """Nobody can delete this row meanwhile; on SQLite nobody can write at all."""
    rows = Outbox.objects.using(alias)
    key = rows.order_by("pk")[row].pk
    with transaction.atomic(using=alias):
        if alias == "postgres":
            rows.select_for_update().get(pk=key)
        yield


@contextmanager
def dropped(server: redis.Redis, stamp: str) -> Iterator[None]:
    """Wait, after the block, until ``stamp`` has been dropped."""
    server.config_set("notify-keyspace-events", "Kg")
    database = server.connection_pool.connection_kwargs.get("db", 0)
    with server.pubsub(ignore_subscribe_messages=True) as heard:
        heard.subscribe(f"__keyspace@{database}__:{stamp}")
        # The confirmation; from here on nothing is missed.
        heard.get_message(timeout=PATIENCE)
        yield
        assert heard.get_message(timeout=PATIENCE)["data"] == b"del"


def wait_until_somebody_waits(alias: str) -> None:
    """Return when a statement waits for a lock: the worker has heard from Redis, and is deleting."""
    deadline = perf_counter() + PATIENCE
    waiting = 0
    while not waiting:
        assert perf_counter() < deadline
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            (waiting,) = cursor.fetchone()


@contextmanager
def held_by_default(app: Celery) -> Iterator[None]:
    """Tasks are sent by ``app``, as in a project whose package imports its Celery app."""
    before = current_app._get_current_object()
    app.set_default()
    app.set_current()
    yield
    before.set_default()
    before.set_current()


WRITER = """
import os, django
django.setup()
from django.db import connections, transaction
from tests.app.models import Lesson
with transaction.atomic(using={alias!r}):
    transaction.on_commit(lambda: os._exit(9), using={alias!r})
    Lesson.objects.using({alias!r}).filter(pk={pk}).update(title="new")
"""


def test_what_a_dead_writer_left_behind(term, worker, client, django_environment, settings):
    """A writer that cannot reach Redis commits and is gone; a reader that never looks is right once the task has run."""
    settings.REDIS_TOOLKIT_OUTBOX_INTERVAL = 3600
    looks.forget()
    read = lambda: term.cached.get(pk=term.lessons[5].pk).title  # noqa: E731 - asked often
    assert [read(), read()] == ["Lesson 5"] * 2
    script = WRITER.format(alias=term.alias, pk=term.lessons[5].pk)
    away = {**django_environment, "REDIS_URL": "redis://127.0.0.1:1/0", "PATH": ""}
    assert subprocess.run([sys.executable, "-c", script], env=away, check=False).returncode == 9
    assert (read(), count(term.alias)) == ("Lesson 5", 1)
    worker()
    assert asked(client).get(timeout=PATIENCE) == 1
    assert (read(), count(term.alias)) == ("new", 0)


def test_both_databases(worker, client, redis_client):
    """One run drains the outbox of every database and returns how many rows are gone; the next finds none."""
    stamps = leave("default", redis_client, range(3)) + leave("postgres", redis_client, range(4))
    worker()
    assert asked(client).get(timeout=PATIENCE) == 7
    assert (redis_client.exists(*stamps), count("default"), count("postgres")) == (0, 0, 0)
    assert asked(client).get(timeout=PATIENCE) == 0


@pytest.mark.parametrize(("alias", "left"), [("postgres", 500), ("default", 700)])
def test_killed_in_the_middle(alias, left, worker, client, redis_client):
    """Killed (-9) amid 700 rows: what had not been deleted, dropped or not, is drained by the next: 0 rows, 0 stamps left.

    On PostgreSQL the first piece of 200 was gone, on SQLite, where nobody could write, none.
    """
    stamps = leave(alias, redis_client, range(700))
    last = {"postgres": 399, "default": 199}[alias]
    killed = worker()
    with held(alias, 300):
        with dropped(redis_client, stamps[last]):
            asked(client)
        assert killed.kill() == -signal.SIGKILL
        assert count(alias) == left
    # Of the next piece none had been dropped.
    assert redis_client.exists(*stamps) == 700 - 1 - last
    worker()
    assert asked(client).get(timeout=PATIENCE) == left
    assert (redis_client.exists(*stamps), count(alias)) == (0, 0)


def test_redis_is_stopped_while_the_task_runs(valkey, worker, client, redis_client):
    """The run fails, without a traceback; 300 of 700 rows stay, and the next run of the same worker drains them."""
    stamps = leave("postgres", redis_client, range(700))
    running = worker()
    with held("postgres", 300):
        with dropped(redis_client, stamps[399]):
            failing = asked(client)
        # Redis has dropped them; whether the worker knows is another matter.
        wait_until_somebody_waits("postgres")
        valkey.kill()
    with pytest.raises(StoreUnavailable, match="did not answer"):
        failing.get(timeout=PATIENCE)
    assert count("postgres") == 300
    valkey.start()
    assert asked(client).get(timeout=PATIENCE) == 300
    assert count("postgres") == 0
    # (What a worker says of a task may come after its result, and comes before its next task.)
    assert "raised expected: StoreUnavailable" in running.log
    assert "Traceback" not in running.log


def test_flushing_what_was_gathered(worker, client, monkeypatch):
    """A worker flushes to both databases and returns how many rows it changed; the next run finds nothing."""
    monkeypatch.setattr(counters, "_declared", {})
    pages = [Page.objects.using(alias).create() for alias in ALIASES]
    for page in pages:
        WriteBehind(Page, "views", using=page._state.db).add(page, 3)
    worker()
    for rows in (2, 0):
        flushed = client.send_task("redis_toolkit.flush_write_behind", ignore_result=False)
        assert flushed.get(timeout=PATIENCE) == rows
    for page in pages:
        page.refresh_from_db()
        assert page.views == 3
        page.delete()


def test_what_lies_in_the_queue(client, broker, shared_redis):
    """A message of beat's asks for no result, and is thrown away by a worker that finds it a minute late."""
    from redis_toolkit.tasks import drain_outbox

    drain_outbox.bind(client)
    assert drain_outbox.name == TASK
    drain_outbox.apply_async()
    (message,) = shared_redis.lrange("celery", 0, -1)
    headers = json.loads(message)["headers"]
    assert (headers["task"], headers["ignore_result"], headers["retries"]) == (TASK, True, 0)
    assert headers["expires"] is not None


def test_filters_are_built_with_progress(worker, client):
    """A worker builds a filter of 700 rows, says how far it is after each piece, and what became of it."""
    Parcel.objects.bulk_create(Parcel() for _ in range(700))
    said = []
    building = client.send_task("redis_toolkit.build_blooms", (["app.Parcel"],))
    worker()
    found = building.get(timeout=PATIENCE, on_message=said.append)
    assert found == {"app.Parcel (default)": "built"}
    assert [message["result"] for message in said if message["status"] == "PROGRESS"] == [
        {"filter": "app.Parcel (default)", "done": done, "total": 700} for done in (500, 700)
    ]
    assert len(Parcel.cached.in_bulk([uuid.UUID(int=1)])) == 0
    status = status_of(Parcel, "default")
    # (A member may look like one that is there already.)
    assert (status.state, 690 <= status.number <= 700, status.size.capacity) == ("complete", True, 1050)
    Parcel.objects.all().delete()


@pytest.mark.parametrize("alias", ["default"])
def test_a_worker_warms(term, worker, client, cost):
    """Every row of a model by its key: 10 by one run, and 10 by the next, which finds them there; each is a hit here."""
    worker()
    for _ in range(2):
        sent = client.send_task("redis_toolkit.warm", kwargs={"models": ["app.Lesson"]}, ignore_result=False)
        assert sent.get(timeout=PATIENCE) == 10
    with cost() as it:
        assert len(term.cached.in_bulk([lesson.pk for lesson in term.lessons])) == 10
    assert it.outcomes == [("bulk", "hit")]


def test_a_worker_refreshes(worker, broker, settings, redis_client):
    """A reader is given what is past its fresh, and finds there next what the worker has loaded, in another process."""
    settings.REDIS_TOOLKIT_REFRESHER = "redis_toolkit.tasks.send_refresh"
    renewals.forget()
    with Celery("site", broker=broker) as site, held_by_default(site):
        mine = described(1)
        assert (described(1), mine["process"]) == (mine, os.getpid())
        refreshing.wait()
        [claim] = redis_client.keys("rt:o:*")
        with dropped(redis_client, claim.decode()):
            worker()
        found = described(1)
        # (That is past its fresh as well: it is told of before the next test has another server and no broker.)
        refreshing.wait()
    assert found["process"] != mine["process"]
    assert found == {**mine, "process": found["process"]}


def test_the_broker_is_away(settings):
    """The thread of the reader's process does it; the reader has not waited for the broker."""
    settings.REDIS_TOOLKIT_REFRESHER = "redis_toolkit.tasks.send_refresh"
    renewals.forget()
    with Celery("site", broker="redis://127.0.0.1:1/0") as site, held_by_default(site):
        described(1)
        with outcomes_heard() as told:
            described(1)
            refreshing.wait()
    assert told == ["hit", "refresh"]
