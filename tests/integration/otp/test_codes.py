"""``OneTimeCode`` on a real server: issue, verify, send again, lock, pretend, hand on to a worker."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import redis

from redis_toolkit.core.async_links import async_link
from redis_toolkit.core.clock import Frozen
from redis_toolkit.core.connections import link
from redis_toolkit.exceptions import CodeRefused, StoreUnavailable
from redis_toolkit.otp import LETTERS, MagicLink, OneTimeCode, TotpGuard
from redis_toolkit.testing import ValkeyServer
from redis_toolkit.testing.otp import fixed_code

ADA = "ada@example.com"
PAYLOAD = {"next": "/lessons/", "n": [1, 2.5, None]}


def refusal(ask: Any) -> tuple[str, int | None]:
    with pytest.raises(CodeRefused) as raised:
        ask()
    wait = raised.value.retry_after
    return raised.value.reason, None if wait is None else round(wait)


def test_a_code_is_right_once() -> None:
    """Wrong, right, spent; the payload and the subject come back as they were given."""
    code = OneTimeCode("login")
    issued = code.issue("Ada@Example.com", payload=PAYLOAD)
    assert (len(issued.code), issued.expires_in, issued.resend_in) == (6, 300, 30)
    assert issued.destination == "Ada@example.com"
    tried = code.verify(issued.challenge, "nothing")
    assert (tried.ok, tried.reason, tried.attempts_left, tried.payload, tried.subject) == (
        False,
        "wrong",
        4,
        None,
        None,
    )
    tried = code.verify(issued.challenge, issued.code)
    assert (tried.ok, tried.reason, tried.attempts_left) == (True, "", 3)
    assert (tried.payload, tried.subject, tried.destination) == (PAYLOAD, "Ada@Example.com", "Ada@example.com")
    assert bool(tried)
    tried = code.verify(issued.challenge, issued.code)
    assert (tried.ok, tried.reason, tried.payload) == (False, "spent", None)


def test_round_trips(trips: Any) -> None:
    """Issue 1, with budgets 2 (of a refusal 3); verify 1, peek 1, arm 1, TOTP 1; a malformed id none."""
    code, magic = OneTimeCode("login", cooldown=0), MagicLink("login")
    spent = OneTimeCode("spent", sends_total="100/h")
    first = code.issue("warm@example.com")
    assert trips(lambda: code.issue(ADA)) == 1
    assert trips(lambda: code.decoy("bob@example.com")) == 1
    assert trips(lambda: code.reserve("cyd@example.com")) == 1
    assert trips(lambda: code.issue("dan@example.com", ip="1.2.3.4")) == 2
    assert trips(lambda: spent.issue(ADA, ip="1.2.3.4", destination="+39 333 1234567")) == 2
    assert trips(lambda: refusal(lambda: spent.issue(ADA, ip="1.2.3.4"))) == 3
    assert trips(lambda: code.verify(first.challenge, "1")) == 1
    assert trips(lambda: code.verify(first.challenge, first.code)) == 1
    assert trips(lambda: code.verify("nothing", "1")) == 0
    token = magic.issue(ADA).code
    assert trips(lambda: magic.peek(token)) == 1
    assert trips(lambda: magic.verify(token)) == 1
    held = code.reserve("eve@example.com")
    assert trips(lambda: code.arm(held.challenge)) == 1
    assert trips(lambda: TotpGuard(1).accept(7)) == 1


def test_asynchronously_the_same(clock: Frozen) -> None:
    """Each step awaited answers what it answers otherwise, in as many round trips."""

    def play() -> list[Any]:
        code, magic = OneTimeCode("sync"), MagicLink("sync")
        issued = code.issue(ADA, payload=1, ip="1.2.3.4")
        answers = [issued.expires_in, refusal(lambda: code.issue(ADA, ip="1.2.3.4"))]
        answers += [code.verify(issued.challenge, "x"), code.verify(issued.challenge, issued.code).payload]
        token = magic.issue(ADA, binding="b").code
        answers += [magic.peek(token, binding="b"), magic.verify(token, binding="b").subject]
        decoy = code.decoy("bob@example.com")
        answers += [decoy.is_decoy, code.verify(decoy.challenge, "1")]
        held = code.reserve("cyd@example.com")
        armed = code.arm(held.challenge)
        assert armed is not None
        answers += [armed.destination, code.disarm(armed), code.cancel(held.challenge), code.cancel(held.challenge)]
        clock.move(31)
        answers += [code.resend(decoy.challenge).is_resend, code.forgive(ADA), TotpGuard("s").accept(1)]
        return answers

    async def aplay() -> list[Any]:
        code, magic = OneTimeCode("async"), MagicLink("async")
        issued = await code.aissue(ADA, payload=1, ip="1.2.3.4")
        answers: list[Any] = [issued.expires_in]
        with pytest.raises(CodeRefused) as raised:
            await code.aissue(ADA, ip="1.2.3.4")
        assert raised.value.retry_after is not None
        answers.append((raised.value.reason, round(raised.value.retry_after)))
        before = async_link().round_trips
        answers += [await code.averify(issued.challenge, "x")]
        answers += [(await code.averify(issued.challenge, issued.code)).payload]
        assert async_link().round_trips - before == 2
        token = (await magic.aissue(ADA, binding="b")).code
        answers += [await magic.apeek(token, binding="b"), (await magic.averify(token, binding="b")).subject]
        decoy = await code.adecoy("bob@example.com")
        answers += [decoy.is_decoy, await code.averify(decoy.challenge, "1")]
        held = await code.areserve("cyd@example.com")
        armed = await code.aarm(held.challenge)
        assert armed is not None
        answers += [armed.destination, await code.adisarm(armed)]
        answers += [await code.acancel(held.challenge), await code.acancel(held.challenge)]
        clock.move(31)
        answers += [(await code.aresend(decoy.challenge)).is_resend, await code.aforgive(ADA)]
        return [*answers, await TotpGuard("a").aaccept(1)]

    found = play()
    assert found[1] == ("cooldown", 30)
    assert asyncio.run(aplay()) == found


@pytest.mark.parametrize(
    "typed",
    [
        "123456",
        " 123 456 ",
        "123-456",
        "12\u201334\u201356",
        "\uff11\uff12\uff13\uff14\uff15\uff16",
        "\u0661\u0662\u0663\u0664\u0665\u0666",
        "१२३४५६",
        "123\u200b456",
    ],
)
def test_what_is_typed_is_understood(typed: str) -> None:
    """Spaces, dashes of all kinds, digits of all scripts."""
    with fixed_code("123456"):
        code = OneTimeCode("login")
        assert code.verify(code.issue(ADA).challenge, typed)


def test_letters() -> None:
    """Their case does not matter, unless the alphabet has both."""
    code = OneTimeCode("device", alphabet="BCDFGHJKLMNPQRSTVWXZ", length=8)
    issued = code.issue(ADA)
    assert set(issued.code) <= set(code.alphabet)
    assert code.verify(issued.challenge, f"{issued.code[:4]}-{issued.code[4:]}".lower())
    both = OneTimeCode("both", alphabet="aAbB", length=12)
    issued = both.issue(ADA)
    assert not both.verify(issued.challenge, issued.code.swapcase())
    assert both.verify(issued.challenge, issued.code)


HOSTILE = [
    "",
    "x",
    "0" * 63,
    "0" * 65,
    "A" * 64,
    "0" * 64 + "\n",
    "*" * 64,
    "{}" * 32,
    "\0" * 64,
    "é" * 64,
    "\ud800" * 64,
    "0" * 10**6,
    None,
    7,
    b"0" * 64,
]


@pytest.mark.parametrize("given", HOSTILE)
def test_a_hostile_challenge(given: Any, redis_client: redis.Redis) -> None:
    """Expired, as any that is not there; nothing reaches Redis."""
    code, magic = OneTimeCode("login"), MagicLink("login")
    assert code.verify(given, "123456").reason == "expired"
    assert magic.verify(given).reason == "expired"
    assert not magic.peek(given)
    assert (code.arm(given), code.cancel(given)) == (None, False)
    assert refusal(lambda: code.resend(given)) == ("expired", None)
    assert redis_client.dbsize() == 0
    assert code.verify("0" * 64, "123456").reason == "expired"
    assert redis_client.dbsize() == 0


@pytest.mark.parametrize("typed", ["", "1", "1234567", "9" * 10**6, "x" * 300, "\0", "\ud800", None, 7, b"123456"])
def test_a_hostile_answer(typed: Any) -> None:
    """Wrong, and counted."""
    code = OneTimeCode("login", attempts=2)
    issued = code.issue(ADA)
    assert [code.verify(issued.challenge, typed).reason for _ in range(3)] == ["wrong", "wrong", "spent"]


def test_hostile_bindings() -> None:
    """Whatever a cookie holds is a wrong binding, and no error."""
    code = OneTimeCode("login")
    issued = code.issue(ADA, binding="b")
    for binding in ("", "\ud800", "b" * 10**5, b"\xff"):
        assert code.verify(issued.challenge, issued.code, binding=binding).reason == "wrong"
    assert code.verify(issued.challenge, issued.code, binding="b")


def test_the_end_of_a_code(clock: Frozen, redis_client: redis.Redis) -> None:
    """It is right until its last moment; its keys run out by themselves, and so does what says that it was used."""
    code = OneTimeCode("login", ttl=300, cooldown=0)
    early, late = code.issue(ADA), code.issue(ADA)
    clock.move(299.999)
    assert code.verify(early.challenge, early.code)
    clock.move(0.001)
    assert [code.verify(each.challenge, each.code).reason for each in (early, late)] == ["expired", "expired"]
    assert all(redis_client.pttl(key) > 0 for key in redis_client.scan_iter("*"))


def test_its_keys_live_no_longer(redis_client: redis.Redis) -> None:
    """A record for as long as the code, what was sent for as long as it counts, failures for a week; one slot."""
    code = OneTimeCode("login", ttl=300)
    issued = code.issue(ADA)
    code.verify(issued.challenge, "x")
    lives = {key.decode().split(":")[5]: redis_client.pttl(key) / 1000 for key in redis_client.scan_iter("*")}
    assert lives == {
        "r": pytest.approx(300, abs=5),
        "s": pytest.approx(3600, abs=5),
        "f": pytest.approx(604_800, abs=5),
    }
    assert len({key.decode().split(":")[2] for key in redis_client.scan_iter("*")}) == 1


def test_the_cooldown_and_the_budget(clock: Frozen) -> None:
    """One in thirty seconds, two in an hour; each refusal says for how long."""
    code = OneTimeCode("login", cooldown=30, sends="2/h")
    code.issue(ADA)
    clock.move(10)
    assert refusal(lambda: code.issue(ADA)) == ("cooldown", 20)
    assert refusal(lambda: code.issue(" ADA@example.COM")) == ("cooldown", 20)
    clock.move(20)
    code.issue(ADA)
    clock.move(30)
    assert refusal(lambda: code.issue(ADA)) == ("quota", 3540)
    clock.move(3540)
    code.issue(ADA)
    code.issue("bob@example.com")


def test_a_resend_replaces_the_code(clock: Frozen, wrong: Any) -> None:
    """The same challenge, another code, new attempts, a new life; the old code is wrong."""
    code = OneTimeCode("login", attempts=2, lockout=((50, 60),))
    first = code.issue(ADA, payload=1)
    for _ in range(2):
        code.verify(first.challenge, wrong(first.code))
    clock.move(290)
    with fixed_code(wrong(first.code)):
        second = code.issue(ADA, payload=2, challenge=first.challenge)
    assert (second.challenge, second.is_resend) == (first.challenge, True)
    clock.move(290)
    tried = code.verify(first.challenge, first.code)
    assert (tried.reason, tried.attempts_left) == ("wrong", 1)
    assert code.verify(first.challenge, second.code).payload == 2


def test_a_resend_of_what_is_not_there(clock: Frozen) -> None:
    """Of another subject, of another browser, spent, run out or made up: a new challenge."""
    code = OneTimeCode("login", cooldown=0, sends=None)
    bobs, bound = code.issue("bob@example.com"), code.issue(ADA, binding="b")
    spent = code.issue(ADA)
    code.verify(spent.challenge, spent.code)
    for challenge in (bobs.challenge, bound.challenge, spent.challenge, spent.challenge[:32] + "0" * 32, "", "x"):
        again = code.issue(ADA, challenge=challenge)
        assert (again.challenge != challenge, again.is_resend) == (True, False)
    assert code.verify(bobs.challenge, bobs.code)
    assert code.verify(bound.challenge, bound.code, binding="b")
    for challenge in (spent.challenge, bound.challenge):
        assert refusal(lambda: code.resend(challenge)) == ("expired", None)  # noqa: B023


def test_a_resend_by_the_challenge_alone(clock: Frozen) -> None:
    """Nobody says to whom: it is known; and of a decoy it is another decoy."""
    code = OneTimeCode("login")
    issued = code.issue(7, destination="+39 333 (123) 45-67", payload=PAYLOAD, binding="b")
    decoy = code.decoy(ADA)
    assert refusal(lambda: code.resend(issued.challenge, binding="b")) == ("cooldown", 30)
    clock.move(30)
    again = code.resend(issued.challenge, binding="b")
    assert (again.destination, again.payload, again.is_resend, again.is_decoy) == (
        "+393331234567",
        PAYLOAD,
        True,
        False,
    )
    assert code.verify(issued.challenge, again.code, binding="b").subject == 7
    pretended = code.resend(decoy.challenge)
    assert (pretended.code, pretended.is_decoy, pretended.is_resend) == ("", True, True)
    clock.move(30)
    held = code.reserve("dan@example.com")
    clock.move(30)
    assert code.resend(held.challenge, reserve=True).code == ""
    assert code.arm(held.challenge) is not None


def test_locks_grow(clock: Frozen, heard: list[tuple[Any, ...]], wrong: Any) -> None:
    """After 10 failures 15 minutes, after 20 and 30 an hour; neither a right code nor a new one helps meanwhile."""
    code = OneTimeCode("login", attempts=10, cooldown=0, sends=None, ttl=600)
    waits = []
    for _ in range(3):
        issued = code.issue(ADA)
        failed = [code.verify(issued.challenge, wrong(issued.code)) for _ in range(10)]
        assert [each.retry_after for each in failed[:9]] == [0.0] * 9
        waits.append(failed[9].retry_after)
        assert refusal(lambda: code.issue(ADA)) == ("locked", round(waits[-1]))
        clock.move(waits[-1])
    assert waits == [900, 3600, 3600]
    assert [each[2] for each in heard if each[0] == "code_locked"] == waits
    other, issued = code.issue(ADA), code.issue(ADA)
    for _ in range(9):
        code.verify(issued.challenge, wrong(issued.code))
    code.verify(issued.challenge, wrong(issued.code))
    tried = code.verify(other.challenge, other.code)
    assert (tried.reason, tried.attempts_left, tried.retry_after) == ("locked", 10, 3600)
    assert code.forgive(ADA)
    assert code.verify(other.challenge, other.code)


def test_from_the_last_tier_on_each_failure_locks(clock: Frozen, wrong: Any) -> None:
    """Of a lock that is over the failures are not forgotten."""
    code = OneTimeCode("login", attempts=5, cooldown=0, sends=None, lockout=((2, 10), (3, 60)))
    waits = []
    for _ in range(5):
        issued = code.issue(ADA)
        tried = code.verify(issued.challenge, wrong(issued.code))
        waits.append(tried.retry_after)
        clock.move(tried.retry_after)
    assert waits == [0, 10, 60, 60, 60]


def test_a_stranger_locks_out_himself(clock: Frozen, wrong: Any) -> None:
    """He fails ten times for Ada: his address is locked. Hers is not; and where she is familiar nothing is."""
    code = OneTimeCode("login", attempts=10, cooldown=0, sends=None)
    home = code.issue(ADA, ip="1.1.1.1")
    familiar = code.verify(home.challenge, home.code).familiar
    his = code.issue(ADA, ip="6.6.6.6")
    hers = code.issue(ADA, ip="2.2.2.2")
    for _ in range(10):
        code.verify(his.challenge, wrong(his.code))
    assert refusal(lambda: code.issue(ADA, ip="6.6.6.6")) == ("locked", 900)
    assert code.verify(hers.challenge, hers.code)
    # From a hundred addresses he locks out all strangers.
    waits = []
    for each in range(10):
        his = code.issue(ADA, ip=f"6.6.7.{each}")
        waits.append([code.verify(his.challenge, wrong(his.code)) for _ in range(10)][-1].retry_after)
    assert waits == [900] * 9 + [86_400]
    assert refusal(lambda: code.issue(ADA, ip="2.2.2.2")) == ("locked", 86_400)
    assert refusal(lambda: code.issue(ADA)) == ("locked", 86_400)
    assert refusal(lambda: code.issue(ADA, ip="2.2.2.2", familiar="f" * 64)) == ("locked", 86_400)
    again = code.issue(ADA, ip="6.6.6.6", familiar=familiar)
    assert code.verify(again.challenge, again.code)
    # What is familiar to Ada is not to Bob, and is no pass: too many failures of it lock it, and it alone.
    clock.move(86_400)
    for _ in range(10):
        code.verify((issued := code.issue(ADA, familiar=familiar)).challenge, wrong(issued.code))
    assert refusal(lambda: code.issue(ADA, familiar=familiar)) == ("locked", 900)
    code.issue(ADA, ip="2.2.2.2")


def test_a_stranger_uses_up_the_strangers_sends(clock: Frozen) -> None:
    """The owner's familiar browser has a cooldown and a budget to itself."""
    code = OneTimeCode("login", sends="1/h")
    home = code.issue(ADA)
    familiar = code.verify(home.challenge, home.code).familiar
    clock.move(60)
    assert refusal(lambda: code.issue(ADA, ip="2.2.2.2"))[0] == "quota"
    code.issue(ADA, familiar=familiar)
    assert refusal(lambda: code.issue(ADA, familiar=familiar))[0] == "cooldown"
    bob = OneTimeCode("login", sends="1/h")
    bob.issue("bob@example.com")
    assert refusal(lambda: bob.issue("bob@example.com", familiar=familiar))[0] == "cooldown"


