"""What a type checker sees of one-time codes, sessions and tokens."""

from __future__ import annotations

from typing import assert_type

from django.contrib.auth.models import User
from django.http import HttpRequest

from redis_toolkit.otp import Issued, MagicLink, OneTimeCode, Peeked, Verification
from redis_toolkit.sessions import Device, revoke, revoke_all, sessions_for
from redis_toolkit.tokens import Made, Token, authenticate, make_token, rotate, tokens_for

code = OneTimeCode("typed", digits=6, ttl=300, attempts=5, cooldown=30)


def a_code_is_issued_and_verified() -> None:
    issued = code.issue("ada@example.com", payload={"next": "/"})
    assert_type(issued, Issued)
    assert_type(issued.challenge, str)
    result = code.verify(issued.challenge, "123456")
    assert_type(result, Verification)
    assert_type(bool(result), bool)
    code.verify(issued.challenge, 123456)  # type: ignore[arg-type]
    issued.code = "0"  # type: ignore[misc]


async def so_it_is_asynchronously() -> None:
    issued = await code.aissue("ada@example.com")
    assert_type(issued, Issued)
    assert_type(await code.averify(issued.challenge, "123456"), Verification)


def a_link_is_looked_at(link: MagicLink, text: str) -> None:
    assert_type(link.peek(text), Peeked)


def devices_are_listed_and_ended(user: User, request: HttpRequest) -> None:
    devices = sessions_for(user)
    assert_type(devices, list[Device])
    assert_type(revoke(user, devices[0].handle), bool)
    assert_type(revoke_all(user, keep=request), int)


def tokens_are_made_and_known(user: User) -> None:
    made = make_token(user, name="laptop", scopes=("read",))
    assert_type(made, Made)
    assert_type(made.text, str)
    assert_type(authenticate(made.text), Token | None)
    assert_type(tokens_for(user), list[Token])
    assert_type(rotate(user, made.token.handle, overlap=3600), Made | None)
