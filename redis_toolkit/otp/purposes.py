"""What codes and links have in common: to issue, to reserve, to hold, to pretend, to send again, to take back."""

from __future__ import annotations

from typing import Any, Unpack

from redis_toolkit.core.connections import pack
from redis_toolkit.otp.answers import Issued
from redis_toolkit.otp.challenges import Challenge, Kind
from redis_toolkit.otp.flows import Flow, afollow, follow
from redis_toolkit.otp.issuing import Mode, arming, cancelling, directing, issuing, resending
from redis_toolkit.otp.policies import Options, Terms, Whose, policy
from redis_toolkit.otp.subjects import Subject

__all__ = ["Purpose"]


class Purpose:
    """Challenges of one ``name``. All that is answered for a known subject is answered for a decoy."""

    _letter = ""

    def __init__(self, name: str, options: Options) -> None:
        given: object = name
        if not isinstance(given, str) or not given:
            raise ValueError("Codes have a purpose: by its name they are told from others.")
        self.name = name
        self._kind = Kind(self._letter, name, policy(options), self._mint, self._written)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    def _mint(self) -> str:
        raise NotImplementedError

    def _written(self, challenge: Challenge, secret: str) -> str:
        raise NotImplementedError

    @property
    def ttl(self) -> float:
        """Seconds that one lives."""
        return self._kind.policy.life / 1_000_000

    def issue(self, subject: Subject, **terms: Unpack[Terms]) -> Issued:
        """Make one for ``subject`` (an address, or a primary key), to be sent to ``destination``; see ``Terms``.

        With ``challenge``, if that lives and is the subject's and bound to the same, it gets the new code in place of
        the old one, and its attempts anew; else there is a new challenge. Raises CodeRefused (``reason``: "cooldown",
        "quota" or "locked"), ValueError for a destination that is not exactly one, StoreUnavailable.
        """
        return follow(issuing(self._kind, "code", subject, terms))

    def decoy(self, subject: Subject, **terms: Unpack[Terms]) -> Issued:
        """Do the same for a subject that nobody has, and make nothing: no try will ever be right.

        Nobody can tell one from the other if both are asked for alike: with what was typed as the subject, whether that
        is known or not, and the user's key in the payload.
        """
        return follow(issuing(self._kind, "decoy", subject, terms))

    def reserve(self, subject: Subject, **terms: Unpack[Terms]) -> Issued:
        """Begin a challenge whose code a worker mints (:meth:`arm`); until then each try is wrong."""
        return follow(issuing(self._kind, "reserve", subject, terms))

    def hold(self, subject: Subject, **terms: Unpack[Terms]) -> Issued:
        """Begin a challenge of which nobody knows yet whose it is (:meth:`direct`); until then each try is wrong.

        So a page answers before it looks for an account, and nothing in its answer, nor its time, can tell of one.
        """
        return follow(issuing(self._kind, "hold", subject, terms))

    def direct(self, held: Issued, *, destination: str | None = None, payload: Any = None) -> bool:
        """Direct what is held to a destination, with a payload; then it can be armed (:meth:`arm`).

        Without a destination: to where it was directed before it was sent again. False: nowhere, or it is over.
        """
        return follow(directing(self._kind, held, destination, payload))

    def arm(self, challenge: str, *, again: bool = False) -> Issued | None:
        """Mint the code of what was reserved, or directed. None: it has one, was cancelled, or is over.

        ``again``: also if it has one, for whom an attempt to send that has failed; the old one is none any more.
        """
        return follow(arming(self._kind, challenge, again=again))

    def disarm(self, issued: Issued) -> bool:
        """Take the code back, which could not be sent, so that a worker may arm again. False: it is over."""
        return follow(cancelling(self._kind, issued, disarms=True))

    def cancel(self, what: Issued | str) -> bool:
        """Take back a challenge whose code could not be sent, and give the budgets what it has used of them.

        Of an Issued nothing if another code was sent since. False: there was nothing to take back.
        """
        return follow(cancelling(self._kind, what, disarms=False))

    def resend(self, challenge: str, *, reserve: bool = False, hold: bool = False, **terms: Unpack[Whose]) -> Issued:
        """Issue another code under ``challenge``, to whom and with what it was begun; of a decoy, another decoy.

        ``reserve``: a worker will mint it. ``hold``: it is to be directed again. Raises CodeRefused as :meth:`issue`,
        and with the reason "expired" if the challenge is over.
        """
        return follow(resending(self._kind, challenge, _mode(reserve=reserve, hold=hold), terms))

    def forgive(self, subject: Subject) -> bool:
        """Forget the failures and locks of ``subject`` (for staff, who know who it is). Whether there were any."""
        return follow(self._forgiving(subject))

    async def aissue(self, subject: Subject, **terms: Unpack[Terms]) -> Issued:
        """:meth:`issue`, awaited."""
        return await afollow(issuing(self._kind, "code", subject, terms))

    async def adecoy(self, subject: Subject, **terms: Unpack[Terms]) -> Issued:
        """:meth:`decoy`, awaited."""
        return await afollow(issuing(self._kind, "decoy", subject, terms))

    async def areserve(self, subject: Subject, **terms: Unpack[Terms]) -> Issued:
        """:meth:`reserve`, awaited."""
        return await afollow(issuing(self._kind, "reserve", subject, terms))

    async def ahold(self, subject: Subject, **terms: Unpack[Terms]) -> Issued:
        """:meth:`hold`, awaited."""
        return await afollow(issuing(self._kind, "hold", subject, terms))

    async def adirect(self, held: Issued, *, destination: str | None = None, payload: Any = None) -> bool:
        """:meth:`direct`, awaited."""
        return await afollow(directing(self._kind, held, destination, payload))

    async def aarm(self, challenge: str, *, again: bool = False) -> Issued | None:
        """:meth:`arm`, awaited."""
        return await afollow(arming(self._kind, challenge, again=again))

    async def adisarm(self, issued: Issued) -> bool:
        """:meth:`disarm`, awaited."""
        return await afollow(cancelling(self._kind, issued, disarms=True))

    async def acancel(self, what: Issued | str) -> bool:
        """:meth:`cancel`, awaited."""
        return await afollow(cancelling(self._kind, what, disarms=False))

    async def aresend(
        self, challenge: str, *, reserve: bool = False, hold: bool = False, **terms: Unpack[Whose]
    ) -> Issued:
        """:meth:`resend`, awaited."""
        return await afollow(resending(self._kind, challenge, _mode(reserve=reserve, hold=hold), terms))

    async def aforgive(self, subject: Subject) -> bool:
        """:meth:`forgive`, awaited."""
        return await afollow(self._forgiving(subject))

    def _forgiving(self, subject: Subject) -> Flow[bool]:
        answers: list[Any] = yield [pack(("DEL", self._kind.failures(self._kind.tag(subject))))], True
        return bool(answers[0])


def _mode(*, reserve: bool, hold: bool) -> Mode:
    return "hold" if hold else "reserve" if reserve else "code"
