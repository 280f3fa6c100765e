"""Django's settings of a process at the door; what differs between libraries arrives as one JSON variable."""

from __future__ import annotations

import json
import os
from typing import Any

_JOB: dict[str, Any] = json.loads(os.environ["BENCH_JOB"])
_NAME: str = _JOB["contestant"]
_APPS = {
    "floor": [],
    "django": ["django.contrib.sessions"],
    "qsessions": ["qsessions"],
    "ours": ["redis_toolkit"],
    "drf": ["rest_framework", "rest_framework.authtoken"],
    "knox": ["rest_framework", "knox"],
}
_ENGINES = {
    "django-cache": "django.contrib.sessions.backends.cache",
    "django-cached-db": "django.contrib.sessions.backends.cached_db",
    "django-db": "django.contrib.sessions.backends.db",
    "qsessions": "qsessions.backends.cached_db",
}

SECRET_KEY = "only for measuring"  # noqa: S105
USE_TZ = True
TIME_ZONE = "UTC"
REDIS_URL: str = _JOB["redis_url"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", *_APPS[_NAME.partition("-")[0]]]

# Requests are played one after another in one process: a connection lasts longer than one of them.
DATABASES: dict[str, Any] = {"default": {**_JOB["database"], "CONN_MAX_AGE": None}}
# Tables straight from the models.
MIGRATION_MODULES = dict.fromkeys(("contenttypes", "auth", "sessions", "qsessions", "authtoken", "knox"))

CACHES = {"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": REDIS_URL}}

SESSION_ENGINE = _ENGINES.get(_NAME, "redis_toolkit.sessions")
REDIS_TOOLKIT_SESSION_SEAL = {"ours-signed": "signed", "ours-encrypted": "encrypted"}.get(_NAME)
# Uses are written down, and rows looked at, once in a minute: here never while it is measured, or each time.
REDIS_TOOLKIT_TOKEN_USE_INTERVAL = REDIS_TOOLKIT_TOKEN_CACHE_TTL = 0.001 if _NAME.endswith("-due") else 3600
REDIS_TOOLKIT_TOKEN_STORE = "redis" if _NAME == "ours-redis" else "db+redis"

if "codes" in _JOB:
    ROOT_URLCONF = "bench.doors.urls"
    MIDDLEWARE = [
        "redis_toolkit.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ]
    TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
    EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
    PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    ALLOWED_HOSTS = ["*"]
