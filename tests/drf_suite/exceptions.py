"""Tests of DRF's that cannot pass, each with its reason. One that passes all the same is a failure of the run."""

from __future__ import annotations

from typing import Final

__all__ = ["EXCEPTIONS"]

_KEY: Final = (
    "Compares the text under which DRF keeps a history in the cache: ours says who is counted, without the scope, so that"
    " all throttles of one client are asked in one call, and a user's key is never taken for somebody's address."
)
_ALL_OR_NONE: Final = (
    "Expects that what one throttle denies is counted by the view's other one: ours charge all of them or none."
)

#: Reason by test, as ``module.Class.test``; an algorithm in front (``gcra:``, ``sliding_log:``) where only that has it.
EXCEPTIONS: Final[dict[str, str]] = {
    "gcra:test_throttling.ThrottlingTests.test_minutes_fields": (
        "Expects to wait for the whole minute after three hits at 3/min: GCRA gives one back every twenty seconds."
    ),
    "test_throttling.AnonRateThrottleTests.test_get_cache_key_returns_correct_value": _KEY,
    "test_throttling.ScopedRateThrottleTests.test_get_cache_key_returns_correct_key_if_user_is_authenticated": _KEY,
    "test_throttling.SimpleRateThrottleTests.test_wait_returns_correct_waiting_time_without_history": (
        "Puts a history and a limit into the throttle and asks it to wait() without a request: ours keeps no history, and"
        " what wait() says comes from Redis."
    ),
    "test_throttling.ThrottlingTests.test_request_throttling_multiple_throttles": _ALL_OR_NONE,
    "test_throttling.ThrottlingTests.test_throttle_rate_change_negative": _ALL_OR_NONE,
}
