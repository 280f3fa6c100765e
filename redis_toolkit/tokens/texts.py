"""The text of a token: ``rtk_live_``, 30 characters that nobody can guess (178 bits), and 6 that catch slips.

The last six are the CRC-32 of all before them: a token that was mistyped, cut off or made up is known for one without
asking anybody, and a scanner that looks for leaked ones need not ask us. (GitHub's tokens are made so.) Of a token only
the SHA-256 is kept; it has too many bits to be guessed, so no slow hash and no pepper is needed.
"""

from __future__ import annotations

import string
from hashlib import sha256
from secrets import choice
from typing import Final
from zlib import crc32

__all__ = ["SECRET", "digest", "is_whole", "mint"]

#: Characters that nobody can guess.
SECRET: Final = 30
_SUM: Final = 6
_DIGITS: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase


def mint(prefix: str) -> str:
    """A new token that begins with ``prefix``."""
    text = prefix + "_" + "".join(choice(_DIGITS) for _ in range(SECRET))
    return text + _checksum(text)


def is_whole(text: str, prefix: str) -> bool:
    """Whether ``text`` is written like a token with that ``prefix``; nobody is asked."""
    given: object = text
    if (
        not isinstance(given, str)
        or len(given) != len(prefix) + 1 + SECRET + _SUM
        or not given.startswith(prefix + "_")
    ):
        return False
    rest = given[len(prefix) + 1 :]
    return rest.isascii() and rest.isalnum() and given[-_SUM:] == _checksum(given[:-_SUM])


def digest(text: str) -> str:
    """What is kept of a token: 64 hexadecimal digits."""
    return sha256(text.encode()).hexdigest()


def _checksum(text: str) -> str:
    number, found = crc32(text.encode()), ""
    while len(found) < _SUM:
        number, digit = divmod(number, 62)
        found = _DIGITS[digit] + found
    return found
