"""Who comes to the address of a server that is away."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from redis_toolkit.testing import ValkeyServer

__all__ = ["listening_at"]


@contextmanager
def listening_at(server: ValkeyServer) -> Iterator[Callable[[], int]]:
    """Listen at the address of ``server``. Gives a function that counts who has come since it was asked last.

    Nobody is answered. Of a server that only hangs the connections that there are lead to it still.
    """
    path = server.socket_path
    aside = path.with_name("aside")
    path.rename(aside)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(100)
        listener.setblocking(False)
        yield lambda: _visitors(listener)
    path.unlink()
    aside.rename(path)


def _visitors(listener: socket.socket) -> int:
    count = 0
    while True:
        try:
            visitor, _ = listener.accept()
        except BlockingIOError:
            return count
        visitor.close()
        count += 1
