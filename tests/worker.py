"""A Celery app with Django's settings, as a project has one: ``celery -A tests.worker worker``."""

from __future__ import annotations

import os

import django
from celery import Celery
from celery.signals import worker_init

app = Celery("tests", broker=os.environ["CELERY_BROKER"], backend=os.environ["CELERY_BROKER"])
app.conf.broker_connection_retry_on_startup = False
app.autodiscover_tasks()


@worker_init.connect
def declare(**_: object) -> None:
    """As a project's models would: what is to be flushed."""
    django.setup()
    from redis_toolkit.cache import WriteBehind
    from tests.app.models import Page

    for alias in ("default", "postgres"):
        WriteBehind(Page, "views", using=alias)
