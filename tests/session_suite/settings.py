"""Django settings of one run: what ``runtests.py`` sets, a profile, and the toolkit.

``SESSION_TESTS_SOURCES`` is the folder of Django's tests, ``SESSION_TESTS_PROFILE`` the name of the profile,
``SESSION_TESTS_SERVER`` the address of the server.
"""

from __future__ import annotations

import copy
import os
import runpy
from pathlib import Path

from django.utils.log import DEFAULT_LOGGING

from tests.session_suite.profiles import PROFILES

APPS = ("sessions_tests", "auth_tests", "test_client", "test_client_regress", "csrf_tests", "messages_tests")
SOURCES = Path(os.environ["SESSION_TESTS_SOURCES"])

# Django's tests are written for these; which ones there are differs from version to version.
_theirs = runpy.run_path(str(SOURCES / "test_sqlite.py"))
_profile = PROFILES[os.environ["SESSION_TESTS_PROFILE"]]
globals().update({name: value for name, value in (_theirs | _profile).items() if name.isupper()})

SITE_ID = 1
LANGUAGE_CODE = "en"
ROOT_URLCONF = "urls"
STATIC_URL = "static/"
SILENCED_SYSTEM_CHECKS = ["fields.W342", "redis_toolkit.W002"]
MIGRATION_MODULES = dict.fromkeys(("auth", "contenttypes", "sessions", "admin", "sites", "redis_toolkit"))
LOGGING = copy.deepcopy(DEFAULT_LOGGING)
LOGGING["loggers"]["django"]["level"] = "ERROR"

INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sites",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.admin.apps.SimpleAdminConfig",
    "django.contrib.staticfiles",
    "redis_toolkit",
    *APPS,
]
MIDDLEWARE = [
    _profile["MIDDLEWARE"],
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
# Django's tests find the cache of theirs, which they empty, and the toolkit another.
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    "toolkit": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": os.environ["SESSION_TESTS_SERVER"]},
}
REDIS_TOOLKIT_ALIAS = "toolkit"
# (A busy machine that pauses for half a second is no outage.)
REDIS_TOOLKIT_READ_TIMEOUT = REDIS_TOOLKIT_CONNECT_TIMEOUT = 5
