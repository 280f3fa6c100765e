"""One-time codes on a real server, and those who would get round them: other spellings, other peppers, reports."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.test import RequestFactory
from django.views.debug import ExceptionReporter

from redis_toolkit.core.clock import Frozen
from redis_toolkit.exceptions import CodeRefused, StoreUnavailable
from redis_toolkit.otp import MagicLink, OneTimeCode
from redis_toolkit.testing import ValkeyServer

ADA = "ada@example.com"


def refusal(ask: Any) -> tuple[str, int | None]:
    with pytest.raises(CodeRefused) as raised:
        ask()
    wait = raised.value.retry_after
    return raised.value.reason, None if wait is None else round(wait)


def test_peppers_are_rotated_while_codes_are_under_way(settings: Any, clock: Frozen) -> None:
    """A code, a link, a familiar browser and a worker's message of the old pepper are good until it is dropped."""
    code, magic = OneTimeCode("login", cooldown=0), MagicLink("login")
    settings.REDIS_TOOLKIT_OTP_PEPPERS = ["a" * 32]
    before, token, held = code.issue(ADA), magic.issue(ADA).code, code.reserve("bob@example.com")
    first, late = code.issue("cyd@example.com", payload=1), code.issue("dan@example.com")
    familiar = code.verify((known := code.issue(ADA)).challenge, known.code).familiar
    settings.REDIS_TOOLKIT_OTP_PEPPERS = ["b" * 32, "a" * 32]
    assert code.verify(before.challenge, before.code).subject == ADA
    assert magic.peek(token)
    assert magic.verify(token)
    armed = code.arm(held.challenge)
    assert armed is not None
    assert code.verify(held.challenge, armed.code)
    # Sent again: under another challenge, which is the new pepper's.
    again = code.resend(first.challenge)
    assert (again.challenge != first.challenge, code.verify(again.challenge, again.code).payload) == (True, 1)
    assert not code.verify(first.challenge, again.code)
    assert not code.issue(ADA, familiar=familiar).is_resend
    settings.REDIS_TOOLKIT_OTP_PEPPERS = ["b" * 32]
    assert not code.verify(late.challenge, late.code)


SPELLINGS = [
    "+39 333 1234567",
    "+39-333-123.45.67",
    "0039 333 1234567",
    "+39 (333) 1234567",
    "\uff0b\uff13\uff19 333 1234567",
    "+\u0663\u0669 333 1234567",
]


def test_a_number_has_one_budget_however_it_is_written() -> None:
    """Destination and country alike; what a gateway may take for the same number, and we cannot tell, is refused."""
    for code in (OneTimeCode("one", sends="1/h"), OneTimeCode("two", sends=None, sends_per_prefix="1/h")):
        code.issue(1, destination="+39 333 1234567")
        for at, spelling in enumerate(SPELLINGS, 2):
            assert refusal(lambda: code.issue(at, destination=spelling))[0] == "quota", spelling  # noqa: B023
    for other in (
        "+39/333/1234567",
        "+39_333",
        "333/1234567",
        "+39 333 \u00b7 1234567",
        "+",
        "+393331234567 x1",
        "*100#",
    ):
        with pytest.raises(ValueError, match="exactly one"):
            code.issue(9, destination=other)
    national = OneTimeCode("national", sends_per_prefix="1/h")
    national.issue(1, destination="333 1234567")
    assert refusal(lambda: national.issue(2, destination="333 1234568"))[0] == "quota"


def test_a_mailbox_has_one_budget_whatever_is_added() -> None:
    """``ada+1``, ``ada+2``: who says where to send fills no mailbox by that."""
    code = OneTimeCode("change", sends="2/h")
    for each in range(2):
        code.issue(each, destination=f"Ada+{each}@example.com")
    for other in ("ada@example.com", "ADA+3@EXAMPLE.com"):
        assert refusal(lambda: code.issue(3, destination=other))[0] == "quota"  # noqa: B023
    code.issue(3, destination="+ada@example.com")
    code.issue(4, destination="bob@example.com")


@pytest.mark.parametrize(
    "spelling", ["ADA@EXAMPLE.COM", " ada@example.com ", "\uff41da@example.com", "\u1d43da@example.com"]
)
def test_another_spelling_is_no_other_subject(spelling: str, clock: Frozen, wrong: Any) -> None:
    """Of case, width and form: one cooldown, one count of failures, one lock."""
    code = OneTimeCode("login", attempts=3, lockout=((3, 60),))
    issued = code.issue(ADA)
    assert refusal(lambda: code.issue(spelling))[0] == "cooldown"
    clock.move(31)
    again = code.issue(spelling, destination=ADA)
    waits = [code.verify(each.challenge, wrong(each.code)).retry_after for each in (issued, issued, again)]
    assert waits == [0, 0, 60]
    assert refusal(lambda: code.issue(spelling, destination=ADA))[0] == "locked"


def test_what_was_typed_is_in_no_report(valkey: ValkeyServer) -> None:
    """An error while Redis is away, as it is reported to the admins of a site: neither code nor token in it."""
    code, magic = OneTimeCode("login"), MagicLink("login")
    issued, token = code.issue(ADA), magic.issue(ADA).code
    valkey.kill()
    asked: list[Any] = [
        lambda: code.verify(issued.challenge, issued.code),
        lambda: asyncio.run(code.averify(issued.challenge, issued.code)),
        lambda: magic.verify(token),
        lambda: magic.peek(token),
        lambda: asyncio.run(magic.averify(token)),
        lambda: asyncio.run(magic.apeek(token)),
        lambda: code.issue("bob@example.com"),
    ]
    for ask in asked:
        with pytest.raises(StoreUnavailable) as raised:
            ask()
        # (Of this function and its lambdas the locals are known, so they are left out.)
        report = reported(raised.value)
        assert issued.code not in report
        assert token not in report


def reported(error: BaseException) -> str:
    """The pages, and the mail, that Django makes of an error on a site that is not being debugged."""
    request = RequestFactory().get("/")
    reporter = ExceptionReporter(request, type(error), error, error.__traceback__)
    frames = [
        (frame["function"], frame["vars"]) for frame in reporter.get_traceback_frames() if frame["filename"] != __file__
    ]
    assert len(frames) > 2
    return f"{type(error).__name__} {error} {frames}"


def test_a_full_server_sends_nothing(redis_client: Any) -> None:
    """It evicts nothing and takes no more: no code is issued that could not be tried, and nothing is counted."""
    code = OneTimeCode("full", sends_per_ip="3/h")
    asked = (
        lambda: code.issue(ADA), lambda: code.issue(ADA, ip="203.0.113.5"), lambda: MagicLink("full").issue(ADA),
        lambda: code.hold(ADA), lambda: code.decoy(ADA),
    )  # fmt: skip
    before = redis_client.config_get("maxmemory")["maxmemory"]
    redis_client.config_set("maxmemory", 1)
    try:
        for ask in asked:
            with pytest.raises(StoreUnavailable):
                ask()
    finally:
        redis_client.config_set("maxmemory", before)
    assert redis_client.keys("*") == []
    assert code.issue(ADA, ip="203.0.113.5").code
