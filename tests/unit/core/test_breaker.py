"""The circuit breaker by itself: what opens it, what closes it, and who is told."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from redis_toolkit.core.breaker import Breaker
from redis_toolkit.core.clock import travel
from redis_toolkit.signals import breaker_changed

PATIENCE = 10.0


@pytest.fixture(autouse=True)
def hasty(settings: Any) -> None:
    """Probes come every ten milliseconds."""
    settings.REDIS_TOOLKIT_BREAKER_RETRY = 0.01


@pytest.fixture
def heard() -> Iterator[queue.Queue[Any]]:
    """What the signal tells: (sender, alias, state)."""
    told: queue.Queue[Any] = queue.Queue()

    def receive(sender: Breaker, alias: str, state: str, **_: Any) -> None:
        told.put((sender, alias, state))

    breaker_changed.connect(receive)
    yield told
    breaker_changed.disconnect(receive)


class Probe:
    """A probe that waits to be told what it finds, and counts."""

    def __init__(self) -> None:
        self.findings: queue.Queue[bool] = queue.Queue()
        self.asked = 0
        self.threads: set[str] = set()

    def __call__(self) -> bool:
        self.asked += 1
        self.threads.add(threading.current_thread().name)
        return self.findings.get(timeout=PATIENCE)


@pytest.fixture
def probe() -> Probe:
    """A probe in the hands of the test."""
    return Probe()


class Patient(threading.Event):
    """A breaker's pause before a probe: it begins when everybody has been told of the opening, however long that takes.

    (The thread that waits for it is started before that.)
    """

    def __init__(self, breaker: Breaker) -> None:
        super().__init__()
        self._told = threading.Event()
        breaker_changed.connect(self._hear, sender=breaker)

    def _hear(self, state: str, **_: Any) -> None:
        if state == "open":
            self._told.set()

    def clear(self) -> None:
        self._told.clear()
        super().clear()

    def wait(self, timeout: float | None = None) -> bool:
        while self._told.wait(PATIENCE):
            ended = super().wait(timeout)
            # (Not while another opening is being told of.)
            if ended or self._told.is_set():
                return ended
        return False


@pytest.fixture
def breaker(probe: Probe, heard: queue.Queue[Any]) -> Iterator[Breaker]:
    """A breaker whose thread ends with the test, and probes when ``heard`` has been told that it is open."""
    it = Breaker("spare", probe)
    it._wake = Patient(it)
    yield it
    it.close()
    probe.findings.put(False)
    # (The next test counts threads.)
    for thread in probing():
        thread.join(PATIENCE)


def probing() -> list[threading.Thread]:
    """The threads that probe for the breaker of these tests."""
    return [thread for thread in threading.enumerate() if thread.name == "redis-toolkit-probe-spare"]


def test_it_begins_closed(breaker, heard):
    """A new breaker lets commands through, has no thread, and says nothing."""
    breaker.succeeded()
    breaker.close()
    assert breaker.is_open is False
    assert heard.empty()


@pytest.mark.parametrize("failures", [1, 3, 5])
def test_failures_in_a_row_open_it(failures, breaker, heard, settings):
    """It opens at the failure that BREAKER_FAILURES names, and is announced once."""
    settings.REDIS_TOOLKIT_BREAKER_FAILURES = failures
    # No probe, of which would be told as well.
    settings.REDIS_TOOLKIT_BREAKER_RETRY = 1000
    seen = []
    for _ in range(failures + 2):
        breaker.failed(timed_out=False)
        seen.append(breaker.is_open)
    assert seen == [False] * (failures - 1) + [True] * 3
    assert heard.get_nowait() == (breaker, "spare", "open")
    assert heard.empty()


def test_a_success_begins_the_count_anew(breaker):
    """Two failures, a success and two failures do not open it; a third does."""
    for _ in range(2):
        breaker.failed(timed_out=False)
    breaker.succeeded()
    for _ in range(2):
        breaker.failed(timed_out=False)
    assert breaker.is_open is False
    breaker.failed(timed_out=False)
    assert breaker.is_open is True


def test_one_time_out_opens_it(breaker, heard):
    """A time-out is dear, so there is no second one."""
    breaker.failed(timed_out=True)
    assert breaker.is_open is True
    assert heard.get_nowait() == (breaker, "spare", "open")


def test_the_probe_closes_it(breaker, probe, heard):
    """It stays open while the probe finds nothing and closes at the first time it does; then the count begins anew."""
    breaker.failed(timed_out=True)
    for found in (False, False, True):
        assert breaker.is_open is True
        probe.findings.put(found)
    wanted = ["open", *["half-open", "open"] * 2, "half-open", "closed"]
    assert [heard.get(timeout=PATIENCE)[2] for _ in wanted] == wanted
    assert breaker.is_open is False
    assert probe.asked == 3
    breaker.failed(timed_out=False)
    assert breaker.is_open is False


def test_it_is_half_open_while_it_probes(breaker, probe, heard):
    """Closed, open, half-open while the probe is under way, open again, closed: and commands are refused till then."""
    seen = [(breaker.state, breaker.is_open, breaker.failures)]
    with travel(100):
        breaker.failed(timed_out=True)
        assert (heard.get(timeout=PATIENCE), breaker.failures) == ((breaker, "spare", "open"), 1)
        opened = breaker.since
        for found, then in ((False, "open"), (True, "closed")):
            assert heard.get(timeout=PATIENCE)[2] == "half-open"
            seen.append((breaker.state, breaker.is_open, breaker.failures))
            assert breaker.since == opened
            probe.findings.put(found)
            assert heard.get(timeout=PATIENCE)[2] == then
    assert seen == [("closed", False, 0), ("half-open", True, 1), ("half-open", True, 1)]
    assert (breaker.state, breaker.failures, breaker.since > opened) == ("closed", 0, True)


def test_one_that_is_closed_while_it_probes_stays_closed(breaker, probe, heard):
    """1. a probe is under way  2. somebody closes the breaker  3. the probe finds nothing: it is closed, and says so once."""
    breaker.failed(timed_out=True)
    assert [heard.get(timeout=PATIENCE)[2] for _ in range(2)] == ["open", "half-open"]
    (thread,) = probing()
    breaker.close()
    probe.findings.put(False)
    thread.join(PATIENCE)
    assert (breaker.state, heard.get_nowait()[2], heard.empty()) == ("closed", "closed", True)


def test_one_daemon_thread_probes(breaker, probe):
    """However many commands fail, one thread asks, and it does not keep the process alive."""
    for _ in range(20):
        breaker.failed(timed_out=True)
    threads = [thread for thread in probing() if thread.is_alive()]
    assert [thread.daemon for thread in threads] == [True]
    probe.findings.put(True)
    threads[0].join(PATIENCE)
    assert probe.threads == {"redis-toolkit-probe-spare"}
    assert not threads[0].is_alive()


def test_closing_by_hand_ends_the_thread(heard, settings):
    """`close` trusts the server at once, and the thread that waits for its next probe ends without one."""
    settings.REDIS_TOOLKIT_BREAKER_RETRY = 1000
    asked: list[int] = []
    breaker = Breaker("by-hand", lambda: bool(asked.append(1)))
    breaker.failed(timed_out=True)
    threads = [thread for thread in threading.enumerate() if thread.name == "redis-toolkit-probe-by-hand"]
    assert len(threads) == 1
    breaker.close()
    breaker.close()
    threads[0].join(PATIENCE)
    assert not threads[0].is_alive()
    assert asked == []
    assert [heard.get_nowait()[2] for _ in range(2)] == ["open", "closed"]
    assert heard.empty()


def test_it_opens_and_closes_again_and_again(breaker, probe, heard):
    """Each time it opens it is probed again."""
    for _ in range(50):
        breaker.failed(timed_out=True)
        probe.findings.put(True)
        assert [heard.get(timeout=PATIENCE)[2] for _ in range(3)] == ["open", "half-open", "closed"]
    assert probe.asked == 50


def test_one_that_opens_while_it_closes_is_probed_all_the_same(heard):
    """A failure in the very moment of closing opens a breaker whose thread lives: it closes again."""
    back = threading.Event()
    breaker = Breaker("moment", back.is_set)

    class Moment(Patient):
        """The failure comes when the lock is free again, or, if it still is held, right behind."""

        def set(self) -> None:
            if breaker._lock.acquire(blocking=False):
                breaker._lock.release()
                breaker.failed(timed_out=True)
            super().set()

    breaker._wake = Moment(breaker)
    breaker.failed(timed_out=True)
    breaker.close()
    breaker.failed(timed_out=True)
    back.set()
    told = []
    while told.count("closed") < 2:
        told.append(heard.get(timeout=PATIENCE)[2])
    # Its first thread may have probed before.
    assert [state for at, state in enumerate(told) if "closed" in {state, *told[at - 1 : at]}] == [
        "closed", "open", "closed",
    ]  # fmt: skip
    assert breaker.is_open is False


def test_without_a_thread_it_stays_closed(breaker, heard, monkeypatch):
    """Where no thread can be had to probe, it does not open: nobody would ever close it."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    breaker.failed(timed_out=True)
    assert breaker.is_open is False
    assert heard.empty()


def test_the_log_keeps_no_errors(breaker, probe, caplog):
    """Log records are kept by many; one with an error in it would keep its frames, and the cursors and rows in them."""
    breaker.failed(timed_out=True, error=ConnectionError("refused"))
    (record,) = [each for each in caplog.records if each.name == "redis_toolkit.core"]
    assert record.getMessage() == "Redis ('spare' in CACHES) is left alone until it answers again: refused"
    assert {type(argument) for argument in record.args} == {str}
    assert record.exc_info is None
