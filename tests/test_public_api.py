"""The public surface, name by name: a change here is a change for users, and goes into CHANGELOG.md."""

from __future__ import annotations

import importlib
import inspect
import tomllib
from pathlib import Path

import pytest

import redis_toolkit

ROOT = Path(__file__).parents[1]

SURFACE = {
    "redis_toolkit": [
        "__version__",
    ],
    "redis_toolkit.cache": [
        "Bloom",
        "CacheManager",
        "CachedPages",
        "CachedQuerySet",
        "Flushed",
        "Health",
        "Page",
        "WriteBehind",
        "aprefetch_cached",
        "cached",
        "cached_view",
        "health",
        "invalidate",
        "prefetch_cached",
        "renew",
    ],
    "redis_toolkit.contrib.debug_toolbar": ["CachePanel", "sentence"],
    "redis_toolkit.contrib.drf_otp": [
        "CodesAway",
        "RequestCode",
        "VerifyCode",
        "api_code",
    ],
    "redis_toolkit.contrib.drf_tokens": [
        "HasScope",
        "MayMakeTokens",
        "ShownOnce",
        "StoreAway",
        "TokenAuthentication",
        "TokenHasScope",
        "TokenRefused",
    ],
    "redis_toolkit.contrib.log_events": ["EVENTS", "connect", "log_events"],
    "redis_toolkit.contrib.otp_admin": [
        "EmailedCodeAdminSite",
        "EmailedCodeMixin",
        "admin_code",
    ],
    "redis_toolkit.contrib.prometheus": ["Collector", "metrics"],
    "redis_toolkit.doctor": [
        "Finding",
        "Key",
        "Report",
        "Server",
        "Slow",
        "biggest",
        "examine",
        "slow_log",
    ],
    "redis_toolkit.exceptions": [
        "BadCursor",
        "BreakerOpen",
        "CacheOverloaded",
        "CodeRefused",
        "CodecError",
        "Misconfigured",
        "OutcomeUnknown",
        "RedisToolkitError",
        "SessionConflict",
        "SessionLimitReached",
        "SessionTooLarge",
        "StoreUnavailable",
        "Throttled",
        "TokenLimitReached",
        "UnknownScope",
    ],
    "redis_toolkit.middleware": [
        "OverloadedMiddleware",
    ],
    "redis_toolkit.otp": [
        "CodeRefused",
        "Issued",
        "LETTERS",
        "MagicLink",
        "OneTimeCode",
        "Peeked",
        "TotpGuard",
        "Verification",
    ],
    "redis_toolkit.otp.delivery": [
        "CallableDelivery",
        "ConsoleDelivery",
        "Delivery",
        "DeliveryFailed",
        "EmailDelivery",
        "delivery",
    ],
    "redis_toolkit.otp.forms": [
        "AddressForm",
        "CodeForm",
    ],
    "redis_toolkit.otp.views": [
        "CodeRequestView",
        "CodeVerifyView",
        "LinkRequestView",
        "LinkSentView",
        "MagicLinkView",
        "StepUpRequiredMixin",
        "StepUpView",
        "has_stepped_up",
        "login_code",
        "login_link",
        "step_up_required",
    ],
    "redis_toolkit.sessions": [
        "Device",
        "SessionStore",
        "arevoke",
        "arevoke_all",
        "asessions_for",
        "revoke",
        "revoke_all",
        "sessions_for",
    ],
    "redis_toolkit.sessions.middleware": [
        "SessionMiddleware",
    ],
    "redis_toolkit.signals": [
        "breaker_changed",
        "cache_failed",
        "cache_invalidated",
        "cache_read",
        "code_issued",
        "code_locked",
        "code_refused",
        "code_verified",
        "session_ended",
        "throttle_banned",
        "throttle_checked",
        "throttle_denied",
        "throttle_failed",
        "token_made",
        "token_refused",
        "token_revoked",
    ],
    "redis_toolkit.stats": [
        "Bucket",
        "DAY",
        "Figures",
        "HOUR",
        "Hot",
        "MONTH",
        "Span",
        "buckets",
        "flush",
        "hottest",
        "summed",
    ],
    "redis_toolkit.testing": [
        "Companion",
        "PostgresServer",
        "ServerFailed",
        "ValkeyServer",
        "embedded_valkey",
        "find_postgres",
        "find_valkey",
    ],
    "redis_toolkit.testing.cache": [
        "IsolatedCacheMixin",
        "Read",
        "assert_cache_hits",
        "assert_redis_round_trips",
        "isolated_cache",
        "run_commit_hooks",
    ],
    "redis_toolkit.testing.fixtures": [
        "assert_cache_hits",
        "assert_redis_round_trips",
        "isolated_cache",
        "run_commit_hooks",
        "throttle_clock",
        "throttles_off",
        "valkey_server",
    ],
    "redis_toolkit.testing.otp": ["Sent", "code_clock", "code_outbox", "fixed_code"],
    "redis_toolkit.testing.throttling": [
        "ThrottleClock",
        "throttle_clock",
        "throttles_off",
    ],
    "redis_toolkit.throttling": [
        "Ban",
        "Concurrency",
        "Decision",
        "Lease",
        "Quota",
        "Rate",
        "Rule",
        "Throttle",
        "ThrottleMixin",
        "Throttled",
        "client_address",
        "concurrency",
        "exempt",
        "standing",
        "throttle",
    ],
    "redis_toolkit.throttling.middleware": [
        "ThrottleMiddleware",
    ],
    "redis_toolkit.tokens": [
        "Made",
        "Token",
        "TokenLimitReached",
        "UnknownScope",
        "aauthenticate",
        "aauthenticate_user",
        "amake_token",
        "arevoke",
        "arevoke_all",
        "arotate",
        "atokens_for",
        "authenticate",
        "authenticate_user",
        "make_token",
        "revoke",
        "revoke_all",
        "rotate",
        "token_identity",
        "tokens_for",
        "user_of",
    ],
}


@pytest.mark.parametrize("module", SURFACE)
def test_exports(module):
    """`__all__` is what is written here, and every name in it exists."""
    home = importlib.import_module(module)
    assert sorted(home.__all__) == SURFACE[module]
    assert [name for name in home.__all__ if not hasattr(home, name)] == []


@pytest.mark.parametrize("module", SURFACE)
def test_every_public_name_says_what_it_is(module):
    """Public classes and functions have docstrings, and so have the public methods they define."""
    silent = []
    for name in SURFACE[module]:
        thing = getattr(importlib.import_module(module), name)
        if not (inspect.isclass(thing) or inspect.isfunction(thing)):
            continue
        if not thing.__doc__:
            silent.append(name)
        if inspect.isclass(thing):
            own = {key: value for key, value in vars(thing).items() if not key.startswith("_")}
            silent += [
                f"{name}.{key}"
                for key, value in own.items()
                if inspect.isroutine(value) and not inspect.getdoc(getattr(thing, key))
            ]
    assert silent == []


def test_version_is_the_projects():
    """`__version__` and pyproject.toml agree."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert redis_toolkit.__version__ == project["version"] == "0.1.0"
