"""Where a session was begun, told so coarsely that it is no trace: a kind of browser, and a network."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.http import HttpRequest

from redis_toolkit.core.clients import client_of
from redis_toolkit.core.networks import group, written

__all__ = ["Device", "browser_of", "network_of", "origin"]

#: The first that is found counts: most browsers claim to be others too.
_BROWSERS: Final = (
    ("Edge", re.compile(r"\bEdgA?(iOS)?/")),
    ("Opera", re.compile(r"\b(OPR|Opera)/")),
    ("Samsung Internet", re.compile(r"\bSamsungBrowser/")),
    ("Firefox", re.compile(r"\b(Firefox|FxiOS)/")),
    ("Chrome", re.compile(r"\b(Chrome|HeadlessChrome|CriOS|Chromium)/")),
    ("Safari", re.compile(r"\bSafari/")),
)
_SYSTEMS: Final = (
    ("Android", re.compile(r"\bAndroid\b")),
    ("iOS", re.compile(r"\b(iPhone|iPad|iPod)\b")),
    ("Windows", re.compile(r"\bWindows\b")),
    ("macOS", re.compile(r"\bMac OS X\b|\bMacintosh\b")),
    ("ChromeOS", re.compile(r"\bCrOS\b")),
    ("Linux", re.compile(r"\bLinux\b")),
)
#: Characters of a header that are looked at.
_LONGEST: Final = 512
_IPV4_BITS: Final = 24
_IPV6_BITS: Final = 48


@dataclass(frozen=True, slots=True)
class Device:
    """One of a user's sessions.

    ``handle``: by which to :func:`revoke` it, and nothing else; it may be shown. ``created``: when it logged in;
    ``last_seen``: when it was last written or made longer; ``expires``. ``browser``, ``network``: from where it began
    (``REDIS_TOOLKIT_SESSION_DEVICES``), else empty. ``is_current``: whether it is that of the request given.
    """

    handle: str
    created: datetime
    last_seen: datetime
    expires: datetime
    browser: str = ""
    network: str = ""
    is_current: bool = False


def browser_of(headers: Mapping[str, str]) -> str:
    """``"Firefox on Linux"``; empty where the header ``User-Agent`` tells nothing of the kind."""
    told = headers.get("User-Agent", "")[:_LONGEST]
    browser = next((name for name, shape in _BROWSERS if shape.search(told)), "")
    system = next((name for name, shape in _SYSTEMS if shape.search(told)), "")
    return " on ".join(filter(None, (browser, system)))


def network_of(request: HttpRequest) -> str:
    """The client's IPv4 /24 or IPv6 /48, ``203.0.113.0/24``; empty if nobody can tell."""
    address = client_of(request).address
    if address is None:
        return ""
    if len(address) == 4:
        return f"{written(address[:3] + bytes(1))}/{_IPV4_BITS}"
    return f"{written(group(address, _IPV6_BITS))}/{_IPV6_BITS}"


def origin(request: HttpRequest) -> bytes:
    """Both, as they are stored."""
    return f"{browser_of(request.headers)}\n{network_of(request)}".encode()
