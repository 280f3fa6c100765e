"""Refreshing by ``django.tasks`` (Django 6.0 or newer), on whatever backend ``TASKS`` names."""

from __future__ import annotations

from django.tasks import task

from redis_toolkit.cache import renew

__all__ = ["refresh", "send_refresh"]


@task()
def refresh(message: str) -> None:
    """Make the answer anew that ``message`` tells of, if it is still due, as :func:`redis_toolkit.cache.renew`."""
    renew(message)


def send_refresh(message: str) -> None:
    """For ``REDIS_TOOLKIT_REFRESHER``: put the refreshing of an answer into the queue of the default backend."""
    refresh.enqueue(message)