def test_a_decoy_is_like_the_real(clock: Frozen, wrong: Any, redis_client: redis.Redis) -> None:
    """The same answers, the same round trips, the same refusals and locks, the same fields and sizes in Redis."""
    code = OneTimeCode("login", attempts=5)
    told = []
    for subject, issue in (("ada@example.com", code.issue), ("bob@example.com", code.decoy)):
        issued = issue(subject, payload=PAYLOAD, ip="1.2.3.4")
        [key] = redis_client.scan_iter(f"*{issued.challenge[:32]}*:r:*")
        sizes = {name: len(value) for name, value in redis_client.hgetall(key).items()}
        answers: list[Any] = [sizes, issued.expires_in, issued.resend_in, len(issued.challenge)]
        answers.append(refusal(lambda: issue(subject, ip="1.2.3.4")))  # noqa: B023
        answers += [code.verify(issued.challenge, "x") for _ in range(6)]
        clock.move(40)
        issued = issue(subject, challenge=issued.challenge, ip="1.2.3.4")
        answers += [issued.is_resend, *(code.verify(issued.challenge, "x") for _ in range(6))]
        answers.append(refusal(lambda: issue(subject, ip="1.2.3.4")))  # noqa: B023
        told.append(answers)
    assert told[0] == told[1]
    assert told[0][-1] == ("locked", 900)


