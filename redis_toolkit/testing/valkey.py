"""A Valkey or Redis server of one's own, for tests and for trying things out."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

from redis_toolkit.testing.binaries import find_valkey
from redis_toolkit.testing.processes import ServerFailed
from redis_toolkit.testing.server import Server

__all__ = ["Directive", "ValkeyServer", "embedded_valkey"]

Directive = str | int | bool | Sequence[str]

#: Seconds without an answer after which a server that was told to stop has stopped.
SILENCE: Final = 0.05


class ValkeyServer(Server):
    """A server that lives as long as this process at most, in a private directory that goes with it.

    ``binary``: the program (see ``find_valkey`` for where it is looked for otherwise). ``tcp``: listen on a free port
    of 127.0.0.1, and not only on a unix socket. ``config``: further directives, a list for a repeated one, replacing
    ours of the same name (we switch persistence off). ``start_timeout``: seconds until ``start`` gives up.

    Use it as a context manager, or by ``start()`` and ``stop()``. ``kill()`` and ``start()`` again use the same
    address, so that an outage can be played.
    """

    label = "valkey"
    stop_signal = signal.SIGKILL  # nothing is kept, so there is nothing to do in good order
    kill_signal = signal.SIGKILL
    restart_signal = signal.SIGTERM

    def __init__(
        self,
        *,
        binary: str | os.PathLike[str] | None = None,
        tcp: bool = False,
        config: Mapping[str, Directive] | None = None,
        start_timeout: float = 10.0,
    ) -> None:
        super().__init__(binary=binary, tcp=tcp, start_timeout=start_timeout)
        self.config = dict(config or {})

    @property
    def socket_path(self) -> Path:
        """The unix socket; it exists with ``tcp=True`` as well."""
        return self.directory / "socket"

    @property
    def url(self) -> str:
        """The address for redis-py and django-redis: ``unix:///...?db=0`` or ``redis://127.0.0.1:port/0``.

        Celery takes the second; a socket is ``redis+socket:///...?virtual_host=0`` to it.
        """
        return self.url_of(0)

    def url_of(self, database: int) -> str:
        """The address of a numbered database. Raises ``ServerFailed`` while a TCP server has no port yet."""
        if not self.tcp:
            return f"unix://{quote(str(self.socket_path))}?db={database}"
        if not self.port:
            raise ServerFailed("A server on a TCP port has no address before its first start().")
        return f"redis://127.0.0.1:{self.port}/{database}"

    def pause(self) -> None:
        """Freeze the server: connections stay open, nothing is answered (SIGSTOP). Returns once it is silent."""
        self._running().signal(signal.SIGSTOP)
        # The signal goes by way of the server's watcher, so it may arrive after our next command.
        while self._answers(SILENCE):
            pass

    def resume(self) -> None:
        """Let a frozen server go on (SIGCONT)."""
        self._running().signal(signal.SIGCONT)

    def _find(self) -> Path:
        return find_valkey(self.binary)

    def _command(self, program: Path) -> list[str]:
        return [str(program), str(self.directory / "conf")]

    def _configure(self) -> None:
        directives: dict[str, Directive] = {
            "bind": "127.0.0.1",
            "save": '""',
            "appendonly": False,
            **self.config,
            "daemonize": False,
            "dir": str(self.directory),
            "port": self.port,
            "unixsocket": str(self.socket_path),
            "unixsocketperm": "700",
        }
        lines = [f"{name} {value}\n" for name, given in directives.items() for value in _values(given)]
        (self.directory / "conf").write_text("".join(lines))

    def _answers(self, patience: float = 1.0) -> bool:
        # The socket in our own directory: no other server can be the one that
        # answers, and a server listens on its port before it answers anybody.
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(patience)
            try:
                link.connect(str(self.socket_path))
                link.sendall(b"PING\r\n")
                return link.recv(64).startswith((b"+PONG", b"-NOAUTH"))
            except OSError:
                return False


@contextmanager
def embedded_valkey(*, maxmemory: str = "128mb", tcp: bool = False) -> Iterator[ValkeyServer]:
    """A bounded cache server for a demonstration or a development machine; it and its data go with this process.

    ``maxmemory``: the server's limit, beyond which it forgets what was used least recently. Raises ``Misconfigured``
    when no server program is installed.
    """
    with ValkeyServer(tcp=tcp, config={"maxmemory": maxmemory, "maxmemory-policy": "allkeys-lru"}) as server:
        yield server


def _values(given: Directive) -> Sequence[str]:
    if isinstance(given, bool):
        return ["yes" if given else "no"]
    if isinstance(given, str | int):
        return [str(given)]
    return given
