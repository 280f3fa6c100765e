"""Settings of a worker whose mails are files, and which, if it is told to, refuses to send the first ones."""

from __future__ import annotations

import os

import django

from tests.settings import *  # noqa: F403 - as Django's settings are taken over

BACKEND = "django.core.mail.backends.filebased.EmailBackend"
if django.VERSION >= (6, 1):
    MAILERS = {"default": {"BACKEND": BACKEND, "OPTIONS": {"file_path": os.environ["MAILS"]}}}
else:
    EMAIL_BACKEND = BACKEND
    EMAIL_FILE_PATH = os.environ["MAILS"]
REDIS_TOOLKIT_OTP_DELIVERY = os.environ["DELIVERY"]