def test_no_code_is_right_for_a_decoy() -> None:
    """Though there are but ten."""
    code = OneTimeCode("login", digits=1, attempts=20, lockout=((100, 1),))
    decoy = code.decoy(ADA)
    assert {code.verify(decoy.challenge, str(each)).reason for each in range(10)} == {"wrong"}


def test_a_worker_mints(heard: list[tuple[Any, ...]]) -> None:
    """It knows the challenge alone; until then each try is wrong, and of two workers one has a code."""
    code = OneTimeCode("login")
    held = code.reserve(ADA, payload=PAYLOAD, binding="b")
    assert held.code == ""
    assert code.verify(held.challenge, "123456", binding="b").reason == "wrong"
    armed = code.arm(held.challenge)
    assert armed is not None
    assert (armed.destination, armed.payload, armed.challenge, len(armed.code)) == (ADA, PAYLOAD, held.challenge, 6)
    assert 0 < armed.expires_in <= 300
    assert code.arm(held.challenge) is None
    # The mail server refused: it is tried again, with another code.
    assert code.disarm(armed)
    assert not code.verify(held.challenge, armed.code, binding="b")
    again = code.arm(held.challenge)
    assert again is not None
    tried = code.verify(held.challenge, again.code, binding="b")
    assert (tried.ok, tried.attempts_left, tried.payload) == (True, 2, PAYLOAD)
    assert (code.disarm(again), code.cancel(again), code.arm(held.challenge)) == (False, False, None)
    assert [each for each in heard if each[0] == "code_issued"] == [("code_issued", "login", False)] * 2


