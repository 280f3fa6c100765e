"""Seals without a server."""

from __future__ import annotations

from typing import Any

import pytest

from redis_toolkit.exceptions import CodecError
from redis_toolkit.sessions.sealing import seal


@pytest.mark.parametrize("kind", ["signed", "encrypted"])
def test_a_value_opens_in_its_place_only(kind: str, settings: Any) -> None:
    """Where record and field meet, no other pair is written alike; a bit that is turned is seen."""
    settings.REDIS_TOOLKIT_SESSION_SEAL = kind
    way = seal()
    stored = way.close("ab", b"c", b"value")
    assert way.open("ab", b"c", stored) == (b"value", True)
    for record, field in (("a", b"bc"), ("abc", b""), ("ab", b"d")):
        with pytest.raises(CodecError):
            way.open(record, field, stored)
    for broken in (stored[:-1], stored[1:], b"", bytes([stored[0] ^ 1]) + stored[1:]):
        with pytest.raises(CodecError):
            way.open("ab", b"c", broken)


@pytest.mark.parametrize("kind", ["signed", "encrypted"])
def test_any_of_the_secrets_opens(kind: str, settings: Any) -> None:
    """And says whether it was the first."""
    settings.REDIS_TOOLKIT_SESSION_SEAL = kind
    settings.REDIS_TOOLKIT_SESSION_KEYS = ["old"]
    stored = seal().close("r", b"f", b"value")
    settings.REDIS_TOOLKIT_SESSION_KEYS = ["new", "old"]
    assert seal().open("r", b"f", stored) == (b"value", False)
