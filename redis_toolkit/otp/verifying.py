"""How a code is tried: a flow of one round trip.

The attempt is counted before anything is compared, in the script that compares and consumes; what was read before, in
any process, decides nothing. Digests are compared as such: who does not know the pepper cannot steer them, so how long
that takes tells nothing.

1. A and B send the right code at once  2. A's script runs: the record is spent  3. B's script finds it so.
"""

from __future__ import annotations

from typing import Final

from redis_toolkit.core.scripts import Script
from redis_toolkit.otp.answers import Verification
from redis_toolkit.otp.challenges import Challenge, Kind
from redis_toolkit.otp.flows import Flow, moment
from redis_toolkit.otp.peppers import peppers
from redis_toolkit.otp.policies import CAP
from redis_toolkit.otp.subjects import familiar_token
from redis_toolkit.signals import code_locked, code_verified

__all__ = ["verifying"]

_VERIFY: Final = Script("otp_verify")
_MICRO: Final = 1_000_000


def verifying(kind: Kind, text: object, secret: str | None, binding: str | bytes | None) -> Flow[Verification]:
    """Try ``secret``, normalised; None: what cannot be one, which counts all the same."""
    challenge = Challenge.read(kind, text)
    if challenge is None:
        return Verification(ok=False, reason="expired")
    policy, digests = kind.policy, list[str]()
    for pepper in peppers() if secret is not None else ():
        digests += [pepper.name, challenge.digest(pepper, secret or "")]
    call = _VERIFY.call_on(
        (challenge.record, kind.failures(challenge.tag)),
        moment(), challenge.bound(binding), CAP, policy.tiers[-1][1], policy.memory, *policy.locks, *digests,
    )  # fmt: skip
    [[status, left, wait, sealed]] = yield [call], False
    reason = status.decode()
    contents = challenge.unseal(sealed)
    if reason == "ok":
        # (Nobody but who writes into Redis can have broken the seal.)
        reason = "" if contents is not None else "expired"
    told = {"sender": None, "purpose": kind.name, "subject": challenge.tag}
    code_verified.send_robust(**told, ok=not reason, reason=reason)
    if reason == "wrong" and wait:
        code_locked.send_robust(**told, seconds=wait / _MICRO)
    if contents is None:
        return Verification(ok=False, reason=reason, attempts_left=left, retry_after=wait / _MICRO)
    return Verification(
        ok=True, attempts_left=left, payload=contents["p"], subject=contents["s"], destination=contents["d"],
        familiar=familiar_token(kind.name, contents["s"]),
    )  # fmt: skip
