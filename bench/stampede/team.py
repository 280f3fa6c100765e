"""A contestant's processes, and the driver's own look at its Redis and its database."""

from __future__ import annotations

import re
import time
from contextlib import ExitStack
from typing import Any

import redis

from bench.contestants import Contestant
from bench.driver import Worker, WorkerError
from bench.servers import Servers
from bench.stampede.loads import Loads
from bench.stampede.plan import PROCESSES, Pace

__all__ = ["Team"]

_CALM = 0.2  # seconds without a load, after which none is to come
_STEP = 0.001  # seconds between two looks


class Team:
    """Processes that are started once, and anew when killed."""

    def __init__(self, stack: ExitStack, contestant: Contestant, servers: Servers, number: int, pace: Pace) -> None:
        self.contestant = contestant
        self.versions: dict[str, str] = {}
        self.servable = False
        self._entry = re.compile("")
        self._job = {**servers.job(number, contestant), "stampede": {"callers": pace.callers, "first": False}}
        self._redis = redis.Redis.from_url(servers.valkey.url_of(number))
        self._workers: list[Worker] = []
        self._dead: int | None = None
        self._database = servers.database_url(number)
        self._loads: Loads | None = None
        stack.callback(self.close)

    def begin(self) -> None:
        """Start the first process, which fills the database."""
        self._workers.append(self._worker(0, first=True))
        self._workers[0].send("versions")

    def complete(self) -> None:
        """Start the others."""
        self.versions = self._workers[0].receive()
        about = self._workers[0].ask("about")
        self._entry, self.servable = re.compile(about["entry"]), about["servable"]
        self._workers += [self._worker(number, first=False) for number in range(1, PROCESSES)]

    @property
    def loads(self) -> Loads:
        """What the database says of the loads."""
        if self._loads is None:
            self._loads = Loads(self._database)
        return self._loads

    def ready(self, *, soft: bool) -> None:
        """Begin with nothing in Redis, store the answer, and let everybody connect and read it."""
        for name in self._redis.scan_iter(count=1000):
            self._redis.unlink(name)
        self._workers[0].ask("warm", soft=soft)
        for worker in self._workers:
            worker.send("ready", soft=soft)
        for worker in self._workers:
            worker.receive()

    def write(self, topic: str) -> None:
        """Save the lesson in one of the processes."""
        self._workers[0].ask("write", topic=topic)

    def expire(self) -> None:
        """Let the time of the entry run out."""
        names = [name for name in self._redis.scan_iter(count=1000) if self._entry.fullmatch(name.decode())]
        if not names:
            raise WorkerError(f"{self.contestant.name} has no entry, but {list(self._redis.scan_iter())}")
        entry = max(names, key=self._redis.strlen)  # what else is called so is a stamp: shorter
        self._redis.pexpire(entry, 1)
        while self._redis.exists(entry):
            time.sleep(_STEP)

    def go(self, at: float, patience: float) -> None:
        """Tell everybody when to ask."""
        for worker in self._workers:
            worker.send("go", at=at, patience=patience)

    def kill_loader(self, age: float, patience: float) -> None:
        """Kill the process whose load is doomed, once that has run for ``age`` seconds."""
        deadline = time.monotonic() + patience
        while (load := self.loads.doomed()) is None or load.age < age:
            if time.monotonic() > deadline:
                raise WorkerError(f"{self.contestant.name} did not load")
            time.sleep(_STEP)
        self._dead = int(load.process)
        self._workers[self._dead].kill()
        self.loads.end(load)

    def told(self) -> list[dict[str, Any]]:
        """What the callers of each process say; those of the dead say nothing. Who hangs and who died is replaced."""
        found = []
        for number, worker in enumerate(self._workers):
            told = worker.receive() if number != self._dead else None
            if told is not None:
                found.append(told)
            if told is None or told["unanswered"]:
                worker.kill()
                self._workers[number] = self._worker(number, first=False)
        self._dead = None
        return found

    def calm(self, patience: float) -> None:
        """Wait until nothing has been loaded for a moment."""
        deadline = time.monotonic() + patience
        quiet = time.monotonic()
        while time.monotonic() < min(deadline, quiet + _CALM):
            if self.loads.any_under_way():
                quiet = time.monotonic()
            time.sleep(_STEP)

    def close(self) -> None:
        """Let the processes end."""
        for worker in self._workers:
            worker.close()
        self._redis.close()
        if self._loads is not None:
            self._loads.close()

    def _worker(self, number: int, *, first: bool) -> Worker:
        database = {**self._job["database"], "OPTIONS": {"application_name": str(number)}}
        stampede = {**self._job["stampede"], "first": first}
        return Worker(self.contestant, {**self._job, "database": database, "stampede": stampede})
