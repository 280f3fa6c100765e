"""Round trips, counted at the socket: the same way for everybody, whatever it says of itself."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["Turns", "counted"]

_SENDING = ("send", "sendall", "sendmsg")
_RECEIVING = ("recv", "recv_into", "recvmsg", "recvmsg_into")


class Turns:
    """How often something was received on a socket after something had been sent on it: those are ``round_trips``.

    Of one thread: another tells Redis once a second what was counted, and nobody waits for that.
    """

    def __init__(self) -> None:
        self.round_trips = 0
        self._sent: set[int] = set()
        self._thread = threading.get_ident()

    def sent(self, number: int) -> None:
        """Something goes out on the socket of this descriptor."""
        if threading.get_ident() == self._thread:
            self._sent.add(number)

    def received(self, number: int) -> None:
        """Something is read from it. A long answer is read in several pieces, and was asked for once."""
        if number in self._sent and threading.get_ident() == self._thread:
            self._sent.remove(number)
            self.round_trips += 1


@contextmanager
def counted() -> Iterator[Turns]:
    """Count what this thread sends and receives by Python's sockets. Connect inside of it: a method may be kept."""
    turns = Turns()
    for names, note in ((_SENDING, turns.sent), (_RECEIVING, turns.received)):
        for name in names:
            setattr(socket.socket, name, _noting(getattr(socket.socket, name), note))
    try:
        yield turns
    finally:
        for name in (*_SENDING, *_RECEIVING):
            # They are inherited from a class written in C, and are so again.
            delattr(socket.socket, name)


def _noting(method: Callable[..., Any], note: Callable[[int], None]) -> Callable[..., Any]:
    def call(self: socket.socket, *args: Any, **words: Any) -> Any:
        note(self.fileno())
        return method(self, *args, **words)

    return call
