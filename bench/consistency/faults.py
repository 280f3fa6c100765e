"""What goes wrong, as scripts: each does something to the stage and yields the seconds until it goes on.

``seconds`` is how long readers and writers are at work. A script that is through, or out of time, is over.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import suppress

import redis

from bench.consistency.stage import Stage

__all__ = [
    "Fault", "black_holed", "blinking", "evicting", "frozen", "killed_clients", "nothing", "promoted", "refusing",
    "refusing_late", "restarted", "slow",
]  # fmt: skip

Fault = Callable[[Stage, float], Iterator[float]]

_TIMES = 3
_JUNK = b"x" * 2000


def nothing(stage: Stage, seconds: float) -> Iterator[float]:  # noqa: ARG001 - a script like the others
    """Nothing goes wrong with Redis."""
    yield from ()


def slow(stage: Stage, seconds: float) -> Iterator[float]:  # noqa: ARG001 - a script like the others
    """Each packet takes 0.3 to 2 ms, in both directions."""
    stage.proxy.set(delay=(0.0003, 0.002))
    stage.happened["delayed lines"] += 1
    yield from ()


def restarted(stage: Stage, seconds: float) -> Iterator[float]:
    """Killed three times, and back empty, at once or after a while."""
    dice = random.Random(stage.seed)
    for _ in range(_TIMES):
        yield seconds / (_TIMES + 1.5)
        stage.away()
        stage.valkey.kill()
        yield dice.choice((0, dice.uniform(0, min(1, seconds / 10))))
        stage.valkey.start()
        stage.back()
        stage.happened["restarts"] += 1


def frozen(stage: Stage, seconds: float) -> Iterator[float]:
    """SIGSTOP, and SIGCONT after 3 s: connections stay open, what was sent is answered late."""
    yield seconds / 4
    stage.away()
    stage.valkey.pause()
    yield min(3, seconds / 3)
    stage.valkey.resume()
    stage.back()
    stage.happened["freezes"] += 1


def refusing(stage: Stage, seconds: float) -> Iterator[float]:
    """For 5 s nobody can connect, and who was connected is cut off. The server keeps everything."""
    yield from _unreachable(stage, seconds, "refuse")


def black_holed(stage: Stage, seconds: float) -> Iterator[float]:
    """For 5 s everything that is sent gets lost on the way, and arrives at the end, as TCP sends it again."""
    yield from _unreachable(stage, seconds, "hole")


def refusing_late(stage: Stage, seconds: float) -> Iterator[float]:
    """The same towards the end, so that hardly anything is written afterwards that would mend what was left undone."""
    yield seconds * 0.4
    yield from _unreachable(stage, seconds, "refuse")


def _unreachable(stage: Stage, seconds: float, mode: str) -> Iterator[float]:
    yield seconds / 4
    stage.away()
    stage.proxy.set(mode=mode)
    yield min(5, seconds / 3)
    stage.proxy.set(mode="open")
    stage.back()
    stage.happened["outages"] += 1


def blinking(stage: Stage, seconds: float) -> Iterator[float]:
    """Ten times nobody can connect for 60 ms: too short for a process to notice more than one or two failures."""
    for _ in range(10):
        yield seconds / 14
        stage.away()
        stage.proxy.set(mode="refuse")
        yield 0.06
        stage.proxy.set(mode="open")
        stage.back()
        stage.happened["blinks"] += 1


def evicting(stage: Stage, seconds: float) -> Iterator[float]:
    """Memory for a part of it only, while somebody else fills it: least recently used first, later at random."""
    dice = random.Random(stage.seed)
    with stage.client() as client:
        yield seconds / 8
        client.config_set("maxmemory", client.info("memory")["used_memory"] + 150_000)
        client.config_set("maxmemory-policy", "allkeys-lru")
        rounds = int(seconds * 0.8 / 0.05)
        for number in range(rounds):
            if number == rounds // 2:
                client.config_set("maxmemory-policy", "allkeys-random")
            # Where nothing is left that could be evicted, nobody is given memory.
            with suppress(redis.exceptions.OutOfMemoryError):
                client.mset({f"junk:{dice.randrange(10**9)}": _JUNK for _ in range(5)})
            stage.happened["evictions"] = client.info("stats")["evicted_keys"]
            yield 0.05


def killed_clients(stage: Stage, seconds: float) -> Iterator[float]:
    """CLIENT KILL for all of them every 250 ms."""
    with stage.client() as client:
        for _ in range(int(seconds / 0.25) - 1):
            yield 0.25
            stage.happened["killed connections"] += client.client_kill_filter(_type="normal", skipme=True)


def promoted(stage: Stage, seconds: float) -> Iterator[float]:
    """Three times the primary is killed and a replica takes over that has not heard of the last 200 ms."""
    for _ in range(_TIMES):
        stage.follow()
        yield seconds / (_TIMES + 1.5)
        stage.promote()
        stage.happened["promotions"] += 1
