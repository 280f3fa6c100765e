"""Challenges that are held till it is known whose they are: the answer is out before anybody looks."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import redis

from redis_toolkit.core.clock import Frozen
from redis_toolkit.exceptions import CodeRefused
from redis_toolkit.otp import MagicLink, OneTimeCode

ADA = "ada@example.com"
PAYLOAD = {"user": "1", "next": "/"}


@pytest.fixture
def code() -> OneTimeCode:
    """A code of the tests'."""
    return OneTimeCode("held", cooldown=30, sends="3/h")


def test_held_directed_armed(code: OneTimeCode, trips: Any) -> None:
    """It is nobody's till it is directed, has no code till it is armed, and then is as any other."""
    # (The first of all loads the scripts.)
    code.hold("warm@example.com")
    assert trips(lambda: code.hold("cold@example.com")) == 1
    held = code.hold(ADA, payload={"next": "/"}, binding="b")
    assert (held.code, held.payload) == ("", {"next": "/"})
    assert code.arm(held.challenge) is None
    assert code.verify(held.challenge, "123456", binding="b").reason == "wrong"
    assert trips(lambda: code.direct(held, destination=ADA, payload=PAYLOAD)) == 2
    assert not code.direct(held, destination="eve@example.com", payload=PAYLOAD)
    assert code.verify(held.challenge, "123456", binding="b").reason == "wrong"
    armed = code.arm(held.challenge)
    assert armed is not None
    assert (armed.destination, armed.payload) == (ADA, PAYLOAD)
    assert not code.direct(held, destination="eve@example.com", payload=PAYLOAD)
    tried = code.verify(held.challenge, armed.code, binding="b")
    assert (tried.ok, tried.attempts_left, tried.payload) == (True, 2, PAYLOAD)
    assert not code.direct(held, destination=ADA, payload=PAYLOAD)


def test_a_link_is_held_as_well() -> None:
    """Its token is none till it is armed."""
    magic = MagicLink("held")
    held = magic.hold(ADA)
    assert magic.direct(held, destination=ADA, payload=PAYLOAD)
    armed = magic.arm(held.challenge)
    assert armed is not None
    assert magic.peek(armed.code)
    assert magic.verify(armed.code).payload == PAYLOAD


def test_asynchronously(code: OneTimeCode) -> None:
    """The same, awaited."""

    async def play() -> Any:
        held = await code.ahold(ADA)
        assert await code.adirect(held, destination=ADA, payload=PAYLOAD)
        armed = await code.aarm(held.challenge)
        assert armed is not None
        return await code.averify(held.challenge, armed.code)

    assert asyncio.run(play()).payload == PAYLOAD


def test_what_was_found_for_an_earlier_send_is_not_for_a_later(code: OneTimeCode, clock: Frozen) -> None:
    """1. A is held, and looked up slowly  2. it is asked for again  3. what was found for 1 is nothing to 2."""
    first = code.hold(ADA)
    clock.move(30)
    second = code.hold(ADA, challenge=first.challenge)
    assert second.challenge == first.challenge
    assert not code.direct(first, destination=ADA, payload=PAYLOAD)
    assert code.direct(second, destination=ADA, payload=PAYLOAD)


def test_again(code: OneTimeCode, clock: Frozen) -> None:
    """Sent again: to whom it went before, of whom nobody knew it goes nowhere; the old code is none any more."""
    known, unknown = code.hold(ADA), code.hold("eve@example.com")
    assert code.direct(known, destination=ADA, payload=PAYLOAD)
    armed = code.arm(known.challenge)
    assert armed is not None
    clock.move(30)
    both = code.resend(known.challenge, hold=True), code.resend(unknown.challenge, hold=True)
    assert [each.code for each in both] == ["", ""]
    assert code.verify(known.challenge, armed.code).reason == "wrong"
    assert [code.direct(each) for each in both] == [True, False]
    again = code.arm(known.challenge)
    assert again is not None
    assert code.arm(unknown.challenge) is None
    assert code.verify(known.challenge, again.code).payload == PAYLOAD


