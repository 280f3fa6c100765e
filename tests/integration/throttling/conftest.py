"""What the tests of throttles share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from redis_toolkit.signals import throttle_denied
from redis_toolkit.throttling import checking
from redis_toolkit.throttling.heartbeats import heartbeats


@pytest.fixture(autouse=True)
def nothing_known() -> Iterator[None]:
    """This process remembers no denial, and keeps no place."""
    checking.forget()
    yield
    checking.forget()
    heartbeats._kept.clear()


@pytest.fixture
def heard() -> Iterator[list[dict[str, Any]]]:
    """What is said of denials."""
    told: list[dict[str, Any]] = []

    def listen(**said: Any) -> None:
        told.append(said)

    throttle_denied.connect(listen)
    yield told
    throttle_denied.disconnect(listen)
