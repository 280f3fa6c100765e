"""Django's settings of all processes of a run; the addresses arrive as one JSON variable."""

from __future__ import annotations

import json
import os
from typing import Any

_JOB: dict[str, Any] = json.loads(os.environ["CONSISTENCY_JOB"])

SECRET_KEY = "only for measuring"  # noqa: S105
USE_TZ = True
TIME_ZONE = "UTC"
INSTALLED_APPS = ["redis_toolkit", "bench.consistency.ledger"]
DATABASES: dict[str, Any] = {"default": _JOB["database"]}
CACHES: dict[str, Any] = {"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": _JOB["redis_url"]}}
if _JOB["subject"] == "naive":
    # What a careful project gives django-redis, so that an outage is no error.
    CACHES["default"]["OPTIONS"] = {
        "IGNORE_EXCEPTIONS": True, "SOCKET_CONNECT_TIMEOUT": 0.25, "SOCKET_TIMEOUT": 0.5,
    }  # fmt: skip

#: What the toolkit says of each outage would drown the report.
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"none": {"class": "logging.NullHandler"}},
    "loggers": {"redis_toolkit": {"handlers": ["none"], "propagate": False}},
}

#: Longer than any transaction of the writers, and short, for the run waits until the marks of the dead are gone.
REDIS_TOOLKIT_MARK_TTL = 2
