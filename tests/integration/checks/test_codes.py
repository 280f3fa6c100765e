"""What the system checks say of one-time codes."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from redis_toolkit.otp import OneTimeCode
from redis_toolkit.otp.problems import of_deployment, of_settings


def told(found: Any) -> list[tuple[str, str]]:
    messages = list(found)
    assert all(each.hint for each in messages)
    return [(each.id.removeprefix("redis_toolkit."), each.msg) for each in messages]


def test_e080() -> None:
    """Codes of which there are too few, while they are declared."""
    few, enough = OneTimeCode("few", digits=5), OneTimeCode("enough", digits=6)
    [(identity, message)] = told(of_settings())
    assert (identity, "100000 codes for 'few'" in message) == ("E080", True)
    assert enough.variety == 10**6
    del few
    gc.collect()
    assert told(of_settings()) == []


def test_e081() -> None:
    """Codes that live for longer than ten minutes."""
    late, timely = OneTimeCode("late", ttl=601), OneTimeCode("timely", ttl=600)
    assert told(of_settings()) == [("E081", "The codes for 'late' live for 601 seconds.")]
    assert (late.ttl, timely.ttl) == (601, 600)


def test_e082(settings: Any) -> None:
    """A pepper that could be guessed, and which is not quoted."""
    settings.REDIS_TOOLKIT_OTP_PEPPERS = ["x" * 32, "short"]
    [(identity, message)] = told(of_settings())
    assert (identity, "short" in message) == ("E082", False)
    settings.REDIS_TOOLKIT_OTP_PEPPERS = ["x" * 32]
    assert told(of_settings()) == []


@pytest.mark.parametrize("peppers", [[], ["the key itself"]])
def test_w080(settings: Any, peppers: list[str]) -> None:
    """Before it is deployed: no pepper, or SECRET_KEY in its place; nobody minds without codes."""
    settings.SECRET_KEY = "the key itself"
    settings.REDIS_TOOLKIT_OTP_PEPPERS = peppers
    assert told(of_deployment()) == []
    code = OneTimeCode("deployed")
    assert [identity for identity, _ in told(of_deployment())] == ["W080"]
    settings.REDIS_TOOLKIT_OTP_PEPPERS = ["x" * 32, *peppers]
    assert [identity for identity, _ in told(of_deployment())] == ["W080"] * len(peppers)
    settings.REDIS_TOOLKIT_OTP_PEPPERS = ["x" * 32]
    assert told(of_deployment()) == []
    assert code.name == "deployed"
