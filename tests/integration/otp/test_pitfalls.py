"""What other packages got wrong, by the numbers of the research: each that can happen here has its test.

Of the pages more: otp_views. (20, 21: of sessions alone. 27: of the device, there.)
"""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
import redis
from django.core.cache import caches
from django.test import RequestFactory

from redis_toolkit.core.clients import client_address
from redis_toolkit.core.clock import Frozen
from redis_toolkit.core.connections import link
from redis_toolkit.exceptions import CodeRefused, StoreUnavailable
from redis_toolkit.otp import MagicLink, OneTimeCode
from redis_toolkit.otp.peppers import lengthed
from redis_toolkit.testing import ValkeyServer
from redis_toolkit.testing.otp import fixed_code

ADA = "ada@example.com"


def refused(ask: Any) -> str:
    with pytest.raises(CodeRefused) as raised:
        ask()
    return raised.value.reason


def test_pitfall_01_an_identifier_is_no_secret() -> None:
    """Pitfall 1: Who knows the challenge, or half of a token, has nothing (CVE-2022-39263)."""
    code, magic = OneTimeCode("login"), MagicLink("login")
    issued, token = code.issue(ADA), magic.issue(ADA).code
    assert not code.verify(issued.challenge, "")
    assert not code.verify(issued.challenge, issued.challenge)
    assert not magic.peek(token[:43] + "A" * 21)
    assert not magic.verify(token[:43] + "A" * 21)
    assert magic.verify(token)


@pytest.mark.usefixtures("patience")
def test_pitfall_02_attempts_are_counted_before_comparing(wrong: Any) -> None:
    """Pitfall 2: Forty guesses that are all in flight at once: five are compared (CVE-2019-5421)."""
    code = OneTimeCode("login")
    issued = code.issue(ADA)
    gate, found = threading.Barrier(40), list[str]()

    def guess() -> None:
        gate.wait()
        found.append(code.verify(issued.challenge, wrong(issued.code)).reason)

    crowd = [threading.Thread(target=guess) for _ in range(40)]
    for each in crowd:
        each.start()
    for each in crowd:
        each.join()
    assert (found.count("wrong"), found.count("spent")) == (5, 35)


@pytest.mark.usefixtures("patience")
def test_pitfall_03_a_code_is_consumed_by_the_comparison() -> None:
    """Pitfall 3: Forty right answers at once: one is."""
    code = OneTimeCode("login", attempts=100)
    issued = code.issue(ADA)
    gate, found = threading.Barrier(40), list[str]()

    def answer() -> None:
        gate.wait()
        found.append(code.verify(issued.challenge, issued.code).reason)

    crowd = [threading.Thread(target=answer) for _ in range(40)]
    for each in crowd:
        each.start()
    for each in crowd:
        each.join()
    assert (found.count(""), found.count("spent")) == (1, 39)


def test_pitfall_04_the_client_counts_nothing(wrong: Any) -> None:
    """Pitfall 4: A client that comes as another each time (no cookie, another process' object) is counted all the same."""
    issued = OneTimeCode("login").issue(ADA)
    found = [OneTimeCode("login").verify(issued.challenge, wrong(issued.code)).attempts_left for _ in range(6)]
    assert found == [4, 3, 2, 1, 0, 0]
    assert OneTimeCode("login").verify(issued.challenge, issued.code).reason == "spent"


def test_pitfall_05_a_resend_forgives_nothing(clock: Frozen, wrong: Any) -> None:
    """Pitfall 5: Three failures, a resend, one failure: four, and the lock of four; a new challenge would not help either."""
    code = OneTimeCode("login", attempts=3, lockout=((4, 60),))
    issued = code.issue(ADA)
    for _ in range(3):
        code.verify(issued.challenge, wrong(issued.code))
    clock.move(30)
    issued = code.issue(ADA, challenge=issued.challenge)
    assert code.verify(issued.challenge, wrong(issued.code)).retry_after == 60
    assert refused(lambda: code.issue(ADA)) == "locked"


@pytest.mark.usefixtures("patience")
def test_pitfall_06_many_addresses_are_no_way_round(clock: Frozen, wrong: Any) -> None:
    """Pitfall 6: A challenge has five tries wherever they come from, and a hundred failures from anywhere are all there are."""
    code = OneTimeCode("login", cooldown=0, sends=None)
    compared = 0
    for each in range(200):
        try:
            issued = code.issue(ADA, ip=f"10.0.{each}.1")
        except CodeRefused:
            continue
        compared += sum(code.verify(issued.challenge, wrong(issued.code)).reason == "wrong" for _ in range(20))
    assert compared == 100


