"""The servers of a run and what can be done to them."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis

from bench.consistency.proxy import Proxy
from redis_toolkit.testing import PostgresServer, ValkeyServer
from redis_toolkit.testing.binaries import POSTGRES_VARIABLE, VALKEY_VARIABLE, bundled_postgres, bundled_valkey

__all__ = ["Stage", "new_postgres"]

_LAG = 0.2
_PATIENCE = 10.0


def new_postgres() -> PostgresServer:
    """A PostgreSQL server, not started."""
    return PostgresServer(binary=os.environ.get(POSTGRES_VARIABLE) or bundled_postgres())


class Stage:
    """One scenario's Redis behind the run's proxy, and the note of what was done to it.

    ``outages``: the stretches of time in which Redis could not be reached, each as [beginning, end].
    """

    def __init__(self, proxy: Proxy, seed: str) -> None:
        self.proxy = proxy
        self.seed = seed
        self.outages: list[list[float]] = []
        self.happened: Counter[str] = Counter()
        self.valkey = _new_valkey()
        self._replica: ValkeyServer | None = None
        self._line: Proxy | None = None

    @contextmanager
    def running(self) -> Iterator[Stage]:
        """Start the server and lead the proxy to it."""
        try:
            self.valkey.start()
            self.proxy.set(target=str(self.valkey.socket_path), mode="open", delay=(0, 0))
            yield self
        finally:
            self.proxy.set(mode="refuse", delay=(0, 0))
            self.valkey.stop()
            if self._replica is not None:
                self._replica.stop()
            if self._line is not None:
                self._line.close()

    def client(self, server: ValkeyServer | None = None) -> Any:
        """A client of the server itself, past the proxy."""
        return redis.Redis.from_url((server or self.valkey).url, socket_timeout=_PATIENCE)

    def away(self) -> None:
        """Note that Redis cannot be reached from now on."""
        self.outages.append([time.monotonic(), time.monotonic() + 3600])

    def back(self) -> None:
        """Note that Redis can be reached again."""
        self.outages[-1][1] = time.monotonic()

    def marks(self) -> int:
        """How many stamps are marked now."""
        with self.client() as client:
            names = list(client.scan_iter("rt:s:*", count=10_000))
            return sum(value[:1] == b"m" for value in client.mget(names) if value) if names else 0

    def follow(self) -> None:
        """Give the server a replica that hears of everything 200 ms later."""
        if self._line is None:
            self._line = Proxy(f"{self.seed}:replica")
        self._line.set(target=str(self.valkey.socket_path), mode="open", lag=0)
        self._replica = _new_valkey()
        self._replica.start()
        with self.client(self._replica) as client:
            client.replicaof("127.0.0.1", self._line.port)
            deadline = time.monotonic() + _PATIENCE
            while client.info("replication")["master_link_status"] != "up":
                if time.monotonic() > deadline:
                    raise TimeoutError("the replica does not follow")
                time.sleep(0.01)
        # Only now, for the first transfer needs many exchanges.
        self._line.set(lag=_LAG)

    def promote(self) -> None:
        """Kill the primary and let its replica take its place."""
        if self._replica is None:
            raise RuntimeError("there is no replica")
        self.away()
        self.valkey.kill()
        with self.client(self._replica) as client:
            client.replicaof("NO", "ONE")
        self.proxy.set(target=str(self._replica.socket_path))
        self.back()
        self.valkey.stop()
        self.valkey, self._replica = self._replica, None


def _new_valkey() -> ValkeyServer:
    config = {"repl-diskless-sync-delay": "0"}
    return ValkeyServer(binary=os.environ.get(VALKEY_VARIABLE) or bundled_valkey(), config=config)
