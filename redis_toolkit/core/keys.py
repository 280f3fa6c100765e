"""The only maker and reader of key strings.

``prefix:room:part:part…``. Parts are escaped, so no value can forge a key or break a hash tag, and bounded: a long part
becomes its BLAKE2b digest. Nothing that two commands must reach together is spread over slots: cache keys stand alone,
and :func:`tagged` gives the hash tag ``{…}`` to what belongs together (used by rooms whose scripts take several keys).
"""

from __future__ import annotations

import re
from hashlib import blake2b
from urllib.parse import quote, unquote

from redis_toolkit.conf import settings

__all__ = [
    "LONGEST_PART",
    "around_tag",
    "below",
    "digest",
    "escape",
    "literal",
    "make",
    "parts_of",
    "pattern",
    "split",
    "tagged",
    "unescape",
]

#: Longest part in characters after escaping; a longer one is replaced by ``~`` and its digest.
LONGEST_PART = 96

_PLAIN = re.compile(r"[A-Za-z0-9_.@-]+\Z")


def digest(data: bytes) -> str:
    """The 128-bit BLAKE2b digest of ``data`` as 32 hexadecimal digits."""
    return blake2b(data, digest_size=16).hexdigest()


def escape(part: str) -> str:
    """``part`` with everything but letters, digits and ``_ . @ -`` percent-encoded, bounded to ``LONGEST_PART``."""
    if _PLAIN.match(part) is not None and len(part) <= LONGEST_PART:
        return part
    quoted = quote(part, safe="@", errors="surrogatepass").replace("~", "%7E")
    if len(quoted) <= LONGEST_PART:
        return quoted or "~"
    return "~" + digest(part.encode("utf-8", "surrogatepass"))


def unescape(part: str) -> str | None:
    """What was escaped, or None where only a digest is left."""
    if part == "~":
        return ""
    return None if part.startswith("~") else unquote(part, errors="surrogatepass")


def make(room: str, *parts: str) -> str:
    """The key of ``parts`` in ``room``. Parts not made by this module must go through :func:`escape` first."""
    return ":".join((settings.PREFIX, room, *parts))


def below(stem: str, name: str) -> str:
    """The key ``name`` under the key ``stem``. ``name`` must be made of escaped parts."""
    return stem + ":" + name


def split(key: str, parts: int) -> tuple[str, str]:
    """Undo :func:`below`: the stem of ``key``, which :func:`make` made of ``parts`` parts, and the name, or ``""``."""
    pieces = key[len(settings.PREFIX) :].split(":", parts + 2)
    return settings.PREFIX + ":".join(pieces[: parts + 2]), "".join(pieces[parts + 2 :])


def parts_of(key: str) -> list[str]:
    """Undo :func:`make`: the room of ``key`` and its parts; nothing for a key of another project."""
    stem = settings.PREFIX + ":"
    return key[len(stem) :].split(":") if key.startswith(stem) else []


def tagged(room: str, tag: str, *parts: str) -> str:
    """Like :func:`make`, all keys of one ``tag`` in one Cluster slot."""
    return make(room, "{" + escape(tag) + "}", *parts)


def around_tag(room: str, *parts: str) -> tuple[str, str]:
    """What stands before and behind the tag in :func:`tagged`, for many tags that need no escaping (digests)."""
    before, _, behind = make(room, "{}", *parts).partition("{}")
    return before + "{", "}" + behind


def pattern(room: str | None = None) -> str:
    """A SCAN pattern for every key of this project, or of one room."""
    stem = literal(settings.PREFIX)
    return f"{stem}:*" if room is None else f"{stem}:{room}:*"


def literal(text: str) -> str:
    """``text`` as a pattern that means itself."""
    return re.sub(r"([*?\[\]\\])", r"\\\1", text)