def test_pitfall_07_a_forged_header_makes_no_other_client(clock: Frozen) -> None:
    """Pitfall 7: By default nobody is believed: the peer is counted, whatever X-Forwarded-For says."""
    code = OneTimeCode("login", sends_per_ip="2/h")
    said = []
    for each in range(4):
        request = RequestFactory().get("/", REMOTE_ADDR="6.6.6.6", HTTP_X_FORWARDED_FOR=f"1.2.3.{each}")
        try:
            code.issue(f"user{each}@example.com", ip=client_address(request))
            said.append("sent")
        except CodeRefused as error:
            said.append(error.reason)
    assert said == ["sent", "sent", "quota", "quota"]


def test_pitfall_08_a_success_clears_its_own_failures_alone(wrong: Any) -> None:
    """Pitfall 8: Ada's success forgives neither Bob's failures nor those of the stranger who guesses at hers."""
    code = OneTimeCode("login", attempts=9, cooldown=0, lockout=((4, 60),))
    bobs, his, hers = code.issue("bob@example.com"), code.issue(ADA, ip="6.6.6.6"), code.issue(ADA, ip="1.1.1.1")
    for issued in (bobs, his, hers):
        for _ in range(3):
            code.verify(issued.challenge, wrong(issued.code))
    assert code.verify(hers.challenge, hers.code)
    again = code.issue(ADA, ip="1.1.1.1")
    assert code.verify(again.challenge, wrong(again.code)).retry_after == 0
    assert [code.verify(each.challenge, wrong(each.code)).retry_after for each in (bobs, his)] == [60, 60]


def test_pitfall_09_one_challenge_is_tried_and_no_other(wrong: Any) -> None:
    """Pitfall 9: Failures of one leave its siblings, other purposes and other subjects all of their attempts."""
    code, other = OneTimeCode("login", cooldown=0), OneTimeCode("pay")
    tried, sibling, bobs, pays = code.issue(ADA), code.issue(ADA), code.issue("bob@example.com"), other.issue(ADA)
    for _ in range(5):
        code.verify(tried.challenge, wrong(tried.code))
    found = [each.attempts_left for each in (
        code.verify(sibling.challenge, sibling.code), code.verify(bobs.challenge, bobs.code), other.verify(pays.challenge, pays.code),
    )]  # fmt: skip
    assert found == [4, 4, 4]
    with fixed_code("123456"):
        first, second = code.issue("cyd@example.com"), other.issue("cyd@example.com")
    assert other.verify(first.challenge, "123456").reason == "expired"
    assert not code.verify(second.challenge, "123456")


def test_pitfall_10_no_lock_is_longer_than_the_last_tier(redis_client: redis.Redis, wrong: Any) -> None:
    """Pitfall 10: After a million of millions of failures it is a day."""
    code = OneTimeCode("login")
    issued = code.issue(ADA)
    code.verify(issued.challenge, wrong(issued.code))
    [key] = redis_client.scan_iter("*:f")
    redis_client.hset(key, mapping={"s": 10**12, "*": 10**12})
    assert code.verify(issued.challenge, wrong(issued.code)).retry_after == 86_400


def test_pitfall_11_what_is_parked_cannot_be_read(dump: Any) -> None:
    """Pitfall 11: A challenge carries what its next step needs, and Redis does not show it (CVE-2020-15105)."""
    code = OneTimeCode("login")
    issued = code.issue(7, destination=ADA, payload={"password": "correct horse"})
    assert b"horse" not in dump()
    assert code.verify(issued.challenge, issued.code).payload == {"password": "correct horse"}


LISTS = [
    "ada@example.com,eve@example.com",
    "ada@example.com;eve@example.com",
    "ada@example.com eve@example.com",
    "ada@example.com\neve@example.com",
    "ada@example.com\r\nBcc: eve@example.com",
    "<ada@example.com>",
    "Ada <ada@example.com>",
    "ada@eve@example.com",
    "@example.com",
    "ada@",
    "",
    " ",
    "a" * 250 + "@example.com",
    "ada\0@example.com",
    "ada@example.com\u2028eve",
    "+39 333 1234567, +39 333 7654321",
]