def test_what_has_run_out_or_was_cancelled_is_not_armed(clock: Frozen) -> None:
    """So nothing is sent that nobody waits for."""
    code = OneTimeCode("login")
    late, cancelled = code.reserve(ADA), code.reserve("bob@example.com")
    assert code.cancel(cancelled)
    assert code.arm(cancelled.challenge) is None
    clock.move(300)
    assert code.arm(late.challenge) is None


def test_cancelled_sends_are_given_back(clock: Frozen) -> None:
    """The cooldown, the subject's budget, and those of the address and of all; once, and not for another's sending."""
    code = OneTimeCode("login", sends="1/h", sends_per_ip="1/h", sends_total="1/h")
    for _ in range(3):
        issued = code.issue(ADA, ip="1.2.3.4")
        assert code.cancel(issued)
        assert not code.cancel(issued)
        assert code.verify(issued.challenge, issued.code).reason == "expired"
    twice = OneTimeCode("twice")
    first = twice.issue(ADA)
    clock.move(30)
    second = twice.issue(ADA, challenge=first.challenge)
    assert not twice.cancel(first)
    assert twice.verify(second.challenge, second.code)


def test_a_refused_code_uses_up_no_budget(clock: Frozen) -> None:
    """Of three budgets the last is used up: the others are given back; and so when the subject has its cooldown."""
    code = OneTimeCode("login", sends_per_ip="2/h", sends_total="3/h")
    code.issue(ADA, ip="1.1.1.1")
    for _ in range(5):
        assert refusal(lambda: code.issue(ADA, ip="1.1.1.1"))[0] == "cooldown"
    code.issue("bob@example.com", ip="1.1.1.1")
    for _ in range(5):
        assert refusal(lambda: code.issue("cyd@example.com", ip="1.1.1.1")) == ("quota", 3600)
    code.issue("dan@example.com", ip="2.2.2.2")
    assert refusal(lambda: code.issue("eve@example.com", ip="3.3.3.3")) == ("quota", 3600)


