"""Django's settings of a process that checks limits; what differs between libraries arrives as one JSON variable."""

from __future__ import annotations

import json
import os
from typing import Any

_JOB: dict[str, Any] = json.loads(os.environ["BENCH_JOB"])

SECRET_KEY = "only for measuring"  # noqa: S105
USE_TZ = True
TIME_ZONE = "UTC"
REDIS_URL: str = _JOB["redis_url"]

INSTALLED_APPS = ["redis_toolkit"] if _JOB["contestant"].startswith("ours") else []

DATABASES: dict[str, Any] = {"default": _JOB["database"]}

CACHES = {"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": REDIS_URL}}

if _JOB["contestant"] == "ours":
    # Each denial is to be Redis's own. What a remembered one costs is measured in another process.
    REDIS_TOOLKIT_THROTTLE_DENIALS = 0

# Who a visitor is must not cost a look into the database.
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "UNAUTHENTICATED_USER": None,
}
