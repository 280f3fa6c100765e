"""Asking in another thread."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.db import connections

from redis_toolkit.core.connections import link

__all__ = ["closing_after", "elsewhere"]


def closing_after(ask: Callable[[], Any]) -> Any:
    """The answer; this thread's connections are closed after it."""
    try:
        return ask()
    finally:
        connections.close_all()
        link().close()


def elsewhere(ask: Callable[[], Any]) -> Any:
    """The answer in another thread, with connections of its own."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(closing_after, ask).result()
