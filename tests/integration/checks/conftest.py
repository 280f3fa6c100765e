"""What the tests of the checks share."""

from __future__ import annotations

from weakref import WeakSet

import pytest

from redis_toolkit.otp import codes


@pytest.fixture(autouse=True)
def no_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    """No code is declared but those that a test declares."""
    monkeypatch.setattr(codes, "_declared", WeakSet())
