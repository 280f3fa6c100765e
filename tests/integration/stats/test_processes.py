"""Several processes count into the same buckets; they end, fork, lose Redis: what is lost, and what is not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from redis_toolkit.core.clock import monotonic, now, travel
from redis_toolkit.core.connections import link
from redis_toolkit.exceptions import StoreUnavailable
from redis_toolkit.signals import breaker_changed
from redis_toolkit.stats import DAY, HOUR, MONTH, Figures, buckets, flush, hottest, names, summed, telling
from redis_toolkit.stats.telling import MOST_WAITING, gathered, teller
from redis_toolkit.testing import ValkeyServer
from tests.integration.stats.counter import read

ROOT = Path(__file__).parents[3]
LABEL = "app.Lesson"


@pytest.fixture
def environment(redis_url: str) -> dict[str, str]:
    """What a process that counts is started with."""
    return {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.integration.stats.settings", "REDIS_URL": redis_url}


@pytest.fixture
def start(environment: dict[str, str]) -> Callable[..., subprocess.Popen[bytes]]:
    """Start one."""

    def begin(*arguments: object) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-W", "error", "-m", "tests.integration.stats.counter", *map(str, arguments)]
        return subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE)

    return begin


def ended(process: subprocess.Popen[bytes]) -> tuple[int, bytes]:
    """How it ended, and what it had to say."""
    said = process.communicate(timeout=60)[1]
    return process.returncode, said


def all_told() -> Figures:
    return summed(buckets(MONTH))


def test_four_processes_count_exactly(redis_client: Any, start: Any) -> None:
    """4 x 2,500 reads are 10,000, and so are the seconds; they end as processes do, and nothing is lost."""
    processes = [start(2500) for _ in range(4)]
    assert [ended(process) for process in processes] == [(0, b"")] * 4
    found = all_told()
    assert (found.hits(LABEL), found.total("read", LABEL)) == (10_000, 5_000)
    assert (found.count("saved"), found.seconds_saved()) == (10_000, 10_000)
    assert [tuple(each) for each in hottest()] == [(LABEL, "rt:r:1", 10_000)]
    assert found.count("dropped") == 0


@pytest.mark.parametrize(
    ("how", "code", "reads"),
    [("raise", 3, 100), ("fork", 0, 200), ("multiprocessing", 0, 100)],
    ids=["by an error", "after a fork", "as a child of multiprocessing"],
)
def test_ends(redis_client: Any, start: Any, how: str, code: int, reads: int) -> None:
    """However a process ends by itself, what it has counted is told, once; a child tells what is its own."""
    assert ended(start(100, how)) == (code, b"")
    assert (all_told().hits(), all_told().total("read")) == (reads, reads / 2)


def test_a_fork_while_it_is_told(counting: None) -> None:
    """A child begins with free locks and nothing counted; what its parent has counted its parent tells, once."""
    read(3)
    with teller._sending, gathered._lock:
        child = os.fork()
        if child == 0:
            signal.alarm(10)
            teller.is_running = True
            read(2)
            flush()
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert all_told().hits() == 2
    flush()
    assert all_told().hits() == 5


def test_the_thread_tells(counting: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """It begins with what is counted first, tells by itself, and ends when statistics are switched off."""
    monkeypatch.setattr(telling, "_INTERVAL", 0.001)
    teller.is_running = False
    read(7)
    assert teller.is_running
    [thread] = [each for each in threading.enumerate() if each.name == "redis-toolkit-stats"]
    until = monotonic() + 30
    while all_told().hits() < 7:
        assert monotonic() < until
    teller.stop()
    thread.join(30)
    assert (thread.is_alive(), teller.is_running, all_told().hits()) == (False, False, 7)


def test_no_thread_is_to_be_had(counting: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is counted all the same, and told by whoever asks for it."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    teller.is_running = False
    read(7)
    assert not teller.is_running
    flush()
    assert all_told().hits() == 7


def test_something_is_counted_while_the_thread_is_started(counting: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a signal handler, or a finalizer, of the thread that starts it: it waits for nobody, and there is one thread."""
    begin = threading.Thread.__init__

    def interrupted(thread: threading.Thread, *arguments: Any, **named: Any) -> None:
        breaker_changed.send(sender=None, alias="default", state="open", before="closed")
        begin(thread, *arguments, **named)

    caller = threading.Thread(target=read, args=(1,), daemon=True)
    monkeypatch.setattr(threading.Thread, "__init__", interrupted)
    teller.is_running = False
    caller.start()
    caller.join(10)
    assert not caller.is_alive()
    [thread] = [each for each in threading.enumerate() if each.name == "redis-toolkit-stats"]
    flush()
    assert (all_told().hits(), all_told().count("breaker")) == (1, 1)
    teller.stop()
    thread.join(30)


