"""A Celery app with Django's settings, as a project has one: ``celery -A tests.worker worker``."""

from __future__ import annotations

import os

from celery import Celery

app = Celery("tests", broker=os.environ["CELERY_BROKER"], backend=os.environ["CELERY_BROKER"])
app.conf.broker_connection_retry_on_startup = False
app.autodiscover_tasks()
