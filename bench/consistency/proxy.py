"""The line between the processes and Redis: a TCP proxy that can delay, refuse, swallow and lead elsewhere.

It is a process of its own, so that it goes on while the processes at its two ends are stopped or killed.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import socket
from typing import Any

from bench.consistency.processes import Process

__all__ = ["Proxy"]

PATIENCE = 10.0


class Proxy:
    """The driver's end: a process that listens on a free port of 127.0.0.1 and leads to the unix socket ``target``."""

    def __init__(self, seed: str) -> None:
        # It keeps the port while the proxy refuses: it is bound and does not listen.
        self._holder = _bound(0)
        self.port: int = self._holder.getsockname()[1]
        self._control, theirs = socket.socketpair()
        self._control.settimeout(PATIENCE)
        self._process = Process(lambda: asyncio.run(_Server(self.port, theirs, seed).serve()))
        theirs.close()

    def set(self, **state: Any) -> None:
        """Change some of the state, and return when it is so.

        ``target``: the server's socket (all connections end); ``mode``: "open", "refuse" or "hole"; ``delay``: two
        bounds, in seconds, for each direction; ``lag``: seconds, for what the server says.
        """
        self._control.sendall(json.dumps(state).encode() + b"\n")
        if not self._control.recv(1):
            raise ConnectionError("the proxy is gone")

    def close(self) -> None:
        """End the proxy."""
        self._process.kill()
        self._control.close()
        self._holder.close()


def _bound(port: int) -> socket.socket:
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind(("127.0.0.1", port))
    return bound


class _Server:
    """The proxy's own end."""

    def __init__(self, port: int, control: socket.socket, seed: str) -> None:
        self.port = port
        self.control = control
        self.random = random.Random(seed)
        self.target = ""
        self.mode = "refuse"
        self.delay = (0.0, 0.0)
        self.lag = 0.0
        self.listener: asyncio.Server | None = None
        self.sides: set[_Side] = set()

    async def serve(self) -> None:
        """Obey until the driver is gone."""
        reader, writer = await asyncio.open_connection(sock=self.control)
        while line := await reader.readline():
            state = json.loads(line)
            vars(self).update(state)
            if "target" in state or self.mode == "refuse":
                for side in list(self.sides):
                    side.abort()
            await self._listen()
            for side in list(self.sides):
                side.obey()
            writer.write(b"\n")
        os._exit(0)

    async def _listen(self) -> None:
        if self.mode == "refuse" and self.listener is not None:
            self.listener.close()
            self.listener = None
        elif self.mode != "refuse" and self.listener is None:
            loop = asyncio.get_running_loop()
            self.listener = await loop.create_server(lambda: _Side(self, None), sock=_bound(self.port), backlog=512)


class _Side(asyncio.Protocol):
    """One end of a connection; what it hears is said to the other end, its ``peer``."""

    def __init__(self, server: _Server, peer: _Side | None) -> None:
        self.server = server
        self.peer = peer
        self.is_client = peer is None
        self.transport: Any = None
        self.waiting: list[bytes] = []
        self.latest = 0.0
        self.dialled = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.server.sides.add(self)
        self.obey()
        if self.peer is not None:
            for data in self.waiting:
                transport.write(data)
            self.waiting.clear()

    def obey(self) -> None:
        """Read on, or leave what comes in the kernel's hands: it is delivered late, as packets are."""
        if self.transport is None:
            return
        if self.server.mode == "hole":
            self.transport.pause_reading()
            return
        self.transport.resume_reading()
        if self.is_client and not self.dialled:
            self.dialled = True
            self.peer = _Side(self.server, self)
            self.dialling = asyncio.ensure_future(self._dial(self.peer))

    async def _dial(self, peer: _Side) -> None:
        try:
            await asyncio.get_running_loop().create_unix_connection(lambda: peer, self.server.target)
        except OSError:
            self.abort()

    def data_received(self, data: bytes) -> None:
        server, peer = self.server, self.peer
        pause = server.random.uniform(*server.delay) + (0 if self.is_client else server.lag)
        if peer is None:
            return
        if pause or self.latest:
            loop = asyncio.get_running_loop()
            # Never two at one time: the loop would not say which goes first.
            self.latest = max(self.latest + 1e-6, loop.time() + pause)
            loop.call_at(self.latest, peer.say, data)
        else:
            peer.say(data)

    def say(self, data: bytes) -> None:
        """Send, or keep until there is a connection."""
        if self.transport is None:
            self.waiting.append(data)
        elif not self.transport.is_closing():
            self.transport.write(data)

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self.server.sides.discard(self)
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.close()

    def abort(self) -> None:
        """End both directions at once."""
        for side in (self, self.peer):
            if side is not None and side.transport is not None:
                side.transport.abort()
