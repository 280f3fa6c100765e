"""``TotpGuard``: each code of an authenticator app once.

A TOTP code is right for its whole time step, and for those that the tolerance adds; RFC 6238 (5.2) accepts it once.
Whoever computes the codes (django-otp, pyotp) asks here before letting anybody in: with the step whose code was shown.

1. A and B show the code of step 7  2. A's step is the highest: accepted  3. B's is not higher.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from redis_toolkit.core import keys
from redis_toolkit.core.scripts import Script
from redis_toolkit.otp.flows import Flow, afollow, follow
from redis_toolkit.otp.peppers import lengthed

__all__ = ["TotpGuard"]

_STEP: Final = Script("otp_step")
_MOST_STEP: Final = 2**53


class TotpGuard:
    """The steps that were accepted of one ``device`` (what names it: its primary key, for one).

    ``period``: seconds of a step. ``tolerance``: steps before and after the present one that are taken. Raises
    ValueError for what cannot be.
    """

    def __init__(self, device: str | int, *, period: int = 30, tolerance: int = 1) -> None:
        if not 1 <= period <= 86_400 or not 0 <= tolerance <= 1000:
            raise ValueError("A step takes from 1 to 86,400 seconds, and a tolerance is of 0 to 1000 steps.")
        self.device = device
        # (One step more than is taken, for clocks that differ.)
        self._life = (2 * tolerance + 2) * period * 1000

    def accept(self, step: int) -> bool:
        """Whether ``step`` (seconds since 1970, divided by the period) is later than any before; it is then the last.

        One round trip. Raises StoreUnavailable, and OutcomeUnknown if it may have been accepted: let nobody in.
        """
        return follow(self._accepting(step))

    async def aaccept(self, step: int) -> bool:
        """:meth:`accept`, awaited."""
        return await afollow(self._accepting(step))

    def _accepting(self, step: int) -> Flow[bool]:
        if not 0 <= step < _MOST_STEP:
            return False
        kind = "number" if isinstance(self.device, int) else "text"
        # (Without a pepper: with another one, or while some processes have it already, a step would be accepted twice.)
        tag = sha256(lengthed("totp", kind, str(self.device))).hexdigest()[:32]
        [accepted] = yield [_STEP.call(keys.tagged("o", tag, "totp"), step, self._life)], False
        return bool(accepted)
