"""The gate by itself: how many are in, who comes next, and that no place is ever lost."""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from time import perf_counter
from typing import Any

import pytest

from redis_toolkit.cache import gate
from redis_toolkit.cache.gate import admit, crowd
from redis_toolkit.exceptions import CacheOverloaded, RedisToolkitError

ROOT = Path(__file__).parents[3]
#: Seconds after which a test is stuck.
PATIENCE = 10.0


@pytest.fixture(autouse=True)
def bound(settings: Any) -> None:
    """One may load, and others wait for longer than any test takes."""
    settings.REDIS_TOOLKIT_LOADS = 1
    settings.REDIS_TOOLKIT_LOADS_WAIT = PATIENCE * 2


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """Fifty threads, through with what they do when the test ends."""
    with ThreadPoolExecutor(50) as threads:
        yield threads
        assert crowd() == (0, 0)


class Load:
    """A load that stays until it is told to end; it counts those that are at it."""

    def __init__(self) -> None:
        self.arrived: SimpleQueue[Any] = SimpleQueue()
        self.may_end = threading.Semaphore(0)
        self.inside = self.most = 0
        self._lock = threading.Lock()

    def __call__(self, name: Any = None) -> Any:
        with admit():
            with self._lock:
                self.inside += 1
                self.most = max(self.most, self.inside)
            self.arrived.put(name)
            assert self.may_end.acquire(timeout=PATIENCE)
            with self._lock:
                self.inside -= 1
        return name

    def next(self) -> Any:
        """The name of the next one that is in."""
        return self.arrived.get(timeout=PATIENCE)


def until(crowded: tuple[int, int]) -> None:
    """Wait until so many are loading and waiting."""
    deadline = perf_counter() + PATIENCE
    while crowd() != crowded:
        assert perf_counter() < deadline, f"{crowd()} instead of {crowded}"


def test_no_more_than_the_bound_are_in(pool, settings):
    """Of 50 threads 4 are in and 46 wait; all come in, and there were never more than 4 at once."""
    settings.REDIS_TOOLKIT_LOADS = 4
    load = Load()
    answers = [pool.submit(load, name) for name in range(50)]
    for _ in range(4):
        load.next()
    until((4, 46))
    load.may_end.release(50)
    assert [answer.result(PATIENCE) for answer in answers] == list(range(50))
    assert load.most == 4


def test_first_come_first_served(pool):
    """Ten that queue are let in in the order in which they came."""
    load = Load()
    answers: list[Future[Any]] = []
    for name in range(10):
        answers.append(pool.submit(load, name))
        until((1, name))
    seen = []
    for _ in range(10):
        seen.append(load.next())
        load.may_end.release()
    assert seen == list(range(10))
    assert [answer.result(PATIENCE) for answer in answers] == seen


def test_a_thread_that_is_in_is_not_asked_again(pool, settings):
    """A load within a load takes no second place: with room for one it neither waits nor fails."""
    settings.REDIS_TOOLKIT_LOADS_WAIT = 0
    with admit(), admit():
        assert crowd() == (1, 0)
        with pytest.raises(CacheOverloaded):
            pool.submit(Load()).result(PATIENCE)
    assert crowd() == (0, 0)


@pytest.mark.parametrize(("wait", "retry_after"), [(0, 1), (0.01, 1)])
def test_who_waits_in_vain_is_told_when_to_come_again(pool, settings, wait, retry_after):
    """Without a place in time: an error that says what bounds it, and whole seconds to wait for. It can be pickled."""
    settings.REDIS_TOOLKIT_LOADS_WAIT = wait
    with admit(), pytest.raises(CacheOverloaded, match="REDIS_TOOLKIT_LOADS, REDIS_TOOLKIT_LOADS_WAIT") as caught:
        pool.submit(Load()).result(PATIENCE)
    assert isinstance(caught.value, RedisToolkitError)
    assert caught.value.retry_after == retry_after
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.retry_after) == (str(caught.value), retry_after)
    assert str(CacheOverloaded()).startswith("The answer is not cached, and too many others")
    assert "retry_after" not in str(CacheOverloaded())


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, GeneratorExit])
def test_a_load_that_fails_frees_its_place(error):
    """Whatever ends a load, its place is free."""
    with pytest.raises(error), admit():
        raise error
    assert crowd() == (0, 0)


