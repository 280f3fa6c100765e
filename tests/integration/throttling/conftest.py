"""What the tests of throttles share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from redis_toolkit.core.connections import reset
from redis_toolkit.signals import throttle_denied
from redis_toolkit.stats import offenders
from redis_toolkit.throttling import checking
from redis_toolkit.throttling.heartbeats import heartbeats


@pytest.fixture(autouse=True)
def nothing_known() -> Iterator[None]:
    """This process remembers no denial, keeps no place, and has nobody counted who was denied and is not told yet."""
    checking.forget()
    heartbeats._kept.clear()
    offenders._gathered.forget()
    yield
    checking.forget()
    heartbeats._kept.clear()


@pytest.fixture
def patience(settings: Any) -> None:
    """However busy the machine is, Redis is not taken to be away: for what asks it for seconds, or from many threads."""
    settings.REDIS_TOOLKIT_READ_TIMEOUT = settings.REDIS_TOOLKIT_CONNECT_TIMEOUT = 30
    reset()


@pytest.fixture
def heard() -> Iterator[list[dict[str, Any]]]:
    """What is said of denials."""
    told: list[dict[str, Any]] = []

    def listen(**said: Any) -> None:
        told.append(said)

    throttle_denied.connect(listen)
    yield told
    throttle_denied.disconnect(listen)
