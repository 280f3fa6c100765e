"""What codes are made of: peppers, seals, budgets, addresses, policies, checks. No server is asked."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from redis_toolkit.otp import LETTERS, OneTimeCode
from redis_toolkit.otp.budgets import Window, window
from redis_toolkit.otp.peppers import peppers
from redis_toolkit.otp.seals import MOST_BYTES, seal, unseal
from redis_toolkit.otp.subjects import familiar_token, folded, guess_lane, one_destination, send_lane
from redis_toolkit.testing.otp import fixed_code


def test_peppers(settings: Any) -> None:
    """Those that are given, else Django's; each use has a key of its own, and the secret is not to be seen."""
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "now", ["before"]
    now, before = peppers()
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "before", []
    assert peppers() == (before,)
    settings.REDIS_TOOLKIT_OTP_PEPPERS = ["now", "then"]
    assert peppers()[0] == now
    assert len({now.name, before.name, peppers()[1].name}) == 3
    assert now.mac("a", "b") != now.mac("b", "a")
    assert "key" not in repr(now)


@pytest.mark.parametrize("contents", [None, "", {"a": [1, "é", None]}, "x" * (MOST_BYTES - 2)])
def test_seals(contents: Any) -> None:
    """What was sealed comes back under the same context, never the same twice; and nothing else does."""
    sealed = seal(contents, "a", "b")
    assert unseal(sealed, "a", "b") == contents
    assert seal(contents, "a", "b") != sealed
    assert unseal(sealed, "ab", "") is None
    for at in range(0, len(sealed), max(1, len(sealed) // 50)):
        assert unseal(sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :], "a", "b") is None
    assert [unseal(sealed[:size], "a", "b") for size in (0, 5, 30, len(sealed) - 1)] == [None] * 4


def test_seals_show_nothing() -> None:
    """Two of the same text have no four bytes in common beyond the pepper's name."""
    first, second = (seal("the same text for ever and ever", "a") for _ in range(2))
    assert first[:8] == second[:8]
    # (Fewer than four, as at the very end, may be the same by chance.)
    assert not {first[at : at + 4] for at in range(8, len(first) - 3)} & {
        second[at : at + 4] for at in range(8, len(second) - 3)
    }


def test_budgets_as_they_are_written() -> None:
    """So many in a period."""
    assert window("5/h") == Window(5, 3_600_000_000)
    assert window("3/10m") == Window(3, 600_000_000)
    assert window("10000/31d") == Window(10_000, 31 * 86_400_000_000)
    assert window(None) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "5/",
        "/h",
        "0/h",
        "5/hour",
        "5/month",
        "5 / h",
        "-1/h",
        "10001/h",
        "5/32d",
        "5/h\n",
        "\u0665/h",
        "5/0h",
        7,
        "5/h,6/d",
    ],
)
def test_what_is_no_budget(text: Any) -> None:
    """It is said where it is written."""
    with pytest.raises(ValueError, match="is no budget"):
        window(text)


def test_destinations() -> None:
    """Numbers without what makes them readable; of addresses the host's case does not matter, the box's may."""
    assert one_destination(" Ada@EXAMPLE.com ") == "Ada@example.com"
    assert one_destination("+39 (333) 123-45.67") == "+393331234567"
    assert one_destination("ada") == "ada"
    with pytest.raises(TypeError, match="destination="):
        one_destination(7)  # type: ignore[arg-type]


def test_subjects() -> None:
    """Case, width and spaces around do not make another; a number is not its text."""
    assert folded(" ADA@example.com") == folded("ada@\uff25\uff38AMPLE.com")
    assert len({folded(each) for each in (7, "7", "#7", "'7")}) == 4
    for given in (None, True, 1.5, b"ada"):
        with pytest.raises(TypeError, match="A code is for"):
            folded(given)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no subject"):
        folded(" ")


def test_lanes() -> None:
    """A familiar browser has its own, for one purpose and one subject; strangers have one, by address of guesses."""
    token = familiar_token("login", "ada")
    lane = send_lane("login", "ADA", token)
    assert lane[0] == "d"
    assert guess_lane(lane, "1.2.3.4") == lane
    others = [
        ("pay", "ada", token),
        ("login", "bob", token),
        ("login", "ada", "0" * 64),
        ("login", "ada", "é"),
        ("login", "ada", None),
        ("login", "ada", token.upper()),
    ]
    assert {send_lane(*each) for each in others} == {"s"}
    assert len({guess_lane("s", each) for each in (None, "1.2.3.4", "1.2.3.5", "2001:db8::1", "unknown")}) == 5
    assert guess_lane("s", "2001:db8::1") == guess_lane("s", "2001:db8::2")
    assert familiar_token("login", "ada") != token


WRONG: dict[str, dict[str, Any]] = {
    "from 1 to 64 characters": {"digits": 0},
    "An alphabet is": {"alphabet": "aab"},
    "attempts is": {"attempts": 0},
    "ttl is": {"ttl": 0},
    "cooldown is": {"cooldown": -1},
    "is no budget": {"sends": "many"},
    "lockout is": {"lockout": ((10, 60), (5, 120))},
    "lockout has": {"lockout": ()},
    "both growing": {"lockout": ((101, 60),)},
}


@pytest.mark.parametrize("said", WRONG)
def test_codes_that_cannot_be(said: str) -> None:
    """It is said where it is written."""
    with pytest.raises(ValueError, match=said):
        OneTimeCode("wrong", **WRONG[said])


def test_codes_have_a_name() -> None:
    """And tell it."""
    with pytest.raises(ValueError, match="purpose"):
        OneTimeCode("")
    assert repr(OneTimeCode("login", ttl=timedelta(minutes=1))) == "OneTimeCode('login')"


def test_minting() -> None:
    """All characters of the alphabet, in all places, about as often; leading zeros are kept."""
    code = OneTimeCode("login", digits=4)
    found = [code._mint() for _ in range(4000)]
    assert {len(each) for each in found} == {4}
    for place in range(4):
        counts = [sum(each[place] == digit for each in found) for digit in "0123456789"]
        # (Six standard deviations of 19.)
        assert all(280 < count < 520 for count in counts), counts
    with fixed_code("1234"):
        assert code._mint() == "1234"
    assert OneTimeCode("device", alphabet=LETTERS, length=8).variety == 20**8