@pytest.mark.parametrize("destination", LISTS)
def test_pitfall_12_exactly_one_destination(destination: str, redis_client: redis.Redis) -> None:
    """Pitfall 12: A list, a name, another header's line, or nothing is no address (CVE-2022-35924), for a decoy either."""
    code = OneTimeCode("login")
    for issue in (code.issue, code.decoy, code.reserve):
        with pytest.raises(ValueError, match="exactly one"):
            issue(7, destination=destination)
    assert redis_client.dbsize() == 0


def test_pitfall_13_a_changed_value_is_confirmed_by_its_own_code(clock: Frozen) -> None:
    """Pitfall 13: The new address travels with the code: a code for one confirms no other (CVE-2026-32700)."""
    code = OneTimeCode("change", cooldown=0)
    own = code.issue(7, destination="eve@example.com", payload={"email": "eve@example.com"})
    others = code.issue(7, destination=ADA, payload={"email": ADA})
    assert code.verify(others.challenge, own.code).reason == "wrong"
    assert code.verify(own.challenge, own.code).payload == {"email": "eve@example.com"}
    # And what replaces a code replaces what it is for.
    first = code.issue(8, destination="eve@example.com", payload="eve")
    second = code.issue(8, destination=ADA, payload="ada", challenge=first.challenge)
    assert code.verify(first.challenge, first.code).payload is None
    assert code.verify(first.challenge, second.code).payload == "ada"


def test_pitfall_14_a_look_consumes_nothing() -> None:
    """Pitfall 14: A scanner follows the link ten times; its reader is let in, once."""
    magic = MagicLink("login")
    token = magic.issue(ADA, payload=1).code
    assert all(magic.peek(token) for _ in range(10))
    assert magic.verify(token).subject == ADA
    assert not magic.peek(token)
    assert magic.verify(token).reason == "spent"


def test_pitfall_15_no_code_where_it_would_be_kept() -> None:
    """Pitfall 15: Not in what is printed or logged, nor in what a task is given: its id, for which the worker mints."""
    code, magic = OneTimeCode("login"), MagicLink("login")
    with fixed_code("918273"):
        issued = code.issue(ADA, payload="secret")
        for said in (repr(issued), str(issued), repr(code), repr(code._kind)):
            assert not any(each in said for each in ("918273", "ada", "secret", issued.challenge))
        assert "918273" not in repr(code.verify(issued.challenge, "918273"))
        held = code.reserve("bob@example.com")
        assert "918273" not in json.dumps([held.challenge, held.code])
        armed = code.arm(held.challenge)
        assert armed is not None
        assert armed.code == "918273"
    token = magic.issue(ADA).code
    assert token not in repr(magic.peek(token))


def test_pitfall_16_what_is_sent_costs_money() -> None:
    """Pitfall 16: A destination that many claim, an address that asks for many, a country, and all together."""
    asked: dict[str, tuple[dict[str, Any], Any]] = {
        "destination": ({"sends": "2/h"}, lambda each: {"destination": "+39 333 1234567"}),
        "address": ({"sends_per_ip": "2/h"}, lambda each: {"destination": f"+39 333 000000{each}", "ip": f"2001:db8::{each}"}),
        "prefix": ({"sends_per_prefix": "2/h"}, lambda each: {"destination": f"+39 333 000000{each}"}),
        "total": ({"sends_total": "2/h"}, lambda each: {"destination": f"+4{each} 333 0000000"}),
    }  # fmt: skip
    for name, (options, terms) in asked.items():
        code = OneTimeCode(name, **options)
        for each in range(2):
            code.issue(each, **terms(each))
        assert refused(lambda: code.issue(5, **terms(5))) == "quota", name  # noqa: B023
    OneTimeCode("prefix", sends_per_prefix="2/h").issue(6, destination="+44 333 0000000")


def test_pitfall_17_what_is_unknown_is_not_stored(redis_client: redis.Redis) -> None:
    """Pitfall 17: who makes up challenges, well-formed ones too, has nothing kept of him."""
    code, magic = OneTimeCode("login"), MagicLink("login")
    for each in range(50):
        made_up = f"{each:064x}"
        assert code.verify(made_up, "123456").reason == "expired"
        assert refused(lambda: code.resend(made_up)) == "expired"  # noqa: B023
        assert (code.arm(made_up), code.cancel(made_up)) == (None, False)
    assert not magic.peek("A" * 64)
    assert magic.verify("A" * 64).reason == "expired"
    assert redis_client.dbsize() == 0