def test_gone(code: OneTimeCode, clock: Frozen, redis_client: redis.Redis) -> None:
    """What was cancelled, has run out or was made up is directed nowhere, and comes not back to life."""
    cancelled, late = code.hold(ADA), code.hold("bob@example.com")
    assert code.cancel(cancelled)
    assert not code.direct(cancelled, destination=ADA, payload=PAYLOAD)
    clock.move(300)
    code.direct(late, destination=ADA, payload=PAYLOAD)
    assert code.arm(late.challenge) is None
    redis_client.flushall()
    assert not code.direct(late, destination=ADA, payload=PAYLOAD)
    assert redis_client.dbsize() == 0


def test_the_mailbox_that_is_found_is_counted() -> None:
    """Ten names of one account: its mailbox gets what one may, and the answers do not tell so."""
    code = OneTimeCode("held", cooldown=0, sends="3/h")
    directed = []
    for number in range(5):
        held = code.hold(f"alias{number}@example.com")
        directed.append(code.direct(held, destination=ADA, payload=PAYLOAD))
    assert directed == [True, True, True, False, False]


def test_a_refusal_tells_of_no_account(clock: Frozen, heard: list[tuple[Any, ...]]) -> None:
    """An alias of an account and an address that nobody has: sent again, they are refused alike. Only signals tell."""
    code = OneTimeCode("held", cooldown=30, sends="3/h")
    alias, nobodys = code.hold("alias@example.com"), code.hold("eve@example.com")
    assert code.direct(alias, destination=ADA, payload=PAYLOAD)
    answers: list[list[str]] = [[], []]
    for _ in range(3):
        clock.move(30)
        for told, held in zip(answers, (alias, nobodys), strict=True):
            try:
                again = code.resend(held.challenge, hold=True)
            except CodeRefused as refused:
                told.append(refused.reason)
            else:
                told.append("sent")
                code.direct(again)
    assert answers == [["sent", "sent", "quota"]] * 2
    other = code.hold("second@example.com")
    assert not code.direct(other, destination=ADA, payload=PAYLOAD)
    assert heard[-1] == ("code_refused", "held", "quota")


def test_what_is_not_directed_costs_no_budget(clock: Frozen) -> None:
    """1. A is held, and looked up slowly  2. it is asked for again  3. what was found for 1 is not counted."""
    code = OneTimeCode("held", cooldown=30, sends="1/h")
    first = code.hold("alias@example.com")
    clock.move(3600)
    code.hold("alias@example.com")
    first = code.hold("beta@example.com")
    assert code.cancel(first)
    assert not code.direct(first, destination=ADA, payload=PAYLOAD)
    assert code.direct(code.hold("gamma@example.com"), destination=ADA, payload=PAYLOAD)


def test_armed_again(code: OneTimeCode) -> None:
    """A worker whose attempt has failed, it does not know how far: the code that nobody has is none any more."""
    held = code.reserve(ADA)
    first = code.arm(held.challenge)
    assert first is not None
    assert code.arm(held.challenge) is None
    second = code.arm(held.challenge, again=True)
    assert second is not None
    assert not code.verify(held.challenge, first.code)
    assert code.verify(held.challenge, second.code)
    assert code.arm(held.challenge, again=True) is None


def test_the_signal_tells_a_resend(code: OneTimeCode, clock: Frozen, heard: list[tuple[Any, ...]]) -> None:
    """Of what was held as of anything else."""
    held = code.hold(ADA)
    for _ in range(2):
        assert code.direct(held, destination=ADA, payload=PAYLOAD)
        assert code.arm(held.challenge)
        clock.move(30)
        held = code.resend(held.challenge, hold=True)
    assert [each[2] for each in heard if each[0] == "code_issued"] == [False, True]
