"""``OneTimeCode``: codes that people type."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from secrets import choice
from typing import Final, Unpack
from weakref import WeakSet

from django.views.decorators.debug import sensitive_variables

from redis_toolkit.otp.answers import Verification
from redis_toolkit.otp.challenges import Challenge
from redis_toolkit.otp.flows import afollow, follow
from redis_toolkit.otp.policies import Options
from redis_toolkit.otp.purposes import Purpose
from redis_toolkit.otp.verifying import verifying

__all__ = ["LETTERS", "OneTimeCode", "declared", "fix"]

_DIGITS: Final = "0123456789"
#: Letters that are not taken for one another, and make no words (RFC 8628, 6.1), for ``alphabet=``.
LETTERS: Final = "BCDFGHJKLMNPQRSTVWXZ"
_LONGEST: Final = 64
#: Characters of an answer that are looked at; what is longer is wrong.
_MOST_TYPED: Final = 256

_declared: WeakSet[OneTimeCode] = WeakSet()
_fixed: str | None = None


class OneTimeCode(Purpose):
    """Codes for one purpose, of so many ``digits``, or of ``length`` characters of an ``alphabet``.

    The ``options`` are those of ``Options``: ``ttl`` (300 s), ``attempts`` (5), ``cooldown`` (30 s), ``sends`` (5/h),
    ``sends_per_ip`` (30/h), ``sends_per_prefix``, ``sends_total``, ``lockout``. Raises ValueError for what cannot be; a
    system check refuses fewer than a million codes, and a life of more than ten minutes.
    """

    _letter = "c"

    def __init__(
        self, name: str, *, digits: int = 6, alphabet: str = _DIGITS, length: int | None = None,
        **options: Unpack[Options],
    ) -> None:  # fmt: skip
        characters = digits if length is None else length
        given: object = characters
        if not isinstance(given, int) or isinstance(given, bool) or not 1 <= given <= _LONGEST:
            raise ValueError(f"A code has from 1 to {_LONGEST} characters.")
        if len(set(alphabet)) != len(alphabet) or len(alphabet) < 2 or not (alphabet.isascii() and alphabet.isalnum()):
            raise ValueError("An alphabet is of two or more different letters and digits of ASCII.")
        self.alphabet, self.length = alphabet, characters
        super().__init__(name, options)
        _declared.add(self)

    @property
    def variety(self) -> int:
        """How many codes there are."""
        return int(len(self.alphabet) ** self.length)

    @sensitive_variables("text")
    def verify(self, challenge: str, text: str, *, binding: str | bytes | None = None) -> Verification:
        """Try what somebody has typed; one round trip. Never raises for what a client can send.

        Spaces, dashes and case do not matter, and digits may be those of any script. Raises StoreUnavailable, and
        OutcomeUnknown if the code may have been consumed: nobody is let in by either.
        """
        return follow(verifying(self._kind, challenge, self._read(text), binding))

    @sensitive_variables("text")
    async def averify(self, challenge: str, text: str, *, binding: str | bytes | None = None) -> Verification:
        """:meth:`verify`, awaited."""
        return await afollow(verifying(self._kind, challenge, self._read(text), binding))

    def _mint(self) -> str:
        if _fixed is not None:
            return _fixed
        return "".join(choice(self.alphabet) for _ in range(self.length))

    def _written(self, challenge: Challenge, secret: str) -> str:  # noqa: ARG002 - a code is sent as it is
        return secret

    def _read(self, text: object) -> str | None:
        """The code that was meant; None: there is no such code."""
        if not isinstance(text, str) or len(text) > _MOST_TYPED:
            return None
        found = "".join(_plain(each) for each in unicodedata.normalize("NFKC", text))
        if self.alphabet.upper() == self.alphabet:
            found = found.upper()
        elif self.alphabet.lower() == self.alphabet:
            found = found.lower()
        is_one = found == _fixed or (len(found) == self.length and set(found) <= set(self.alphabet))
        return found if is_one else None


def _plain(character: str) -> str:
    """A digit of any script as ours; nothing of spaces, dashes and what cannot be seen."""
    digit = unicodedata.decimal(character, None)
    if digit is not None:
        return str(digit)
    return "" if unicodedata.category(character) in {"Zs", "Zl", "Zp", "Pd", "Cf", "Cc"} else character


def declared() -> list[OneTimeCode]:
    """All codes there are in this process, for checks."""
    return sorted(_declared, key=lambda each: each.name)


@contextmanager
def fix(code: str) -> Iterator[None]:
    """Have all codes of this process be this one inside the block (for tests)."""
    global _fixed  # noqa: PLW0603 - one process, one code
    before, _fixed = _fixed, code
    try:
        yield
    finally:
        _fixed = before
