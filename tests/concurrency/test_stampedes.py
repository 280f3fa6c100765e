"""Breakdown of a hot key: 200 readers in 4 processes, and one load; with its loader killed, two."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import redis

from tests.concurrency.timetable import Timetable

pytestmark = pytest.mark.django_db(transaction=True, databases=["postgres"])

PROCESSES, THREADS = 4, 50
#: Seconds that nobody waits longer than. (Not the setting's default: on a machine that does two other things as well
#: a second load may outlast that, and who then loads by himself is no fault.)
BOUND = 60.0
#: A process of readers. Each thread says that it is there, waits for the word, asks once and tells what it was given.
READERS = """
import json, sys, threading, time
import django
from django.conf import settings
for name, value in json.loads(sys.argv[1]).items():
    setattr(settings, name, value)
# However busy the machine is, nobody gives up waiting for anything but a load.
settings.REDIS_TOOLKIT_READ_TIMEOUT = settings.REDIS_TOOLKIT_CONNECT_TIMEOUT = 30
# A look at the outbox by one of so many threads may take a second; then it must not be out of date, or all would load.
settings.REDIS_TOOLKIT_OUTBOX_INTERVAL = 60
django.setup()
import redis
from django.db import connections
from django.db.backends.signals import connection_created
from redis_toolkit.cache import flights, looks, refreshing
from redis_toolkit.core.clock import travel
from tests.app.models import Lesson
looks._PATIENCE = 30
counter = redis.Redis.from_url(sys.argv[2])
fresh, later, count, hangs = float(sys.argv[3]) or None, float(sys.argv[4]), int(sys.argv[5]), int(sys.argv[6])
# Nor is a load taken for dead because the machine is busy: but for the one that hangs, claims outlive who waits for them.
flights._UNKNOWN = 4 if hangs else 60
takes = float(sys.argv[7])
def slowly(execute, sql, params, many, context):
    if 'FROM "app_lesson"' not in sql:
        return execute(sql, params, many, context)
    if counter.incr("loads") == hangs:
        print("loading", flush=True)
        threading.Event().wait()
    threading.Event().wait(takes)
    return execute(sql, params, many, context)
def slow(connection, **_):
    connection.execute_wrappers.append(slowly)
connection_created.connect(slow)
answers, gate = [], threading.Barrier(count + 1)
def read():
    lessons = Lesson.cached.using("postgres").filter(group=1).cache(fresh=fresh)
    gate.wait()
    began = time.perf_counter()
    [lesson] = lessons
    answers.append((lesson.title, time.perf_counter() - began))
    connections.close_all()
crowd = [threading.Thread(target=read) for _ in range(count)]
for thread in crowd:
    thread.start()
print("ready", flush=True)
sys.stdin.readline()
with travel(later):
    gate.wait()
    for thread in crowd:
        thread.join()
    refreshing.wait()
print(json.dumps(answers), flush=True)
"""


class Crowd:
    """The readers of one process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def says(self) -> str:
        """The next thing it says."""
        return self.process.stdout.readline().strip()

    def go(self) -> None:
        """Let all its readers ask."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def answers(self) -> list[tuple[str, float]]:
        """What its readers were given, and after how many seconds."""
        told: list[tuple[str, float]] = json.loads(self.says())
        return told


@pytest.fixture
def counter(redis_client: redis.Redis) -> Callable[[], int]:
    """How many loads there were."""
    return lambda: int(redis_client.get("loads") or 0)


@pytest.fixture
def crowds(django_environment: dict[str, str], redis_url: str, timetable: Timetable) -> Any:
    """Processes of readers that are ready, for whom it is ``later`` seconds later.

    A load ``takes`` so many seconds; that of the number ``hangs`` never ends.
    """

    @contextmanager
    def begin(
        processes: int, threads: int, *, fresh: float = 0, later: float = 0, hangs: int = 0, takes: float = 0.05,
        **settings: Any,
    ) -> Iterator[list[Crowd]]:  # fmt: skip
        pipe = subprocess.PIPE
        told = json.dumps({f"REDIS_TOOLKIT_{name}": value for name, value in settings.items()})
        numbers = map(str, (fresh, later, threads, hangs, takes))
        command = [sys.executable, "-c", READERS, told, redis_url, *numbers]
        with ExitStack() as stack:
            begun = []
            for _ in range(processes):
                process = stack.enter_context(
                    subprocess.Popen(command, env=django_environment, stdin=pipe, stdout=pipe, text=True)
                )
                stack.callback(process.kill)
                begun.append(Crowd(process))
            for crowd in begun:
                assert crowd.says() == "ready"
            yield begun

    return begin


def test_one_load_for_two_hundred_readers(crowds: Any, counter: Callable[[], int]) -> None:
    """4 processes of 50 threads ask at once for what is not there, and takes 50 ms to load: 1 load."""
    with crowds(PROCESSES, THREADS, FLIGHT_WAIT=BOUND) as begun:
        for crowd in begun:
            crowd.go()
        answers = [answer for crowd in begun for answer in crowd.answers()]
    assert [len(answers), {title for title, _ in answers}, counter()] == [200, {"old"}, 1]


def test_two_hundred_loads_without_single_flight(crowds: Any, counter: Callable[[], int]) -> None:
    """The same without it: what it is for."""
    # So slow that the last has asked before the first has stored, however busy the machine is.
    with crowds(2, 10, takes=2, SINGLE_FLIGHT=False) as begun:
        for crowd in begun:
            crowd.go()
        answers = [answer for crowd in begun for answer in crowd.answers()]
    assert (len(answers), counter()) == (20, 20)


def test_the_loader_is_killed(crowds: Any, counter: Callable[[], int]) -> None:
    """1. 150 readers in 3 processes wait for a load  2. its process is killed -9: one more load, and nobody waits too long."""
    with crowds(1, 1, hangs=1) as [victim], crowds(3, THREADS, FLIGHT_WAIT=BOUND) as begun:
        victim.go()
        assert victim.says() == "loading"
        for crowd in begun:
            crowd.go()
        victim.process.kill()
        answers = [answer for crowd in begun for answer in crowd.answers()]
    assert [len(answers), {title for title, _ in answers}, counter()] == [150, {"old"}, 2]
    assert max(waited for _, waited in answers) < BOUND


def test_expired_but_servable(crowds: Any, counter: Callable[[], int]) -> None:
    """Past `fresh` 200 readers are all given what is there, and one load makes it anew."""
    # Once it was slow: a claim stands for four times as long, so none runs out however busy the machine is.
    with crowds(1, 1, fresh=60, takes=1) as [first]:
        first.go()
        assert [title for title, _ in first.answers()] == ["old"]
    with crowds(PROCESSES, THREADS, fresh=60, later=600) as begun:
        for crowd in begun:
            crowd.go()
        answers = [answer for crowd in begun for answer in crowd.answers()]
    assert [len(answers), {title for title, _ in answers}, counter()] == [200, {"old"}, 2]
