"""Who is counted, as Redis knows it: a digest. And as people may read it: a label.

What a client sends is never part of a key as it stands: identities are 128 bits of BLAKE2b, keyed by ``SECRET_KEY``.
So they are short whatever is sent, say nothing to who reads Redis, and no part of one can be taken for another's: each
part goes in with its length.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from secrets import token_hex
from typing import Any, Final

from django.core.signals import setting_changed
from django.utils.crypto import salted_hmac

from redis_toolkit.core.networks import packed
from redis_toolkit.exceptions import Misconfigured

__all__ = ["CALLED", "Part", "digest", "fresh_id", "identified", "is_digest", "label", "texts", "written"]

#: What an identity is made of, by hand: text, or a whole number.
Part = str | int
#: What stands before the name of a callable.
CALLED: Final = "call:"
#: Characters of an identity that is remembered with its digest.
_LONGEST_KNOWN: Final = 256
#: What is followed by something that may be shown as it is.
_OPEN: Final = {"ip", "user", "path"}
_SOURCES: Final = ("header:", "cookie:", "get:", "post:", "json:", CALLED)
#: Characters that are shown of anything else: it may be a secret.
_SHOWN: Final = 4
_DIGEST: Final = re.compile("[0-9a-f]{32}")

_secret: bytes | None = None


def digest(parts: Sequence[str]) -> str:
    """The 32 hexadecimal digits of an identity."""
    global _secret  # noqa: PLW0603 - one process, one SECRET_KEY
    if _secret is None:
        _secret = salted_hmac("redis_toolkit.throttling", "identities", algorithm="sha256").digest()
    made = blake2b(digest_size=16, key=_secret)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        made.update(len(data).to_bytes(4))
        made.update(data)
    return made.hexdigest()


def is_digest(text: str) -> bool:
    """Whether ``text`` is written like a digest."""
    return _DIGEST.fullmatch(text) is not None


def fresh_id() -> str:
    """An id that nobody can guess: 128 bits, as 32 hexadecimal digits."""
    return token_hex(16)


def label(parts: Sequence[str]) -> str:
    """An identity as people may read it: printable, and of bounded length.

    Addresses, numbers, users' keys and paths as they are. Of anything else (headers, fields, what a callable has found)
    the beginning, from which who knows it will recognise it: it may be a secret.
    """
    told = []
    is_open = False
    for part in parts:
        is_name = part in _OPEN or part in {"user_or_ip", "global"} or part.startswith(_SOURCES)
        told.append(_printable(part[:64]) if is_name or is_open or _is_plain(part) else _printable(_shortened(part)))
        is_open = part in _OPEN
    return " ".join(told).rstrip()


def _is_plain(part: str) -> bool:
    return part.lstrip("+-").isdecimal() or packed(part) is not None


def _shortened(part: str) -> str:
    name, at, host = part.partition("@")
    if at:
        return f"{name[:2]}…@{host[:48]}"
    return part[:_SHOWN] + ("…" if len(part) > _SHOWN else "")


def _printable(text: str) -> str:
    # (Control characters would be carried out by a terminal, and half of a pair of surrogates cannot be printed.)
    return text if text.isprintable() else "".join(each if each.isprintable() else "\ufffd" for each in text)


def identified(parts: tuple[str, ...]) -> tuple[str, str]:
    """:func:`digest` and :func:`label` of an identity. Those that were asked for last are remembered."""
    # (Not the long ones, or who sends them would fill the memory.)
    length = len(parts[0]) if len(parts) == 1 else sum(map(len, parts))
    return _identified(parts) if length <= _LONGEST_KNOWN else (digest(parts), label(parts))


@lru_cache(4096)
def _identified(parts: tuple[str, ...]) -> tuple[str, str]:
    return digest(parts), label(parts)


def texts(identity: tuple[Part, ...]) -> tuple[str, ...]:
    """The parts of an identity as text, a number told from the text of it. Raises ValueError, TypeError."""
    if not identity:
        raise ValueError('Who is counted? hit("ada"), or hit("") for everybody together.')
    for part in identity:
        if type(part) is not str or part[:1] == "+":
            break
    else:
        return identity  # type: ignore[return-value]  # all of it is text
    for part in identity:
        given: object = part
        if not isinstance(given, str | int) or isinstance(given, bool):
            raise TypeError(f"An identity is made of text and whole numbers, not {given!r}.")
    return tuple(_text(part) for part in identity)


def written(found: Any) -> str:
    """What a callable has found, as one part. Raises Misconfigured for what cannot be an identity."""
    if isinstance(found, str | int) and not isinstance(found, bool):
        return _text(found)
    if isinstance(found, tuple):
        return "+" + json.dumps([each if isinstance(each, int) else str(each) for each in found])
    raise Misconfigured(f"A key is a str, an int, a tuple of these or None, not {found!r}.")


def _text(part: Part) -> str:
    # 5 is not "5": what begins like a number of ours gets another plus.
    if isinstance(part, str):
        return f"+{part}" if part.startswith("+") else str(part)
    return f"+{part}"


def _forget(*, setting: str, **_: object) -> None:
    global _secret  # noqa: PLW0603
    if setting == "SECRET_KEY":
        _secret = None
        _identified.cache_clear()


setting_changed.connect(_forget, dispatch_uid="redis_toolkit.throttling.identities")
