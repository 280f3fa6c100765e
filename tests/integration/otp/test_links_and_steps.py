"""``MagicLink`` and ``TotpGuard`` on a real server."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import redis

from redis_toolkit.core.clock import Frozen
from redis_toolkit.otp import MagicLink, OneTimeCode, TotpGuard
from redis_toolkit.otp.challenges import Challenge

ADA = "ada@example.com"


def test_a_link_of_one_browser(clock: Frozen) -> None:
    """It is known which browser has asked; another is not let in, and learns for whom it is from the token alone."""
    magic = MagicLink("login")
    issued = magic.issue(ADA, payload={"next": "/"}, binding="nonce")
    assert len(issued.code) == 64
    own, other = magic.peek(issued.code, binding="nonce"), magic.peek(issued.code, binding="other")
    assert (own.ok, own.same_browser, own.subject, own.payload) == (True, True, ADA, {"next": "/"})
    assert (other.ok, other.same_browser) == (False, False)
    assert magic.verify(issued.code, binding="other").reason == "wrong"
    assert magic.verify(issued.code, binding="nonce").payload == {"next": "/"}


def test_a_link_without_a_binding() -> None:
    """Any browser will do."""
    magic = MagicLink("login")
    token = magic.issue(ADA).code
    peeked = magic.peek(token, binding="whatever")
    assert (peeked.ok, peeked.same_browser) == (True, False)
    assert magic.verify(token)


def test_the_end_of_a_link(clock: Frozen) -> None:
    """A look says so as well."""
    magic = MagicLink("login", ttl=3600)
    token = magic.issue(ADA).code
    clock.move(3599)
    assert magic.peek(token)
    clock.move(1)
    assert not magic.peek(token)
    assert magic.verify(token).reason == "expired"


def test_the_end_of_a_link_by_the_servers_clock(redis_client: redis.Redis) -> None:
    """One that ought to be gone is not taken, though it is there."""
    magic = MagicLink("login")
    token = magic.issue(ADA).code
    [key] = redis_client.scan_iter("*:r:*")
    redis_client.hset(key, "until", 1)
    assert not magic.peek(token)
    assert magic.verify(token).reason == "expired"


def test_a_look_says_whether_it_would_be_taken(clock: Frozen) -> None:
    """Not where there is no attempt left, nor while there is a lock; then it is as good as before."""
    magic = MagicLink("login", attempts=2, lockout=((3, 60),), cooldown=0)
    tried, other = magic.issue(ADA, binding="b").code, magic.issue(ADA, binding="b").code
    for _ in range(2):
        magic.verify(tried, binding="x")
    assert (bool(magic.peek(tried, binding="b")), bool(magic.peek(other, binding="b"))) == (False, True)
    assert magic.verify(other, binding="x").retry_after == 60
    assert not magic.peek(other, binding="b")
    clock.move(60)
    assert magic.peek(other, binding="b")
    assert magic.verify(other, binding="b")


def test_links_and_codes_are_two_things() -> None:
    """Of one name and one subject neither opens the other."""
    code, magic = OneTimeCode("login"), MagicLink("login")
    issued, token = code.issue(ADA), magic.issue(ADA).code
    other = "AA" if token[42:44] != "AA" else "BB"
    assert not magic.verify(token[:42] + other + token[44:])
    assert code.verify(issued.challenge, token).reason == "wrong"
    decoy = magic.decoy("bob@example.com")
    assert (decoy.code, decoy.is_decoy) == ("", True)


def test_a_seal_that_is_broken(redis_client: redis.Redis) -> None:
    """Who writes into Redis lets nobody in, and nothing breaks."""
    code = OneTimeCode("login")
    issued = code.issue(ADA)
    [key] = redis_client.scan_iter("*:r:*")
    redis_client.hset(key, "sealed", b"x" * 100)
    assert code.verify(issued.challenge, issued.code).reason == "expired"


def test_each_step_once_and_none_before_it(redis_client: redis.Redis) -> None:
    """Of a device; others have steps of their own; what is remembered runs out."""
    guard = TotpGuard(7, period=30, tolerance=1)
    assert [guard.accept(step) for step in (100, 100, 99, 101, 100, 102)] == [True, False, False, True, False, True]
    assert TotpGuard("7").accept(100)
    [first, second] = redis_client.scan_iter("*:totp")
    assert all(90_000 < redis_client.pttl(key) <= 120_000 for key in (first, second))
    assert [guard.accept(step) for step in (-1, 2**53)] == [False, False]


def test_a_step_is_remembered_under_another_pepper(settings: Any) -> None:
    """While peppers are rotated, and some processes have the new one, nobody shows a code to both."""
    guard = TotpGuard("ada")
    settings.REDIS_TOOLKIT_OTP_PEPPERS = ["a" * 32]
    assert guard.accept(55)
    settings.REDIS_TOOLKIT_OTP_PEPPERS = ["b" * 32, "a" * 32]
    assert not guard.accept(55)
    assert guard.accept(56)
    settings.REDIS_TOOLKIT_OTP_PEPPERS = ["b" * 32]
    assert not guard.accept(56)


@pytest.mark.usefixtures("patience")
def test_forty_show_the_same_step() -> None:
    """One is let in."""
    gate, found = threading.Barrier(40), list[bool]()

    def show() -> None:
        gate.wait()
        found.append(TotpGuard("ada").accept(55))

    crowd = [threading.Thread(target=show) for _ in range(40)]
    for each in crowd:
        each.start()
    for each in crowd:
        each.join()
    assert (found.count(True), found.count(False)) == (1, 39)


@pytest.mark.parametrize("words", [{"period": 0}, {"tolerance": -1}, {"period": 10**6}])
def test_steps_that_cannot_be(words: dict[str, Any]) -> None:
    """It is said where it is written."""
    with pytest.raises(ValueError, match="step"):
        TotpGuard(1, **words)


def test_a_digest_is_of_one_challenge(redis_client: redis.Redis) -> None:
    """Who may write into Redis and copies his own record's over another's of the same subject opens nothing by it."""
    code = OneTimeCode("login", cooldown=0)
    own, others = code.issue(ADA), code.issue(ADA)
    mine, theirs = (Challenge.read(code._kind, each.challenge).record for each in (own, others))
    redis_client.hset(theirs, "digest", redis_client.hget(mine, "digest"))
    assert code.verify(others.challenge, own.code).reason == "wrong"