def test_rotated_peppers_are_known(settings: Any) -> None:
    """What was made under the old one is verified under both, and no more when it is gone."""
    old, new = "o" * 40, "n" * 40
    code, magic = OneTimeCode("login", cooldown=0), MagicLink("login", cooldown=0)
    settings.REDIS_TOOLKIT_OTP_PEPPERS = [old]
    first, second, token = code.issue(ADA, payload=1), code.issue(ADA), magic.issue(ADA).code
    familiar = code.verify((issued := code.issue(ADA)).challenge, issued.code).familiar
    settings.REDIS_TOOLKIT_OTP_PEPPERS = [new, old]
    assert code.verify(first.challenge, first.code).payload == 1
    assert magic.peek(token)
    assert magic.verify(token)
    code.issue(ADA, familiar=familiar)
    third = code.issue(ADA)
    settings.REDIS_TOOLKIT_OTP_PEPPERS = [new]
    assert code.verify(second.challenge, second.code).reason == "wrong"
    assert code.verify(third.challenge, third.code)


def test_without_peppers_it_is_djangos_secret(settings: Any) -> None:
    """And its fall-backs."""
    settings.SECRET_KEY = "one" * 20
    code = OneTimeCode("login", cooldown=0)
    first, second = code.issue(ADA), code.issue(ADA)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "two" * 20, ["one" * 20]
    assert code.verify(first.challenge, first.code)
    settings.SECRET_KEY_FALLBACKS = []
    assert not code.verify(second.challenge, second.code)


