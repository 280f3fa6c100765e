"""One-time codes: hashed, counted and consumed in one step; magic links; each TOTP code once.

login_code = OneTimeCode("login", digits=6, ttl=300, attempts=5, cooldown=30)
issued = login_code.issue("ada@example.com", payload={"next": "/"})
result = login_code.verify(issued.challenge, "123 456")
if result: log_in(result.subject)

For a subject that nobody has: ``login_code.decoy(...)``, which answers and costs the same.
"""

from __future__ import annotations

from redis_toolkit.exceptions import CodeRefused
from redis_toolkit.otp.answers import Issued, Verification
from redis_toolkit.otp.codes import LETTERS, OneTimeCode
from redis_toolkit.otp.links import MagicLink, Peeked
from redis_toolkit.otp.totp import TotpGuard

__all__ = ["LETTERS", "CodeRefused", "Issued", "MagicLink", "OneTimeCode", "Peeked", "TotpGuard", "Verification"]
