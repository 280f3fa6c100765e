"""The demo's settings: an ordinary project, with `redis_toolkit` added.

`DATABASE_URL`, `REDIS_URL`, `DURABLE_REDIS_URL`, `SECRET_KEY`, `DEBUG`, `ALLOWED_HOSTS` and `DEMO_VAR` of the
environment are respected. Without them it is SQLite in `demo_project/var`, a Redis on its usual port, and a key made at
the first start.
"""

from __future__ import annotations

import os
from pathlib import Path

import django

from demo_project.environment import (
    VAR,
    broker_address,
    database_from,
    durable_address,
    redis_address,
    secret_key_in,
)

VAR.mkdir(exist_ok=True)

SECRET_KEY = os.environ.get("SECRET_KEY") or secret_key_in(VAR / "secret-key")
DEBUG = os.environ.get("DEBUG") == "1"
ALLOWED_HOSTS = os.environ.get("ALLOWED_HOSTS", "127.0.0.1,localhost,[::1]").split(",")

INSTALLED_APPS = [
    "demo_project.story",
    "demo_project.timetable",
    "demo_project.lab",
    "demo_project.limits",
    "demo_project.doors",
    "redis_toolkit",
    "rest_framework",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]

MIDDLEWARE = [
    "demo_project.served.count_answers",
    "demo_project.policy.content_security_policy",
    "django.middleware.security.SecurityMiddleware",
    "redis_toolkit.throttling.middleware.ThrottleMiddleware",
    "redis_toolkit.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "demo_project.urls"
WSGI_APPLICATION = "demo_project.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [Path(__file__).parent / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "demo_project.served.served",
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

DATABASES = {"default": database_from(os.environ.get("DATABASE_URL") or f"sqlite:///{VAR / 'demo.sqlite3'}")}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CACHES = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": redis_address(),
    },
    # What is no copy of anything: a server that forgets nothing, and that emptying the cache does not empty.
    "durable": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": durable_address(redis_address()),
    },
}
REDIS_TOOLKIT_PREFIX = "timetable"

# Sessions, the codes that log people in, and tokens for the API.
SESSION_ENGINE = "redis_toolkit.sessions"
REDIS_TOOLKIT_DURABLE_ALIAS = "durable"
REDIS_TOOLKIT_SESSION_DEVICES = True
REDIS_TOOLKIT_SESSION_ABSOLUTE_AGE = 30 * 24 * 3600
REDIS_TOOLKIT_OTP_PEPPERS = [secret_key_in(VAR / "code-secret")]
REDIS_TOOLKIT_TOKEN_SCOPES = ["timetable:read", "timetable:search"]
REDIS_TOOLKIT_TOKEN_LIMIT = 10
LOGIN_URL = "redis_toolkit_otp:request"
LOGIN_REDIRECT_URL = "timetable:home"

# Mail goes to the terminal and to a page for staff: /mailbox/.
if django.VERSION >= (6, 1):
    MAILERS = {"default": {"BACKEND": "demo_project.doors.mail.Mailbox"}}
else:
    EMAIL_BACKEND = "demo_project.doors.mail.Mailbox"
DEFAULT_FROM_EMAIL = "Timetable <timetable@timetable.example>"

# What is read, spared, denied and sent, by the minute: the first page's figures, and the dashboard's.
REDIS_TOOLKIT_STATS = True

# How often. /limits/ shows each visitor what is left to them. (The log-in has more rules: demo_project/log_in.py.)
REDIS_TOOLKIT_THROTTLES = {
    "site": {"rate": "1200/m", "key": "ip", "on_outage": "open"},
    "api": {"rate": "300/m", "key": "ip", "paths": ["/api/"]},
    # Beside all that counts its user, so that one program does not use up what another has.
    "api-token": {"rate": "60/m", "key": "token", "paths": ["/api/"]},
    # Who tries one password, or one code, at many accounts.
    "log-ins": {
        "rate": "60/15m",
        "key": "ip",
        "paths": ["/admin/login/", "/log-in/"],
        "method": "POST",
        "algorithm": "sliding_log",
        "on_outage": "closed",
        "ban": {"strikes": 20, "within": 900, "length": 900},
    },
}

# Counted for the page of throttles and bans in the admin.
REDIS_TOOLKIT_THROTTLE_OFFENDERS = True

# Small, so that one sees what happens at the end of it: a program in earnest would be given more.
REST_FRAMEWORK = {
    "DEFAULT_THROTTLE_CLASSES": [
        "redis_toolkit.contrib.drf.AnonRateThrottle",
        "redis_toolkit.contrib.drf.UserRateThrottle",
        "redis_toolkit.contrib.drf.ScopedRateThrottle",
    ],
    "DEFAULT_THROTTLE_RATES": {"anon": "30/m", "user": "5/s, 120/m", "search": "10/m"},
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "redis_toolkit.contrib.drf_tokens.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["demo_project.api.permissions.MayRead"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "EXCEPTION_HANDLER": "demo_project.api.problems.problem",
}

# What the toolkit does in the background, and how often. `expires`: a worker that was away does not do it many times.
CELERY_BEAT_SCHEDULE = {
    "drain the outbox": {"task": "redis_toolkit.drain_outbox", "schedule": 5, "options": {"expires": 5}},
    "build filters that are due": {
        "task": "redis_toolkit.build_blooms",
        "schedule": 10,
        "options": {"expires": 10},
    },
    "flush write-behind": {"task": "redis_toolkit.flush_write_behind", "schedule": 5, "options": {"expires": 5}},
}
CELERY_BEAT_SCHEDULER = "celery.beat:Scheduler"  # remembers nothing on the disk: all of these may run at any time

# Why each: docs/how-to/run-with-celery.md. A server for the cache alone may forget what it holds, and a queue must not
# be forgotten, so in earnest the broker is another server. Here it is another numbered database of the same one.
CELERY_BROKER_URL = broker_address(CACHES["default"]["LOCATION"])
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "global_keyprefix": "timetable-celery:",
    "visibility_timeout": 600,
    "socket_timeout": 10,
}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SOFT_TIME_LIMIT = 240
CELERY_TASK_TIME_LIMIT = 300
CELERY_WORKER_PREFETCH_MULTIPLIER = 1

LANGUAGE_CODE = "en-gb"
TIME_ZONE = "Europe/Rome"
USE_I18N = True
USE_TZ = True
CELERY_TIMEZONE = TIME_ZONE

STATIC_URL = "static/"
STATIC_ROOT = VAR / "static"

# Without DEBUG Django would mail errors to ADMINS and say nothing here.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"not of visitors": {"()": "demo_project.visitors.addresses.NotOfVisitors"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "filters": ["not of visitors"]}},
    "root": {"handlers": ["console"], "level": "WARNING"},
    "loggers": {"django": {"handlers": [], "level": "WARNING"}},
}

AUTH_PASSWORD_VALIDATORS = [{"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"}]
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
