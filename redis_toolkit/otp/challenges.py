"""Challenges: their ids, their keys, and what is bound together in a digest.

An id is 64 hexadecimal digits: the subject's tag (a keyed digest of purpose and subject, so that no address stands in a
key, and all keys of a subject share a slot) and 128 random bits. Whoever tries a code names a challenge, never a user;
and since Redis knows but a digest of those bits, what it holds cannot be tried there either.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from secrets import token_hex
from typing import Any, Final, cast

from redis_toolkit.core import keys
from redis_toolkit.otp.peppers import Pepper, first_pepper, lengthed
from redis_toolkit.otp.policies import Policy
from redis_toolkit.otp.seals import seal, unseal
from redis_toolkit.otp.subjects import Subject, folded

__all__ = ["Challenge", "Kind"]

_HEX64: Final = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True, slots=True)
class Kind:
    """Codes, or links, of one purpose.

    ``mint``: makes a secret; ``written``: the secret of a challenge as it is sent. ``letter``: "c" or "l".
    """

    letter: str
    name: str
    policy: Policy
    mint: Callable[[], str]
    written: Callable[[Challenge, str], str]

    def tag(self, subject: Subject) -> str:
        """What stands for ``subject`` in keys and in signals: 32 hexadecimal digits."""
        return first_pepper().mac("tag", self.letter, self.name, folded(subject)).hex()[:32]

    def key(self, tag: str, *parts: str) -> str:
        """A key of the subject with this tag."""
        return keys.tagged("o", tag, keys.escape(self.name), self.letter, *parts)

    def failures(self, tag: str) -> str:
        """The key of its failures."""
        return self.key(tag, "f")

    def sent(self, tag: str, lane: str) -> str:
        """The key of what was sent to it lately."""
        return self.key(tag, "s", lane)


@dataclass(frozen=True, slots=True)
class Challenge:
    """A challenge's id, taken apart."""

    kind: Kind
    tag: str
    random: str

    @classmethod
    def fresh(cls, kind: Kind, tag: str) -> Challenge:
        """One that nobody can guess."""
        return cls(kind, tag, token_hex(16))

    @classmethod
    def read(cls, kind: Kind, text: object) -> Challenge | None:
        """The challenge of an id as a client has sent it; None: it is none."""
        if not isinstance(text, str) or not _HEX64.match(text):
            return None
        return cls(kind, text[:32], text[32:])

    def __str__(self) -> str:
        return self.tag + self.random

    @property
    def record(self) -> str:
        """The key of its record."""
        return self.kind.key(self.tag, "r", sha256(self.random.encode()).hexdigest()[:32])

    def digest(self, pepper: Pepper, secret: str) -> str:
        """What is kept of its secret."""
        return pepper.mac("code", self.kind.letter, self.kind.name, self.tag, self.random, secret).hex()

    def bound(self, binding: str | bytes | None) -> str:
        """What is kept of what it is bound to: an HMAC under the random bits, which are not kept."""
        if binding is None:
            return ""
        return hmac.digest(self.random.encode(), lengthed("binding", binding), "sha256").hex()[:32]

    def seal(self, contents: dict[str, Any]) -> bytes:
        """``contents`` as they are kept."""
        return seal(contents, self.kind.letter, self.kind.name, str(self))

    def unseal(self, sealed: bytes | None) -> dict[str, Any] | None:
        """What was sealed for this challenge; None for anything else."""
        found = unseal(sealed, self.kind.letter, self.kind.name, str(self)) if sealed else None
        return cast("dict[str, Any] | None", found)
