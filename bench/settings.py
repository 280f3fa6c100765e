"""Django's settings inside a worker; what differs between contestants arrives as one JSON variable."""

from __future__ import annotations

import json
import os
from typing import Any

_JOB: dict[str, Any] = json.loads(os.environ["BENCH_JOB"])
_KIND: str = _JOB["contestant"].removesuffix("-postgres")

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

CACHES = {"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": REDIS_URL, "TIMEOUT": 3600}}

# Every operation cached without being asked for is the shortest way through cacheops: .cache() would clone once more.
CACHEOPS_REDIS = REDIS_URL
CACHEOPS = {"school.*": {"ops": "all", "timeout": 3600}}

CACHALOT_TIMEOUT = 3600
