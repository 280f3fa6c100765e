"""Django settings of the test run. Importing them starts nothing; see ``tests/servers.py``."""

from __future__ import annotations

import os

from tests import servers

SECRET_KEY = "only for tests"
DEBUG = False
USE_TZ = True
TIME_ZONE = "Europe/Rome"
ROOT_URLCONF = "tests.urls"
STATIC_URL = "static/"
# Tests that count keys ask for transcripts where they want them.
REDIS_TOOLKIT_VERIFY_SAMPLE = 0
# As do those of statistics, for the others count round trips and keys.
REDIS_TOOLKIT_STATS = False
# A server that all tests share is not away when a busy machine holds it up; `usual_time_outs` has the defaults back.
REDIS_TOOLKIT_CONNECT_TIMEOUT = 4
REDIS_TOOLKIT_READ_TIMEOUT = 4
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

INSTALLED_APPS = [
    "demo_project.lab",
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.admin",
    "redis_toolkit",
    "django_otp",
    "redis_toolkit.contrib.otp_device",
    "tests.app",
    "tests.moving",
    "demo_project.story",
    "demo_project.timetable",
    "demo_project.limits",
    "demo_project.doors",
]

MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

CACHES = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": servers.redis_url,
    },
}

DATABASES = {
    # The fixture django_db_modify_db_settings puts a file in the place of the
    # memory, because several processes and threads have to share it.
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("SQLITE_PATH", ":memory:"),
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;",
        },
        "TEST": {},
    },
    "postgres": {
        **(
            servers.postgres.django_settings()
            if servers.postgres
            else servers.database_settings(os.environ["DATABASE_URL"])
        ),
        "TEST": {"DEPENDENCIES": []},  # so that tests of this one alone need no other
    },
}

# Django's own tables straight from the models: the migrations of five apps,
# twice, would be the slowest part of most test runs.
MIGRATION_MODULES = dict.fromkeys(("contenttypes", "auth", "sessions", "admin"))

# (Read by Django from 6.1 on, which warns without it; before, its test runner keeps mails in memory as well.)
MAILERS: dict[str, dict[str, object]] = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}
