"""For tests of what is throttled: all throttles off, or a clock that stands still until the test moves it.

Works with Django's test cases and with pytest alike; :mod:`redis_toolkit.testing.fixtures` has the same as fixtures.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.test.utils import override_settings

from redis_toolkit.core.clock import Frozen, freeze
from redis_toolkit.throttling import checking

__all__ = ["ThrottleClock", "throttle_clock", "throttles_off"]


class ThrottleClock:
    """The time of the throttles, which stands still until it is moved."""

    def __init__(self, frozen: Frozen) -> None:
        self._frozen = frozen

    def move(self, by: float | timedelta) -> None:
        """Go on by so many seconds, or a timedelta. Raises ValueError for going back."""
        seconds = by.total_seconds() if isinstance(by, timedelta) else by
        if seconds < 0:
            raise ValueError(
                "Time goes forward: what was counted at a later moment would count for longer than it may."
            )
        self._frozen.move(seconds)


@contextmanager
def throttle_clock() -> Iterator[ThrottleClock]:
    """Have the time of the throttles stand still in the block; the value moves it.

    All of this process that counts by a throttle, a door or a Concurrency is told that time, whatever the server's
    clock says. ``Throttle.wait`` moves it and does not sleep. Other processes and the cache are not concerned.
    """
    with freeze() as frozen:
        checking.forget()
        try:
            yield ThrottleClock(frozen)
        finally:
            checking.forget()


def throttles_off() -> override_settings:
    """Let everything through, and count nothing; no Redis is needed.

    A context manager, and a decorator of tests, sync or async, and of test cases.
    """
    return override_settings(REDIS_TOOLKIT_THROTTLE=False)
