"""``MagicLink``: a token in a link, looked at by GET and consumed by POST.

Mail scanners and previews follow links, so what is asked for by GET must change nothing: :meth:`MagicLink.peek` says
whether the token would be taken, and a page with a button asks for the rest by POST (:meth:`MagicLink.verify`). With a
``binding`` the page can tell whether it is the browser that has asked (``same_browser``), and spare it the button only
by a script that posts.
"""

from __future__ import annotations

import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any, Final, Unpack

from django.views.decorators.debug import sensitive_variables

from redis_toolkit.core.clock import frozen
from redis_toolkit.core.connections import pack
from redis_toolkit.otp.answers import Verification
from redis_toolkit.otp.challenges import Challenge
from redis_toolkit.otp.flows import Flow, afollow, follow
from redis_toolkit.otp.peppers import peppers
from redis_toolkit.otp.policies import Options
from redis_toolkit.otp.purposes import Purpose
from redis_toolkit.otp.subjects import Subject
from redis_toolkit.otp.verifying import verifying

__all__ = ["MagicLink", "Peeked"]

_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{64}\Z")


@dataclass(frozen=True, slots=True)
class Peeked:
    """What a token is worth at this moment; true if it would be taken (from the browser that it is bound to).

    ``same_browser``: whether it is bound to what was given. ``subject``, ``payload``: if it would be taken.
    """

    ok: bool
    same_browser: bool = False
    subject: Subject | None = field(default=None, repr=False)
    payload: Any = field(default=None, repr=False)

    def __bool__(self) -> bool:
        return self.ok


class MagicLink(Purpose):
    """Links for one purpose. ``Issued.code`` is the token: 64 characters for a URL, of which 128 bits are its secret.

    The ``options`` are those of a OneTimeCode; ``ttl`` may be longer than ten minutes, for nobody guesses a token.
    """

    _letter = "l"

    def __init__(self, name: str, **options: Unpack[Options]) -> None:
        super().__init__(name, options)

    @sensitive_variables("token")
    def peek(self, token: str, *, binding: str | bytes | None = None) -> Peeked:
        """Look at a token and change nothing; one round trip. Raises StoreUnavailable."""
        return follow(self._peeking(token, binding))

    @sensitive_variables("token")
    def verify(self, token: str, *, binding: str | bytes | None = None) -> Verification:
        """Consume a token; one round trip. Raises as ``OneTimeCode.verify``."""
        return follow(verifying(self._kind, *_apart(token), binding))

    @sensitive_variables("token")
    async def apeek(self, token: str, *, binding: str | bytes | None = None) -> Peeked:
        """:meth:`peek`, awaited."""
        return await afollow(self._peeking(token, binding))

    @sensitive_variables("token")
    async def averify(self, token: str, *, binding: str | bytes | None = None) -> Verification:
        """:meth:`verify`, awaited."""
        return await afollow(verifying(self._kind, *_apart(token), binding))

    def _mint(self) -> str:
        return token_hex(16)

    def _written(self, challenge: Challenge, secret: str) -> str:
        return urlsafe_b64encode(bytes.fromhex(str(challenge) + secret)).decode()

    def _peeking(self, token: str, binding: str | bytes | None) -> Flow[Peeked]:
        text, secret = _apart(token)
        challenge = Challenge.read(self._kind, text)
        if challenge is None or secret is None:
            return Peeked(ok=False)
        fields = ("state", "until", "binding", "pepper", "digest", "sealed", "lane", "attempts", "max")
        [found, locks, time] = yield [
            pack(("HMGET", challenge.record, *fields)), pack(("HGETALL", self._kind.failures(challenge.tag))),
            pack(("TIME",)),
        ], True  # fmt: skip
        state, until, bound, name, digest, sealed, lane, tried, most = (each or b"" for each in found)
        still = frozen()
        moment = int(time[0]) * 1_000_000 + int(time[1]) if still is None else still
        is_own = hmac.compare_digest(bound, challenge.bound(binding).encode()) if bound else True
        is_right = any(
            hmac.compare_digest(digest, challenge.digest(pepper, secret).encode())
            for pepper in peppers()
            if pepper.name.encode() == name
        )
        contents = challenge.unseal(sealed)
        if state != b"armed" or int(until) <= moment or not is_right or contents is None:
            return Peeked(ok=False)
        names = (lane + b"!", b"*!") if lane.startswith(b"s") else (lane + b"!",)
        ends = dict(zip(locks[::2], locks[1::2], strict=True)) if isinstance(locks, list) else locks
        if int(tried) >= int(most) or any(int(ends.get(each, 0)) > moment for each in names):
            return Peeked(ok=False)
        return Peeked(ok=is_own, same_browser=bool(bound) and is_own, subject=contents["s"], payload=contents["p"])


def _apart(token: object) -> tuple[str, str | None]:
    """The challenge and the secret of a token."""
    if not isinstance(token, str) or not _TOKEN.match(token):
        return "", None
    digits = urlsafe_b64decode(token).hex()
    return digits[:64], digits[64:]
