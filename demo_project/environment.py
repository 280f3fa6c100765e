"""What the environment says about this installation: the addresses of its servers and the secret key."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote, urlencode, urlsplit

from django.core.exceptions import ImproperlyConfigured
from django.core.management.utils import get_random_secret_key

__all__ = [
    "RUNNING_DURABLE",
    "RUNNING_REDIS",
    "VAR",
    "WITH_VISITORS",
    "broker_address",
    "database_from",
    "durable_address",
    "redis_address",
    "secret_key_in",
]

#: What the demo leaves on the disk: database, keys, mail. Not in version control.
VAR = Path(os.environ.get("DEMO_VAR", Path(__file__).parent / "var"))

#: Whether visitors come by themselves while `manage.py demo` runs: not with `DEMO_VISITORS=0`.
WITH_VISITORS = os.environ.get("DEMO_VISITORS", "1") != "0"

#: While `manage.py demo` runs: the address of its Redis.
RUNNING_REDIS = VAR / "redis-address"
#: And of the other one, for sessions, codes and tokens.
RUNNING_DURABLE = VAR / "durable-address"

SQLITE_OPTIONS = {
    # Writers wait for each other at BEGIN instead of failing half-way, and what a writer reads is what it will change:
    # that makes the cache's fine-grained invalidation exact on SQLite.
    "transaction_mode": "IMMEDIATE",
    # Readers and the writer do not wait for each other.
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
    "timeout": 20,
}


def database_from(url: str) -> dict[str, Any]:
    """Django's settings for a database address: `sqlite:////path/to/file` or `postgresql://user:password@host/name`.

    What follows a `?` goes into `OPTIONS`. Raises `ImproperlyConfigured` for any other scheme.
    """
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": unquote(parts.path[1:]), "OPTIONS": {**SQLITE_OPTIONS}}
    if parts.scheme in {"postgres", "postgresql"}:
        options = dict(parse_qsl(parts.query))
        host = parts.netloc.rpartition("@")[2]
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": unquote(parts.path[1:]),
            "USER": unquote(parts.username or ""),
            "PASSWORD": unquote(parts.password or ""),
            # Not `.hostname`, which lower-cases the folder of a socket: `@%2Frun%2Fpg` or `?host=/run/pg`.
            "HOST": options.pop("host", "") or unquote(host.removesuffix(f":{parts.port}")).strip("[]"),
            "PORT": str(parts.port or ""),
            "OPTIONS": options,
        }
    raise ImproperlyConfigured(f"DATABASE_URL begins with {parts.scheme!r}; the demo knows sqlite and postgresql.")


def redis_address(running: Path = RUNNING_REDIS) -> str:
    """REDIS_URL; or else what a running demo has written into the file; or else the usual port.

    Who writes to the database has to tell the Redis that the pages are served from: with the file, a shell in another
    terminal does so by itself.
    """
    if named := os.environ.get("REDIS_URL"):
        return named
    return running.read_text() if running.exists() else "redis://127.0.0.1:6379/0"


def durable_address(redis: str, running: Path = RUNNING_DURABLE) -> str:
    """DURABLE_REDIS_URL; or else what a running demo has written; or else another numbered database of that server.

    The last is so that one address is enough to try things out. A server that evicts what was used least recently, as
    one for a cache does, logs people out: `manage.py check --deploy` says so.
    """
    if named := os.environ.get("DURABLE_REDIS_URL"):
        return named
    if not os.environ.get("REDIS_URL") and running.exists():
        return running.read_text()
    parts = urlsplit(redis)
    if parts.scheme == "unix":
        options = dict(parse_qsl(parts.query))
        query = urlencode({**options, "db": _after(int(options.get("db", 0)), 2)})
        return f"unix://{parts.netloc}{parts.path}?{query}"  # (`geturl` would leave out the slashes.)
    return parts._replace(path=f"/{_after(int(parts.path.strip('/') or 0), 2)}").geturl()


def broker_address(redis: str) -> str:
    """The next numbered database of that server, as Celery writes it: the queue is kept apart from the cache."""
    parts = urlsplit(redis)
    if parts.scheme == "unix":
        number = int(parse_qs(parts.query).get("db", ["0"])[0])
        return f"redis+socket://{parts.netloc}{parts.path}?virtual_host={_after(number, 1)}"
    return parts._replace(path=f"/{_after(int(parts.path.strip('/') or 0), 1)}").geturl()


def secret_key_in(path: Path) -> str:
    """The key kept in this file, made at the first call and readable by its owner alone."""
    try:
        path.touch(mode=0o600, exist_ok=False)
    except FileExistsError:
        return path.read_text()
    key = get_random_secret_key()
    path.write_text(key)
    return key


def _after(number: int, steps: int) -> int:
    return (number + steps) % 16  # a server has as many unless told otherwise
