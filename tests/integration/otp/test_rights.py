"""What a user of Redis must be allowed for codes, as docs/reference/keys.md says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from redis_toolkit.core.connections import link
from redis_toolkit.exceptions import CodeRefused
from redis_toolkit.otp import MagicLink, OneTimeCode, TotpGuard


def test_a_user_who_may_do_what_the_page_says(redis_client: Any) -> None:
    """With these commands and no others codes are made, sent again, tried, armed, taken back and forgiven."""
    page = (Path(__file__).parents[3] / "docs" / "reference" / "keys.md").read_text("utf-8")
    [commands] = re.findall(r"one-time codes these:\n\n```\n(.*)\n```", page)
    redis_client.execute_command("ACL", "SETUSER", "default", "resetkeys", "~rt:*", "-@all", *commands.split(), "+acl")
    link().close()
    try:
        code, magic = OneTimeCode("login", cooldown=0, sends="3/h", lockout=((1, 60),)), MagicLink("login")
        issued = code.issue("ada@example.com", ip="203.0.113.5")
        again = code.resend(issued.challenge, ip="203.0.113.5")
        assert code.cancel(again)
        directed = code.hold("bob@example.com")
        assert code.direct(directed, destination="robert@example.com")
        held = code.reserve("ada@example.com")
        armed = code.arm(held.challenge)
        assert armed is not None
        assert code.disarm(armed)
        assert code.verify(held.challenge, armed.code).retry_after == 60
        assert code.forgive("ada@example.com")
        last = code.issue("ada@example.com")
        assert code.verify(last.challenge, last.code)
        with pytest.raises(CodeRefused) as refused:
            code.issue("ada@example.com")
        assert refused.value.reason == "quota"
        token = magic.issue("ada@example.com").code
        assert magic.peek(token)
        assert magic.verify(token)
        assert TotpGuard(7).accept(1)
        assert not TotpGuard(7).accept(1)
    finally:
        redis_client.execute_command("ACL", "SETUSER", "default", "allkeys", "+@all")
        link().close()
