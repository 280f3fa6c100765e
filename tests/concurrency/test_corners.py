"""The second corner of the promise: marks lost under a writer that then dies. Either alone costs misses."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import pytest
import redis

from tests.concurrency.actors import PATIENCE
from tests.concurrency.timetable import PG, Timetable
from tests.listening import outcomes_heard

pytestmark = pytest.mark.django_db(transaction=True, databases=["postgres"])

#: Seconds that the answers of these plays may live: longer than any of them takes.
TTL = 60
#: A process that writes, commits, unmarks, and before each of the last two says where it is and waits for a word.
WRITER = """
import sys
import django
from django.conf import settings
settings.REDIS_TOOLKIT_MARK_TTL = float(sys.argv[1])
django.setup()
import pytest
from django.db import transaction
from tests.app.models import Lesson
from tests.concurrency.rules import leave_out
if sys.argv[2] != "None":
    leave_out(sys.argv[2], pytest.MonkeyPatch())
def pause(place):
    print(place, flush=True)
    sys.stdin.readline()
with transaction.atomic(using="postgres"):
    transaction.on_commit(lambda: pause("committed"), using="postgres")
    lesson = Lesson.objects.using("postgres").get(pk=1)
    lesson.title = "new"
    lesson.save()
    pause("written")
pause("returned")
"""


class Writer:
    """The director's end of the process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def arrives(self, place: str) -> None:
        """Wait until the writer stands at ``place``."""
        assert self._process.stdout.readline() == f"{place}\n"

    def to(self, place: str) -> None:
        """Let the writer go on to ``place``."""
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        self.arrives(place)

    def die(self) -> None:
        """Kill -9."""
        self._process.send_signal(signal.SIGKILL)
        assert self._process.wait(PATIENCE) == -signal.SIGKILL


@pytest.fixture
def writer(django_environment: dict[str, str]) -> Callable[..., Any]:
    """A writer that has written and not committed, with the life of its marks in seconds; without one rule, if asked."""

    @contextmanager
    def begin(mark_ttl: float = 60, rule: str | None = None) -> Iterator[Writer]:
        pipe = subprocess.PIPE
        command = [sys.executable, "-c", WRITER, str(mark_ttl), str(rule)]
        with subprocess.Popen(command, env=django_environment, stdin=pipe, stdout=pipe, text=True) as process:
            begun = Writer(process)
            try:
                begun.arrives("written")
                yield begun
            finally:
                process.kill()

    return begin


@pytest.fixture
def heard() -> Iterator[list[str]]:
    """How reads were answered."""
    with outcomes_heard() as outcomes:
        yield outcomes


@pytest.fixture
def entries(redis_client: redis.Redis) -> Callable[[], list[bytes]]:
    """The keys of what is remembered: all but stamps and claims."""
    return lambda: [
        key for key in redis_client.scan_iter("rt:*", count=10_000) if not key.startswith((b"rt:s:", b"rt:w:"))
    ]


#: How marks get lost under their writer: the life they are given, and what happens to them.
LOSSES = {"evicted": 60.0, "flushed": 60.0, "run out": 0.05}


def lose(how: str, redis_client: redis.Redis, marked: Callable[[], set[str]]) -> None:
    """Marks that stand are evicted, or flushed, or waited for until their own time is over."""
    if how == "evicted":
        assert redis_client.delete(*(f"rt:s:{PG}:{name}" for name in marked())) == 7
    elif how == "flushed":
        redis_client.flushall()
    deadline = perf_counter() + PATIENCE
    while marked():
        assert perf_counter() < deadline


def week(timetable: Timetable) -> list[str]:
    return [lesson.title for lesson in timetable.cached.filter(group=1).order_by("pk").cache(ttl=TTL)]


@pytest.mark.parametrize("how", LOSSES)
def test_marks_are_lost_and_their_writer_dies_after_its_commit(
    timetable: Timetable, writer: Any, redis_client: redis.Redis, marked: Callable[[], set[str]],
    entries: Callable[[], list[bytes]], heard: list[str], how: str,
) -> None:  # fmt: skip
    """Corner 2. 1. marks are lost  2. a reader stores the old row  3. commit, kill -9: stale for the entry's ttl at most."""
    with writer(LOSSES[how]) as process:
        lose(how, redis_client, marked)
        assert week(timetable) == ["old"]
        process.to("committed")
        process.die()
    assert timetable.lesson.title == "new"
    [entry] = entries()
    left = redis_client.pttl(entry)
    assert [week(timetable), week(timetable), heard] == [["old"], ["old"], ["miss", "hit", "hit"]]
    # The bound: who asks does not lengthen it.
    assert 0 < redis_client.pttl(entry) <= left <= TTL * 1000
    redis_client.pexpire(entry, 1)
    deadline = perf_counter() + PATIENCE
    while redis_client.exists(entry):
        assert perf_counter() < deadline
    assert [week(timetable), week(timetable), heard[3:]] == [["new"], ["new"], ["miss", "hit"]]


@pytest.mark.parametrize(("rule", "stale"), [(None, 0), ("lost_marks", 1)])
@pytest.mark.parametrize("how", LOSSES)
def test_marks_are_lost_and_their_writer_lives(
    timetable: Timetable, writer: Any, redis_client: redis.Redis, marked: Callable[[], set[str]], how: str,
    rule: str | None, stale: int,
) -> None:  # fmt: skip
    """1. marks are lost  2. a reader stores the old row  3. the writer commits and unmarks: 0 stale once it is back."""
    with writer(LOSSES[how], rule) as process:
        lose(how, redis_client, marked)
        assert week(timetable) == ["old"]
        process.to("committed")
        # Its call has not returned: old is right, and so would new be.
        assert week(timetable) == ["old"]
        process.to("returned")
        assert [int(week(timetable) != ["new"]) for _ in range(2)] == [stale, stale]


def test_a_writer_dies_after_its_commit_and_its_marks_stand(
    timetable: Timetable, writer: Any, marks_run_out: Callable[[], int], heard: list[str]
) -> None:
    """1. a writer commits  2. kill -9: every read bypasses; its 7 marks run out: a miss, then hits; 0 stale."""
    assert week(timetable) == ["old"]
    with writer() as process:
        process.to("committed")
        process.die()
    assert [week(timetable), week(timetable), heard] == [["new"], ["new"], ["miss", "bypass", "bypass"]]
    assert marks_run_out() == 7
    assert [week(timetable), week(timetable), heard[3:]] == [["new"], ["new"], ["miss", "hit"]]
