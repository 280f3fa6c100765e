"""Whose request it is: the client's address, told by those who may be believed. Pure.

``REMOTE_ADDR`` is what the web server saw, and cannot be forged. A header can be written by anybody, so it is looked at
only if that peer is a trusted proxy; and of ``X-Forwarded-For`` only what trusted proxies have appended: it is read
from the right, and the first address that is no proxy of ours is the client's. An entry that is no address ends the
walk at the last one that was.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from redis_toolkit.core.networks import Networks, packed

__all__ = ["FORWARDED_FOR", "UNIX", "Client", "Proxies"]

FORWARDED_FOR: Final = "X-Forwarded-For"
#: A trusted peer without an address: a web server on this machine that reaches us by a socket.
UNIX: Final = "unix"
#: Entries of a header that are looked at: nobody has more proxies.
_MOST_HOPS: Final = 32
#: Characters of it, from the right. What is cut off on the left is what the client itself has written.
_MOST_TEXT: Final = 2048


class Client(NamedTuple):
    """The client's ``address`` (bytes; None: not to be known), and by what it is known (``told``), for people."""

    address: bytes | None
    told: str


class Proxies:
    """The peers whose headers are believed.

    ``trusted``: networks, addresses, ``"unix"``. ``header``: the one that is read. Of any other than
    ``X-Forwarded-For`` the whole value is the address: one that the edge sets itself, whatever the client has sent
    (``CF-Connecting-IP``, ``X-Real-IP``). Raises ValueError for what is no network.
    """

    __slots__ = ("_header", "_meta", "_networks", "_trusts_sockets")

    def __init__(self, trusted: tuple[str, ...] | list[str], header: str = FORWARDED_FOR) -> None:
        self._networks = Networks(each for each in trusted if each != UNIX)
        self._trusts_sockets = UNIX in trusted
        self._header = header
        self._meta = "HTTP_" + header.upper().replace("-", "_")

    def client(self, meta: Mapping[str, Any]) -> Client:
        """The client of a request with this ``META``."""
        peer = str(meta.get("REMOTE_ADDR") or "")
        address = packed(peer)
        trusted = (
            self._trusts_sockets if address is None and not peer else address is not None and address in self._networks
        )
        if not trusted:
            return Client(address, "REMOTE_ADDR")
        value = meta.get(self._meta)
        if not isinstance(value, str):
            return Client(address, f"REMOTE_ADDR, for there is no {self._header}")
        if self._header.lower() == FORWARDED_FOR.lower():
            return self._walk(address, value)
        found = packed(value)
        if found is None:
            return Client(address, f"REMOTE_ADDR, for {self._header} is no address")
        return Client(found, self._header)

    def _walk(self, address: bytes | None, value: str) -> Client:
        """The last in the list, from the right, that no proxy of ours vouches for being a proxy of ours."""
        told = f"REMOTE_ADDR, for {self._header} names nobody"
        entries = value[-_MOST_TEXT:].split(",")
        if len(value) > _MOST_TEXT:
            # Cut through the middle it might be the address of somebody else.
            del entries[0]
        for text in reversed(entries[-_MOST_HOPS:]):
            found = packed(text)
            if found is None:
                break
            address, told = found, self._header
            if found not in self._networks:
                break
        return Client(address, told)
