"""The kit our users test with, and we do too: real servers that start in no time and leave nothing behind."""

from __future__ import annotations

from redis_toolkit.testing.binaries import find_postgres, find_valkey
from redis_toolkit.testing.companions import Companion
from redis_toolkit.testing.postgres import PostgresServer
from redis_toolkit.testing.processes import ServerFailed
from redis_toolkit.testing.valkey import ValkeyServer, embedded_valkey

__all__ = [
    "Companion",
    "PostgresServer",
    "ServerFailed",
    "ValkeyServer",
    "embedded_valkey",
    "find_postgres",
    "find_valkey",
]
