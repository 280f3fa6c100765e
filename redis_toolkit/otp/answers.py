"""What is said of a challenge: that a code was issued, and how a try went."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from redis_toolkit.otp.subjects import Subject

__all__ = ["Issued", "Verification"]


@dataclass(frozen=True, slots=True)
class Issued:
    """A code, and the ``challenge`` in answer to which it is to be given.

    ``challenge``: opaque, for the client; of a magic link for nobody. ``code``: what to send (of a magic link its
    token); ``""`` for a decoy and for what is reserved or held. ``expires_in``: seconds it lives. ``resend_in``:
    seconds after which another may be asked for. ``destination``: where it goes. ``is_resend``: it replaces one.
    ``is_decoy``: nothing is to be sent. ``send``: the id of this sending. What is secret is left out of its ``repr``.
    """

    challenge: str = field(repr=False)
    code: str = field(repr=False)
    expires_in: float
    resend_in: float
    destination: str = field(repr=False)
    payload: Any = field(repr=False)
    send: str = field(repr=False)
    is_resend: bool = False
    is_decoy: bool = False


@dataclass(frozen=True, slots=True)
class Verification:
    """How a try went; true if it was right.

    ``reason``: ``""``, "wrong", "expired" (or never there), "spent" (used, or no attempts left) or "locked".
    ``attempts_left``: of this challenge. ``retry_after``: seconds of a lock that stands or has just begun. If it was
    right: ``payload`` and ``subject`` as they were given, ``destination`` to which the code went, and ``familiar``: the
    token that gives this browser a lane of its own (subjects.py).
    """

    ok: bool
    reason: str = ""
    attempts_left: int = 0
    payload: Any = field(default=None, repr=False)
    subject: Subject | None = field(default=None, repr=False)
    destination: str = field(default="", repr=False)
    familiar: str = field(default="", repr=False)
    retry_after: float = 0.0

    def __bool__(self) -> bool:
        return self.ok