def test_the_thread_outlives_what_it_cannot_do(
    counting: None, settings: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With a setting that no check has looked at it goes on, and says so once; then all is told."""
    monkeypatch.setattr(telling, "_INTERVAL", 0.001)
    monkeypatch.setattr(teller, "_has_warned", False)
    settings.REDIS_TOOLKIT_STATS_KEEP = None
    teller.is_running = False
    read(3)
    [thread] = [each for each in threading.enumerate() if each.name == "redis-toolkit-stats"]
    until = monotonic() + 30
    while not teller._has_warned:
        assert monotonic() < until
    settings.REDIS_TOOLKIT_STATS_KEEP = {"minute": 600}
    while all_told().hits() < 3:
        assert monotonic() < until
    assert thread.is_alive()
    teller.stop()
    thread.join(30)
    assert caplog.text.count("What is counted cannot be kept") == 1


@pytest.fixture
def lonely(valkey: ValkeyServer, counting: None, settings: Any) -> ValkeyServer:
    """A server that nobody finds out by himself to be back."""
    settings.REDIS_TOOLKIT_BREAKER_RETRY = 3600
    return valkey


def refused(times: int) -> None:
    for _ in range(times):
        with pytest.raises(StoreUnavailable):
            flush()


def test_redis_is_killed_and_back(lonely: ValkeyServer) -> None:
    """Reads go on and raise nothing; what was counted meanwhile is told when it is back; what it has lost is lost."""
    read(3)
    flush()
    lonely.kill()
    for _ in range(5):
        read(2)
        refused(1)
    assert link().breaker.is_open
    lonely.start()
    refused(1)
    link().breaker.close()
    flush()
    flush()
    assert (all_told().hits(), all_told().count("dropped")) == (10, 0)


def test_an_answer_that_was_not_heard(lonely: ValkeyServer) -> None:
    """1. a batch is sent, and no answer comes  2. the server carries it out  3. it is sent again, and counted once."""
    read(3)
    flush()
    lonely.pause()
    read(4)
    refused(1)
    read(5)
    lonely.resume()
    link().breaker.close()
    flush()
    assert (all_told().hits(), all_told().total("read"), hottest()[0].times) == (12, 6, 12)


def test_an_outage_of_hours(lonely: ValkeyServer) -> None:
    """Ten minutes of it wait; of what is older it is told how much was dropped: nothing is counted twice or vanishes."""
    read(1)
    flush()
    lonely.kill()
    for minute in range(30):
        with travel(60 * minute):
            read(2)
            refused(1)
    assert len(teller._waiting) == MOST_WAITING
    lonely.start()
    link().breaker.close()
    with travel(60 * 30):
        flush()
        flush()
        found = all_told()
    # (That the breaker opened was dropped as well; that it closed was counted in the place of a minute's two reads.)
    assert (found.hits(), found.count("breaker"), found.count("dropped")) == (18, 1, 42 + 1)


def test_a_refusal(counting: None, redis_client: Any) -> None:
    """Somebody has put something else where the day is: that day loses a batch, and nothing is counted twice."""
    key = names.bucket_key("day", int(now() // 86400))
    redis_client.set(key, "something else")
    read(3)
    refused(1)
    redis_client.delete(key)
    flush()
    read(1)
    flush()
    assert [summed(buckets(span)).hits() for span in (HOUR, DAY, MONTH)] == [4, 4, 1]
