"""A PostgreSQL server of one's own, for tests."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from redis_toolkit.exceptions import Misconfigured
from redis_toolkit.testing.binaries import find_postgres
from redis_toolkit.testing.processes import Lifeline, ServerFailed, reachable
from redis_toolkit.testing.server import Server

__all__ = ["PostgresServer"]

UNIX_PORT = 5432  # without TCP only a part of the socket's name
STATUS_LINE = 7  # of postmaster.pid, counted from 0
UNPRIVILEGED = "nobody"

# A power cut may lose everything: the directory goes with the server. A crash of
# the server may not, for tests play crashes; so commits stay synchronous.
FAST = {
    "fsync": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "shared_buffers": "32MB",
    "timezone": "'UTC'",
    # An ANALYZE in the background changes plans, and with them the order of rows that a test did not order.
    "autovacuum": "off",
    # Shared memory in files of the directory, so that it cannot outlive it.
    "dynamic_shared_memory_type": "mmap",
}


class PostgresServer(Server):
    """A server that lives as long as this process at most, in a private directory that goes with it.

    ``binary``: the ``postgres`` program (see ``find_postgres`` for where it is looked for otherwise). ``tcp``: listen
    on a free port of 127.0.0.1, and not only on a unix socket. ``config``: further lines of postgresql.conf, values
    written as they shall stand there. ``start_timeout``: seconds until ``start`` gives up.

    The superuser is ``postgres``, without a password: the socket's directory is closed to other users, but a TCP port
    is open to everybody on this machine. PostgreSQL refuses to run as root; root runs it as the user ``nobody``.
    """

    label = "postgres"
    stop_signal = signal.SIGQUIT  # immediate shutdown; a SIGKILL would leave shared memory behind
    kill_signal = signal.SIGQUIT
    restart_signal = signal.SIGINT  # fast shutdown: sessions end, data are written

    user = "postgres"

    def __init__(
        self,
        *,
        binary: str | os.PathLike[str] | None = None,
        tcp: bool = False,
        config: Mapping[str, str] | None = None,
        start_timeout: float = 60.0,
    ) -> None:
        super().__init__(binary=binary, tcp=tcp, start_timeout=start_timeout)
        self.config = dict(config or {})
        self._program: Path | None = None

    @property
    def host(self) -> str:
        """What Django and libpq call the host: the socket's directory, or 127.0.0.1."""
        return "127.0.0.1" if self.tcp else str(self.directory)

    @property
    def url(self) -> str:
        """The address of the database ``postgres``."""
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        """The address of a database, as libpq and ``DATABASE_URL`` write it."""
        name = quote(database, safe="")
        return f"postgresql://{self.user}@{quote(self.host, safe='')}:{self._known_port()}/{name}"

    def django_settings(self, database: str = "postgres") -> dict[str, object]:
        """An entry for Django's ``DATABASES``."""
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": database,
            "USER": self.user,
            "PASSWORD": "",
            "HOST": self.host,
            "PORT": str(self._known_port()),
        }

    def create_database(self, name: str) -> None:
        """Create an empty database. Raises ``ServerFailed`` with the server's reason."""
        self._running()
        try:
            import psycopg  # noqa: PLC0415 - optional, and everybody who uses Django on PostgreSQL has it
        except ImportError as error:
            raise Misconfigured("create_database() needs psycopg: pip install 'psycopg[binary]'.") from error
        try:
            with psycopg.connect(self.url, autocommit=True) as connection:
                connection.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(name)))
        except psycopg.Error as error:
            raise ServerFailed(f"Could not create the database {name}: {error}") from error

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    def _known_port(self) -> int:
        if self.tcp and not self.port:
            raise ServerFailed("A server on a TCP port has no address before its first start().")
        return self.port or UNIX_PORT

    def _find(self) -> Path:
        return self._program or find_postgres(self.binary)

    def _owner(self) -> tuple[int, int] | None:
        if os.geteuid() != 0:
            return None
        import pwd  # noqa: PLC0415 - this module must import on Windows as well

        try:
            entry = pwd.getpwnam(UNPRIVILEGED)
        except KeyError as error:
            raise Misconfigured(
                f"PostgreSQL refuses to run as root and there is no user {UNPRIVILEGED}; run as another user, or name "
                "a running server in DATABASE_URL."
            ) from error
        return entry.pw_uid, entry.pw_gid

    def _prepare(self, lifeline: Lifeline, program: Path) -> Path:
        owner = self._owner()
        if owner and not reachable(program, *owner):
            program = _copy_installation(program, self.directory / "programs")
        initdb = [str(program.with_name("initdb")), "--pgdata", str(self._data), "--username", self.user]
        initdb += ["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"]
        lifeline.spawn(initdb, log=self._log_path)
        if lifeline.wait_exit(self.start_timeout) != 0:
            raise ServerFailed(f"initdb failed (exit code {lifeline.exit_code}).{self._last_words()}")
        self._program = program
        return program

    def _configure(self) -> None:
        values = {
            **FAST,
            **self.config,
            "listen_addresses": "'127.0.0.1'" if self.tcp else "''",
            "port": str(self._known_port()),
            "unix_socket_directories": f"'{self.directory}'",
            "unix_socket_permissions": "0700",
        }
        lines = "".join(f"{name} = {value}\n" for name, value in values.items())
        (self._data / "postgresql.conf").write_text(lines)

    def _command(self, program: Path) -> list[str]:
        return [str(program), "-D", str(self._data)]

    def _answers(self) -> bool:
        # The word pg_ctl waits for as well.
        path = self._data / "postmaster.pid"
        try:
            lines = path.read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) > STATUS_LINE and lines[STATUS_LINE].strip() == "ready"


def _copy_installation(program: Path, target: Path) -> Path:
    """Copy the programs and what they need to where the unprivileged user can read it; returns the copied program.

    Root's home is closed to everybody else, and a virtual environment may well lie inside it. The folders keep their
    places relative to each other, for the programs find their libraries and data that way.
    """
    installation = program.parent.parent
    package = installation.parent
    unneeded = shutil.ignore_patterns("include", "pgxs", "*.a")
    copied = target / package.name / installation.name
    shutil.copytree(installation, copied, ignore=unneeded)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, target / libraries.name)
    for path in (target, *target.rglob("*")):
        path.chmod(path.stat().st_mode | (0o555 if path.is_dir() or os.access(path, os.X_OK) else 0o444))
    return copied / "bin" / program.name
