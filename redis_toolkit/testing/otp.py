"""For tests of what asks for codes: a code that is known beforehand, a clock that is moved, and what was sent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from django.test.utils import override_settings

from redis_toolkit.core.clock import Frozen, freeze
from redis_toolkit.otp.codes import fix
from redis_toolkit.otp.delivery import Delivery

__all__ = ["Sent", "code_clock", "code_outbox", "fixed_code"]


@contextmanager
def fixed_code(code: str) -> Iterator[None]:
    """Have every code of this process be ``code`` in the block; links keep their secrets. Also a decorator."""
    with fix(code):
        yield


def code_clock() -> AbstractContextManager[Frozen]:
    """Have the time of codes stand still in the block; ``move(seconds)`` of the value lets some pass.

    Codes then expire, cooldowns end and locks are over as they would by themselves, without waiting.
    """
    return freeze()


@dataclass(frozen=True, slots=True)
class Sent:
    """A code, or a link (then ``code`` is empty), that was sent for ``purpose`` in the block of :func:`code_outbox`."""

    destination: str
    code: str
    link: str | None
    purpose: str


_sent: list[list[Sent]] = []


class _Keeping(Delivery):
    """Keeps it for the test."""

    def hand_over(self, destination: str, code: str, *, purpose: str, expires_in: float, link: str | None) -> None:  # noqa: ARG002
        _sent[-1].append(Sent(destination, code, link, purpose))


@contextmanager
def code_outbox() -> Iterator[list[Sent]]:
    """Have nothing be sent in the block, by whatever way; the value is what would have been, the last one last."""
    kept: list[Sent] = []
    _sent.append(kept)
    try:
        with override_settings(REDIS_TOOLKIT_OTP_DELIVERY=f"{__name__}.{_Keeping.__name__}"):
            yield kept
    finally:
        _sent.pop()
