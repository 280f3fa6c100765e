"""Whose request it is, by the settings: ``REDIS_TOOLKIT_TRUSTED_PROXIES``, ``_CLIENT_HEADER``, ``_IPV6_PREFIX``."""

from __future__ import annotations

from django.http import HttpRequest

from redis_toolkit.conf import settings
from redis_toolkit.core.addresses import Client, Proxies
from redis_toolkit.core.networks import group, packed, written

__all__ = ["UNKNOWN", "client_address", "client_of", "counted_address"]

#: The identity of requests whose address nobody can tell: one for all of them.
UNKNOWN = "unknown"


def client_of(request: HttpRequest) -> Client:
    """The client's address, and who told it."""
    return _proxies().client(request.META)


def client_address(request: HttpRequest) -> str:
    """The address by which the client is counted, as text: of IPv6 the network; ``"unknown"`` if nobody can tell."""
    return _counted(client_of(request).address)


def counted_address(text: str) -> str | None:
    """The same of an address that somebody has typed; None: it is none."""
    address = packed(text.partition("/")[0])
    return None if address is None else _counted(address)


def _counted(address: bytes | None) -> str:
    if address is None:
        return UNKNOWN
    found = written(group(address, settings.IPV6_PREFIX))
    return found if len(address) == 4 else f"{found}/{settings.IPV6_PREFIX}"


_known: dict[tuple[tuple[str, ...], str], Proxies] = {}


def _proxies() -> Proxies:
    asked = tuple(settings.TRUSTED_PROXIES), settings.CLIENT_HEADER
    found = _known.get(asked)
    if found is None:
        _known.clear()
        found = _known[asked] = Proxies(*asked)
    return found
