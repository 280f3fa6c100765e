"""Celery for the demo: `celery -A demo_project worker`, and `celery -A demo_project beat` beside it.

Settings are Django's, with `CELERY_` before them. `manage.py demo` runs both.
"""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.signals import task_postrun

from demo_project.lab.records import note_run

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "demo_project.settings")

app = Celery("demo_project")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@task_postrun.connect  # type: ignore[untyped-decorator]
def _note(*, task: Any, state: str, retval: Any, **_: Any) -> None:
    """The lab shows when each task ran last, and what came of it."""
    note_run(task.name, state, retval)