def test_pitfall_18_an_outage_is_no_answer(valkey: ValkeyServer) -> None:
    """Pitfall 18: Neither right nor wrong nor expired: an error that says so, and nothing is counted against anybody."""
    code = OneTimeCode("login")
    issued = code.issue(ADA)
    valkey.kill()
    with pytest.raises(StoreUnavailable):
        code.verify(issued.challenge, issued.code)
    with pytest.raises(StoreUnavailable):
        code.issue(ADA)


def test_pitfall_19_what_is_gone_stays_gone(redis_client: redis.Redis) -> None:
    """Pitfall 19: of a challenge that was cancelled nothing comes back, whatever still runs for it; of a used one neither."""
    code = OneTimeCode("login", cooldown=0, sends=None)
    issued, held = code.issue(ADA), code.reserve("bob@example.com")
    armed = code.arm(held.challenge)
    assert armed is not None
    assert code.cancel(issued)
    assert code.cancel(held.challenge)
    for each in (issued, armed):
        assert code.verify(each.challenge, each.code).reason == "expired"
        assert (code.disarm(each), code.arm(each.challenge), code.cancel(each)) == (False, None, False)
    assert list(redis_client.scan_iter("*:r:*")) == []
    used = code.issue(ADA)
    assert code.verify(used.challenge, used.code)
    assert (code.disarm(used), code.arm(used.challenge), code.cancel(used)) == (False, None, False)
    assert code.issue(ADA, challenge=used.challenge).challenge != used.challenge
    assert code.verify(used.challenge, used.code).reason == "spent"


def test_pitfall_23_parts_are_not_run_together() -> None:
    """Pitfall 23: Of purpose and subject, and of all that is hashed, no two lists are one (CVE-2026-6873)."""
    assert (
        len({lengthed(*parts) for parts in (("a", "bc"), ("ab", "c"), ("abc",), ("abc", ""), ("", "abc"), ("a\0bc",))})
        == 6
    )
    pairs: list[tuple[str, Any]] = [
        ("a", "bc"),
        ("ab", "c"),
        ("a:b", "c"),
        ("a", "b:c"),
        ("a\0", "bc"),
        ("a", 7),
        ("a", "7"),
        ("a", "#7"),
    ]
    assert len({OneTimeCode(name, cooldown=0)._kind.tag(subject) for name, subject in pairs}) == 8
    with fixed_code("123456"):
        first = OneTimeCode("a").issue("bc@example.com")
        assert OneTimeCode("ab").verify(first.challenge, "123456").reason == "expired"


def test_pitfall_24_a_cleared_cache_forgives_nobody(
    settings: Any, valkey: ValkeyServer, redis_client: redis.Redis, wrong: Any
) -> None:
    """Pitfall 24: locks and codes of a server of their own outlive ``cache.clear()``, which is a FLUSHDB."""
    with ValkeyServer() as other:
        settings.CACHES = {**settings.CACHES, "durable": {**settings.CACHES["default"], "LOCATION": other.url}}
        settings.REDIS_TOOLKIT_DURABLE_ALIAS = "durable"
        code = OneTimeCode("login", attempts=3, lockout=((3, 60),))
        bobs, issued = code.issue("bob@example.com"), code.issue(ADA)
        for _ in range(3):
            code.verify(issued.challenge, wrong(issued.code))
        redis_client.set("cached", 1)
        caches["default"].clear()
        assert redis_client.dbsize() == 0
        assert refused(lambda: code.issue(ADA)) == "locked"
        assert code.verify(bobs.challenge, bobs.code)
        link("durable").close()


def test_pitfall_25_nothing_is_unpickled() -> None:
    """Pitfall 25: A payload is what JSON can say; anything else is refused, and nothing was sent."""
    code = OneTimeCode("login")
    for payload in (object(), {1, 2}, b"bytes", float("nan"), "x" * 20_000):
        with pytest.raises((TypeError, ValueError)):
            code.issue(ADA, payload=payload)
    code.issue(ADA)