class Killed(BaseException):
    """What ends a greenlet."""


def test_one_that_is_killed_while_it_waits_leaves_the_queue(pool):
    """A signal in the midst of waiting: it raises, nobody waits, and the next comes in as ever."""
    killed = []

    def kill(*_: Any) -> None:
        if not killed:
            killed.append(True)
            raise Killed

    load, main = Load(), threading.main_thread().ident
    before = signal.signal(signal.SIGUSR1, kill)
    try:
        first = pool.submit(load, "first")
        load.next()

        def shoot() -> None:
            until((1, 1))
            deadline = perf_counter() + PATIENCE
            # More than once: one that comes right before it falls asleep does not wake it.
            while not killed:
                signal.pthread_kill(main or 0, signal.SIGUSR1)
                assert perf_counter() < deadline

        shot = pool.submit(shoot)
        with pytest.raises(Killed), admit():
            pass
        shot.result(PATIENCE)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert crowd() == (1, 0)
    load.may_end.release()
    first.result(PATIENCE)


@pytest.fixture
def last_moment(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], bool]], None]:
    """Have the one who is in leave in the moment in which waiting ends, in this ``way``."""

    def arrange(way: Callable[[], bool]) -> None:
        class Turn:
            def acquire(self, timeout: float) -> bool:
                gate._gate.leave()
                return way()

            def release(self) -> None:
                pass

        class Waiter(gate._Waiter):
            def __init__(self) -> None:
                super().__init__()
                self.turn = Turn()  # type: ignore[assignment]

        monkeypatch.setattr(gate, "_Waiter", Waiter)

    return arrange


def test_who_is_let_in_at_the_last_moment_is_in(last_moment):
    """1. the wait is over  2. a place becomes free, and is given to him  3. he does not fail, and it is not lost."""
    last_moment(lambda: False)
    gate._gate.enter()
    with admit():
        assert crowd() == (1, 0)
    assert crowd() == (0, 0)


def test_who_is_killed_at_the_last_moment_hands_on_his_place(last_moment):
    """1. a place is given to one who waits  2. he is killed before he knows: the place is free."""

    def kill() -> bool:
        raise Killed

    last_moment(kill)
    gate._gate.enter()
    with pytest.raises(Killed), admit():
        pass
    assert crowd() == (0, 0)


def test_the_bound_is_read_live(pool, settings):
    """Raised from 1 to 3 while 3 wait, the next that leaves lets 3 in; with none, everybody comes in at once."""
    load = Load()
    answers = [pool.submit(load, name) for name in range(4)]
    load.next()
    until((1, 3))
    settings.REDIS_TOOLKIT_LOADS = 3
    load.may_end.release()
    for _ in range(3):
        load.next()
    until((3, 0))
    settings.REDIS_TOOLKIT_LOADS = None
    answers += [pool.submit(load, name) for name in range(10)]
    until((13, 0))
    load.may_end.release(13)
    assert [answer.result(PATIENCE) for answer in answers] == [*range(4), *range(10)]


FORK = """
import os, threading
from django.test.utils import override_settings
from redis_toolkit.cache.gate import admit, crowd
with override_settings(REDIS_TOOLKIT_LOADS=1, REDIS_TOOLKIT_LOADS_WAIT=0):
    with admit():
        child = os.fork()
        if not child:
            seen = [tuple(crowd())]
            with admit():
                seen.append(tuple(crowd()))
        else:
            status = os.waitpid(child, 0)[1]
    if not child:
        seen.append(tuple(crowd()))
        os._exit(0 if seen == [(0, 0), (1, 0), (0, 0)] else 1)
    print(os.waitstatus_to_exitcode(status), *crowd())
"""


def test_a_forked_child_begins_with_nobody_in():
    """A child forked in the midst of a load: 0 in, may load itself, and its end frees no place of its parent's."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", FORK], capture_output=True, text=True, check=True, cwd=ROOT,
        env={"DJANGO_SETTINGS_MODULE": "tests.settings", "PYTHONPATH": str(ROOT), "PATH": ""},
    )  # fmt: skip
    assert done.stdout == "0 0 0\n"
