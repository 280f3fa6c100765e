"""Addresses of the internet as bytes, and sets of networks that are asked in a fraction of a microsecond. Pure.

An address is its 4 or 16 bytes. What is IPv4 in IPv6's clothes (``::ffff:1.2.3.4``) is IPv4, before anything else is
decided: otherwise all clients of a dual-stack socket are one, or the deny list knows none of them (CVE-2026-30827).
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final

__all__ = ["Networks", "group", "packed", "written"]

_MAPPED: Final = b"\0" * 10 + b"\xff\xff"
#: Longest text that can be an address: IPv6 with an embedded IPv4, in brackets, with a zone and a port.
_LONGEST: Final = 128


def packed(text: str) -> bytes | None:
    """The bytes of an address as it is written in headers: with a port, in brackets or quotes, with a zone; else None.

    ``1.2.3.4``, ``1.2.3.4:5678``, ``[2001:db8::1]``, ``[2001:db8::1]:443``, ``"[2001:db8::1]"``, ``fe80::1%eth0``.
    """
    bare = text.strip().strip('"') if len(text) <= _LONGEST else ""
    if bare.startswith("["):
        bare, closing, port = bare[1:].partition("]")
        bare = bare if closing and _is_port(port) else ""
    elif bare.count(":") == 1:
        bare, colon, port = bare.partition(":")
        bare = bare if _is_port(colon + port) else ""
    bare, percent, zone = bare.partition("%")
    if percent and (not zone or ":" not in bare):
        return None
    try:
        # (inet_aton would take "1" and "0x7f.1", and so do some others.)
        found = socket.inet_pton(socket.AF_INET6 if ":" in bare else socket.AF_INET, bare)
    except (OSError, ValueError):
        return None
    return found[12:] if len(found) == 16 and found.startswith(_MAPPED) else found


def _is_port(text: str) -> bool:
    return not text or (text[0] == ":" and text[1:].isascii() and text[1:].isdigit() and len(text) <= len(":65535"))


def written(address: bytes) -> str:
    """The usual text of an address."""
    return socket.inet_ntop(socket.AF_INET if len(address) == 4 else socket.AF_INET6, address)


def group(address: bytes, bits: int) -> bytes:
    """The address, or, of IPv6, its first ``bits``: one customer has a /64 at least, and all of its addresses."""
    if len(address) == 4:
        return address
    whole, rest = divmod(bits, 8)
    if not rest:
        return address[:whole] + bytes(16 - whole)
    last = address[whole] & (0xFF << (8 - rest)) & 0xFF
    return address[:whole] + bytes([last]) + bytes(15 - whole)


class Networks:
    """A set of networks. ``address in networks`` costs one look-up for each length of prefix that occurs in it.

    ``given``: networks or addresses as text. Raises ValueError, with the text, for what is none, and for a network
    with bits set beyond its prefix.
    """

    __slots__ = ("_by_size", "_lengths")

    def __init__(self, given: Iterable[str]) -> None:
        #: By the size of an address: the masks, and the networks under each.
        self._by_size: dict[int, dict[int, set[int]]] = {4: {}, 16: {}}
        for text in given:
            network = _network(text)
            size = network.max_prefixlen // 8
            mask = int(network.netmask)
            self._by_size[size].setdefault(mask, set()).add(int(network.network_address))
        self._lengths = sum(len(masks) for masks in self._by_size.values())

    def __contains__(self, address: bytes) -> bool:
        masks = self._by_size[len(address)]
        if not masks:
            return False
        value = int.from_bytes(address)
        return any(value & mask in networks for mask, networks in masks.items())

    def __bool__(self) -> bool:
        return self._lengths > 0


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        network = ip_network(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is no network or address: {error}. 10.0.0.0/8 is one, and 2001:db8::1.") from error
    mapped = 96
    if isinstance(network, IPv6Network) and network.network_address.ipv4_mapped and network.prefixlen >= mapped:
        return IPv4Network((int(network.network_address.ipv4_mapped), network.prefixlen - mapped))
    return network
