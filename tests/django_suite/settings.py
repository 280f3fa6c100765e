"""Django settings of one run: what ``runtests.py`` sets, the app under test, and the toolkit.

``ORM_TESTS_APP`` names the app, ``ORM_TESTS_SOURCES`` the folder of Django's tests, ``ORM_TESTS_FOLDER`` where databases
of files go. The toolkit's server is that of ``tests/servers.py``; so is PostgreSQL's, if ``ORM_TESTS_DATABASE`` asks for it.
"""

from __future__ import annotations

import os
import runpy
from pathlib import Path
from typing import Any

from tests import servers

APP = os.environ["ORM_TESTS_APP"]
SOURCES = Path(os.environ["ORM_TESTS_SOURCES"])
FOLDER = Path(os.environ["ORM_TESTS_FOLDER"])

# Django's tests are written for these; which ones there are differs from version to version.
_theirs = runpy.run_path(str(SOURCES / "test_sqlite.py"))
globals().update({name: value for name, value in _theirs.items() if name.isupper() and name != "DATABASES"})

# Whatever is written down of a query must never hurt a read: these are the odd ones.
REDIS_TOOLKIT_VERIFY_SAMPLE = 1
SITE_ID = 1
LANGUAGE_CODE = "en"
ROOT_URLCONF = "urls"
STATIC_URL = "static/"
SILENCED_SYSTEM_CHECKS = ["fields.W342"]
MIGRATION_MODULES = dict.fromkeys(("auth", "contenttypes", "sessions", "admin", "sites"))

INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sites",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.admin.apps.SimpleAdminConfig",
    "django.contrib.staticfiles",
    "redis_toolkit",
    APP,
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [SOURCES / "templates"],
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
CACHES = {"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": servers.redis_url}}
# (A busy machine that pauses for half a second is no outage.)
REDIS_TOOLKIT_READ_TIMEOUT = REDIS_TOOLKIT_CONNECT_TIMEOUT = 5


def _sqlite(alias: str) -> dict[str, Any]:
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": FOLDER / f"{alias}.sqlite3",
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;",
        },
        "TEST": {"NAME": FOLDER / f"test_{alias}.sqlite3"},
    }


def _postgres(alias: str) -> dict[str, Any]:
    name = f"{APP}_{alias}"
    found = servers.database_settings(os.environ["DATABASE_URL"])
    # Django connects to the database called `postgres` to make the test's; no other has to be there.
    return {**found, "NAME": name, "TEST": {"NAME": f"test_{name}"}}


_entry = _postgres if os.environ["ORM_TESTS_DATABASE"] == "postgres" else _sqlite
DATABASES = {alias: _entry(alias) for alias in ("default", "other")}