def test_signals(clock: Frozen, heard: list[tuple[Any, ...]], wrong: Any) -> None:
    """All that is to be heard of, without a code or an address."""
    code = OneTimeCode("login", lockout=((1, 60),))
    issued = code.issue(ADA)
    refusal(lambda: code.issue(ADA))
    code.verify(issued.challenge, wrong(issued.code))
    code.verify(issued.challenge, issued.code)
    clock.move(60)
    code.issue(ADA, challenge=issued.challenge)
    code.decoy("bob@example.com")
    assert heard == [
        ("code_issued", "login", False),
        ("code_refused", "login", "cooldown"),
        ("code_verified", "login", "wrong", False),
        ("code_locked", "login", 60.0),
        ("code_verified", "login", "locked", False),
        ("code_issued", "login", True),
    ]


def test_a_dump_tells_nothing(dump: Any, wrong: Any) -> None:
    """No code, subject, destination, payload, binding, address, token or challenge in any key or value."""
    # (Codes of capitals, which no hexadecimal digits are by chance.)
    code, magic = OneTimeCode("login", alphabet=LETTERS, length=8), MagicLink("login")
    issued = code.issue(
        "ada@example.com",
        destination="ada.mobile@example.org",
        payload={"word": "xylophone"},
        binding="browsernonce",
        ip="198.51.100.7",
    )
    code.verify(issued.challenge, "BCDFGHJK")
    held = code.reserve("bob@example.com", payload="xylophone")
    code.arm(held.challenge)
    token = magic.issue("cyd@example.com", payload="xylophone", destination="+39 333 1234567").code
    TotpGuard("dan@example.com").accept(1)
    seen = dump()
    assert seen.count(b"sealed") == 3
    for secret in (
        issued.code,
        "ada@",
        "ada.mobile",
        "bob@",
        "cyd@",
        "dan@",
        "example",
        "xylophone",
        "browsernonce",
        "198.51",
        "3331234567",
        token,
        issued.challenge,
        issued.challenge[32:],
    ):
        assert secret.encode() not in seen, secret


