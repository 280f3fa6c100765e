"""Django's settings of a caller's process; what differs between contestants arrives as one JSON variable."""

from __future__ import annotations

import json
import os
from typing import Any

from bench.stampede.loads import FUNCTION
from bench.stampede.plan import BOUND, LIFE

_JOB: dict[str, Any] = json.loads(os.environ["BENCH_JOB"])
_KIND: str = _JOB["contestant"].removesuffix("-lock")

SECRET_KEY = "only for measuring"  # noqa: S105
USE_TZ = True
TIME_ZONE = "UTC"
REDIS_URL: str = _JOB["redis_url"]

INSTALLED_APPS = {
    "ours": ["redis_toolkit", "bench.school_cached"],
    "cacheops": ["cacheops", "bench.school"],
    "cachalot": ["cachalot", "bench.school"],
}.get(_KIND, ["bench.school"])

DATABASES: dict[str, Any] = {"default": _JOB["database"]}

_BACKEND = "django.core.cache.backends.redis.RedisCache" if _KIND == "django" else "django_redis.cache.RedisCache"
CACHES = {"default": {"BACKEND": _BACKEND, "LOCATION": REDIS_URL, "TIMEOUT": LIFE}}

CACHEOPS_REDIS = REDIS_URL
CACHEOPS = {"school.*": {"ops": "all", "timeout": LIFE}}

CACHALOT_TIMEOUT = LIFE

REDIS_TOOLKIT_FUNCTIONS = [FUNCTION]
REDIS_TOOLKIT_FLIGHT_WAIT = BOUND
