"""Settings: live, declared once, with a rule each."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
from django.test import override_settings

from redis_toolkit.conf import Setting, Settings, settings

NAN, INF = math.nan, math.inf
DEFAULTS = {
    "ALIAS": "default",
    "PREFIX": "rt",
    "ENABLED": True,
    "CACHE_TTL": 3600,
    "NULL_TTL": 60,
    "TTL_JITTER": 0.1,
    "SINGLE_FLIGHT": True,
    "FLIGHT_WAIT": 5,
    "EARLY_EXPIRY": 1.0,
    "MARK_TTL": 60,
    "REPLICA_LAG": 0,
    "TRUST_REPLICAS": False,
    "OUTBOX_INTERVAL": 1,
    "OUTBOX_ROWS": 10_000,
    "TENANT": None,
    "WATCH": (),
    "FUNCTIONS": (),
    "MAX_ENTRY_BYTES": 1048576,
    "COMPRESS_ABOVE": None,
    "VERIFY_SAMPLE": 0.01,
    "CONNECT_TIMEOUT": 0.25,
    "READ_TIMEOUT": 0.5,
    "BREAKER_FAILURES": 3,
    "BREAKER_RETRY": 0.5,
    "LOADS": 32,
    "LOADS_WAIT": 5,
    "WARM": (),
    "REFRESHER": None,
    "WARMER": None,
    "THROTTLE": True,
    "THROTTLE_ALIAS": None,
    "THROTTLE_DENIALS": 10_000,
    "THROTTLE_LOCAL_SHARE": 0.25,
    "THROTTLE_OFFENDERS": False,
    "THROTTLES": {},
    "THROTTLE_HEADERS": "ietf",
    "THROTTLE_VIEW": None,
    "TRUSTED_PROXIES": (),
    "CLIENT_HEADER": "X-Forwarded-For",
    "IPV6_PREFIX": 64,
    "DURABLE_ALIAS": None,
    "SESSION_ABSOLUTE_AGE": None,
    "SESSION_RENEW_SHARE": 0.1,
    "SESSION_MAX_BYTES": 262_144,
    "SESSION_SEAL": None,
    "SESSION_KEYS": (),
    "SESSION_STRICT": (),
    "SESSION_DEVICES": False,
    "SESSION_LIMIT": None,
    "SESSION_LIMIT_POLICY": "evict",
    "OTP_PEPPERS": (),
    "OTP_DELIVERY": "redis_toolkit.otp.delivery.EmailDelivery",
    "OTP_SENDER": None,
    "TOKEN_PREFIX": "rtk_live",
    "TOKEN_STORE": "db+redis",
    "TOKEN_TTL": 7_776_000,
    "TOKEN_RENEW": False,
    "TOKEN_ABSOLUTE_AGE": 31_536_000,
    "TOKEN_CACHE_TTL": 60,
    "TOKEN_USE_INTERVAL": 60,
    "TOKEN_LIMIT": None,
    "TOKEN_LIMIT_POLICY": "refuse",
    "TOKEN_SCOPES": (),
    "TOKEN_ENDS_WITH_PASSWORD": True,
    "STATS": True,
    "STATS_ALIAS": None,
    "STATS_KEEP": {"minute": 10_800, "hour": 1_209_600, "day": 34_560_000},
    "METRICS_TOKEN": None,
    "LOG_EVENTS": (),
}
SECONDS = ([1, 0.001, 3600.5], [0, -1, NAN, INF, True, None, "5", Decimal(5)])
SIZE_OR_NONE = ([None, 1, 4096], [0, -1, 1.5, True, INF, "5"])
POLICY = (["evict", "refuse"], ["keep", None, True])
SECRETS = ([(), [], ["a secret"]], ["a secret", None, [5], 5])
TEXT = (["default", "x"], ["", None, 5, b"x"])
#: By name: values that are right and values that are wrong.
RULES = {
    "ALIAS": TEXT,
    "PREFIX": TEXT,
    "ENABLED": ([True, False], [1, 0, None, "yes"]),
    "CACHE_TTL": SECONDS,
    "NULL_TTL": SECONDS,
    "SINGLE_FLIGHT": ([True, False], [0, 1, None, "True"]),
    "FLIGHT_WAIT": ([0.1, 5], [0, -1, NAN, True, None, "5"]),
    "EARLY_EXPIRY": ([0, 0.5, 1.0, 3], [-1, NAN, True, None, "1"]),
    "TTL_JITTER": ([0, 0.0, 0.5, 0.9], [-0.1, 0.91, 1, NAN, True, None, "0.1"]),
    "MARK_TTL": SECONDS,
    "REPLICA_LAG": ([0, 0.0, 2.5, 10], [-1, -0.1, NAN, INF, True, None, "5"]),
    "TRUST_REPLICAS": ([True, False], [1, 0, None, "yes"]),
    "OUTBOX_INTERVAL": SECONDS,
    "OUTBOX_ROWS": ([1, 4096], [0, -1, 1.5, None, True, INF, "5"]),
    "TENANT": ([None, "school.tenants.current"], ["", 5, len]),
    "WATCH": ([(), [], ["app.Lesson", "app_room"], {"x"}, frozenset()], ["app.Lesson", None, [5], 5]),
    "FUNCTIONS": ([(), [], ["my_age"], {"x"}], ["my_age", None, [5], 5]),
    "MAX_ENTRY_BYTES": ([1, 4096], [0, -1, 1.5, None, True, INF, "5"]),
    "COMPRESS_ABOVE": SIZE_OR_NONE,
    "VERIFY_SAMPLE": ([0, 0.01, 0.5, 1, 1.0], [-0.1, 1.01, NAN, INF, True, None, "1"]),
    "CONNECT_TIMEOUT": SECONDS,
    "READ_TIMEOUT": SECONDS,
    "BREAKER_FAILURES": ([1, 3], [0, -1, 1.5, None, True, "3"]),
    "BREAKER_RETRY": SECONDS,
    "LOADS": SIZE_OR_NONE,
    "LOADS_WAIT": ([0, 0.5, 5], [-1, NAN, INF, True, None, "5"]),
    "REFRESHER": ([None, "app.send"], ["", 5, ()]),
    "WARMER": ([None, "app.send"], ["", 5, ()]),
    "THROTTLE": ([True, False], [0, 1, None, "True"]),
    "THROTTLE_ALIAS": ([None, "counters"], ["", 5]),
    "THROTTLE_DENIALS": ([0, 1, 4096], [-1, 1.5, None, True, "5"]),
    "THROTTLE_OFFENDERS": ([True, False], [None, 1, "yes"]),
    "THROTTLE_LOCAL_SHARE": ([0.01, 0.25, 1], [0, -1, 1.5, None, True, "0.5"]),
    "THROTTLES": ([{}, {"site": {"rate": "1/m"}}], [None, [], {"site": "1/m"}, "1/m"]),
    "THROTTLE_HEADERS": (["ietf", "legacy", "both", "off"], ["on", None, True, 5]),
    "THROTTLE_VIEW": ([None, "app.busy"], ["", 5, ()]),
    "TRUSTED_PROXIES": ([(), [], ["10.0.0.0/8", "unix"]], ["10.0.0.0/8", None, [5], 5]),
    "CLIENT_HEADER": (["X-Real-IP"], ["", None, 5]),
    "IPV6_PREFIX": ([32, 64, 128], [0, 31, 129, 64.0, True, None, "64"]),
    "DURABLE_ALIAS": ([None, "durable"], ["", 5]),
    "SESSION_ABSOLUTE_AGE": SIZE_OR_NONE,
    "SESSION_RENEW_SHARE": ([0, 0.1, 0.9], [-0.1, 0.91, 1, NAN, True, None, "0.1"]),
    "SESSION_MAX_BYTES": ([1, 4096], [0, -1, 1.5, None, True, INF, "5"]),
    "SESSION_SEAL": ([None, "signed", "encrypted"], ["", True, False, "sealed"]),
    "SESSION_KEYS": SECRETS,
    "SESSION_STRICT": ([(), [], ["cart"]], ["cart", None, [5], 5]),
    "SESSION_DEVICES": ([True, False], [0, 1, None, "True"]),
    "SESSION_LIMIT": SIZE_OR_NONE,
    "SESSION_LIMIT_POLICY": POLICY,
    "OTP_PEPPERS": SECRETS,
    "OTP_DELIVERY": TEXT,
    "OTP_SENDER": ([None, "app.send"], ["", 5, ()]),
    "TOKEN_PREFIX": (["rtk", "rtk_live", "a1_b2"], ["", "ab", "Rtk", "rtk-live", "rtk\n", None, 5, "a" * 21]),
    "TOKEN_STORE": (["db+redis", "redis"], ["db", None, True]),
    "TOKEN_TTL": SIZE_OR_NONE,
    "TOKEN_RENEW": ([True, False], [0, 1, None, "True"]),
    "TOKEN_ABSOLUTE_AGE": SIZE_OR_NONE,
    "TOKEN_CACHE_TTL": SECONDS,
    "TOKEN_USE_INTERVAL": SECONDS,
    "TOKEN_LIMIT": SIZE_OR_NONE,
    "TOKEN_LIMIT_POLICY": POLICY,
    "TOKEN_SCOPES": ([(), [], ["read"]], ["read", None, [5], 5]),
    "TOKEN_ENDS_WITH_PASSWORD": ([True, False], [0, 1, None, "True"]),
    "STATS": ([True, False], [0, 1, None, "True"]),
    "STATS_ALIAS": ([None, "stats"], ["", 5, b"stats"]),
    "STATS_KEEP": (
        [{}, {"hour": 1}, {"minute": 60, "hour": 60, "day": 60}],
        [{"week": 60}, {"day": 0}, {"day": 1.5}, None, 60],
    ),
    "METRICS_TOKEN": ([None, "secret"], ["", 5, b"secret"]),
    "LOG_EVENTS": ([(), [], ["cache_read"], {"token_made"}], ["cache_read", ["cache_red"], None, [5], 5]),
    "WARM": ([(), [], ["app.warming.all"], {"x.y"}], ["app.warming.all", None, [5], 5]),
}


@pytest.fixture(autouse=True)
def _nothing_is_set(settings):
    """The test run sets some, and these tests are about a project that sets none."""
    for name in Settings.given():
        # Set first, which is announced, for a deletion is not: whatever was read before would still be remembered.
        setattr(settings, name, None)
        delattr(settings, name)


def test_these_are_the_settings():
    """Where nothing is set each setting is its default; there are no others."""
    assert {setting.attribute: getattr(settings, setting.attribute) for setting in Settings.declared()} == DEFAULTS
    assert {setting.attribute: setting.default for setting in Settings.declared()} == DEFAULTS


def test_each_says_what_it_is():
    """A setting has its full name, a sentence about it, and what it must be."""
    for setting in Settings.declared():
        assert setting.name == "REDIS_TOOLKIT_" + setting.attribute
        assert setting.doc.endswith(".")
        assert setting.must
        assert setting.valid(setting.default)
    assert isinstance(Settings.CACHE_TTL, Setting)
    assert Settings.CACHE_TTL.name == "REDIS_TOOLKIT_CACHE_TTL"


@pytest.mark.parametrize("name", DEFAULTS)
def test_a_rule_accepts_what_is_right(name):
    """Each value of the right kind passes."""
    rule = getattr(Settings, name).valid
    assert [value for value in RULES[name][0] if rule(value) is not True] == []


@pytest.mark.parametrize("name", DEFAULTS)
def test_a_rule_refuses_what_is_wrong(name):
    """Numbers that are no numbers, infinite lives, flags for numbers, and texts for anything do not pass."""
    rule = getattr(Settings, name).valid
    assert [value for value in RULES[name][1] if rule(value) is not False] == []


@pytest.mark.parametrize("name", DEFAULTS)
def test_override_settings_is_followed_at_once(name):
    """A setting is read live, inside the block and after it, though it is kept between two changes."""
    for value in RULES[name][0]:
        with override_settings(**{"REDIS_TOOLKIT_" + name: value}):
            assert getattr(settings, name) is value
            assert getattr(settings, name) is value
        assert getattr(settings, name) == DEFAULTS[name]


def test_blocks_within_blocks():
    """The innermost value holds, and each block gives back what was before it."""
    with override_settings(REDIS_TOOLKIT_CACHE_TTL=5, REDIS_TOOLKIT_PREFIX="a"):
        with override_settings(REDIS_TOOLKIT_CACHE_TTL=6):
            assert (settings.CACHE_TTL, settings.PREFIX) == (6, "a")
        assert (settings.CACHE_TTL, settings.PREFIX) == (5, "a")
    assert (settings.CACHE_TTL, settings.PREFIX) == (3600, "rt")


def test_a_second_look_costs_a_look_at_an_attribute():
    """A value is kept until a setting of ours changes; other people's settings do not matter."""
    with override_settings(REDIS_TOOLKIT_CACHE_TTL=5):
        assert settings.CACHE_TTL == 5
        assert vars(settings)["CACHE_TTL"] == 5
        with override_settings(APPEND_SLASH=False):
            assert vars(settings)["CACHE_TTL"] == 5
        with override_settings(REDIS_TOOLKIT_PREFIX="x"):
            assert vars(settings) == {}


@pytest.mark.parametrize("name", ["CACHE_TLL", "cache_ttl", "REDIS_TOOLKIT_CACHE_TTL"])
def test_an_unknown_name_is_an_error_here(name):
    """A misspelt setting in our own code is an AttributeError, whatever Django's settings hold."""
    with override_settings(REDIS_TOOLKIT_CACHE_TLL=5), pytest.raises(AttributeError, match=name):
        getattr(settings, name)


def test_what_is_given_is_listed():
    """The names in Django's settings that begin like ours are known, misspelt ones too."""
    assert Settings.given() == []
    with override_settings(REDIS_TOOLKIT_CACHE_TLL=5, REDIS_TOOLKIT_PREFIX="x"):
        assert Settings.given() == ["REDIS_TOOLKIT_CACHE_TLL", "REDIS_TOOLKIT_PREFIX"]


def test_djangos_own():
    """CACHES and DATABASES are Django's, read live."""
    assert set(Settings.caches()) == {"default"}
    assert set(Settings.databases()) == {"default", "postgres"}
    with override_settings(CACHES={"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}, "x": {}}):
        assert set(Settings.caches()) == {"default", "x"}