def test_a_server_of_their_own(settings: Any, valkey: ValkeyServer, redis_client: redis.Redis) -> None:
    """What is kept under the durable alias is not in the cache."""
    with ValkeyServer() as other:
        settings.CACHES = {**settings.CACHES, "durable": {**settings.CACHES["default"], "LOCATION": other.url}}
        settings.REDIS_TOOLKIT_DURABLE_ALIAS = "durable"
        code = OneTimeCode("login")
        issued = code.issue(ADA)
        assert code.verify(issued.challenge, issued.code)
        assert redis_client.dbsize() == 0
        link("durable").close()


def test_without_redis_nobody_is_let_in(valkey: ValkeyServer) -> None:
    """Each question raises StoreUnavailable, sync and async, and is answered when the server is back."""
    code, magic, guard = OneTimeCode("login"), MagicLink("login"), TotpGuard(1)
    issued, token = code.issue(ADA), magic.issue(ADA).code
    valkey.kill()
    asked: list[Any] = [
        lambda: code.issue("bob@example.com"), lambda: code.decoy("bob@example.com"), lambda: code.reserve("bob@example.com"),
        lambda: code.verify(issued.challenge, issued.code), lambda: code.arm(issued.challenge),
        lambda: code.cancel(issued), lambda: code.resend(issued.challenge), lambda: magic.peek(token),
        lambda: magic.verify(token), lambda: guard.accept(1),
        lambda: asyncio.run(code.aissue("bob@example.com")), lambda: asyncio.run(code.averify(issued.challenge, issued.code)),
        lambda: asyncio.run(magic.apeek(token)), lambda: asyncio.run(magic.averify(token)), lambda: asyncio.run(guard.aaccept(1)),
    ]  # fmt: skip
    for ask in asked:
        with pytest.raises(StoreUnavailable):
            ask()
