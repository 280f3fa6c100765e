"""What stands between a project's views and its web server."""

from __future__ import annotations

import logging
from collections.abc import Callable
from math import ceil
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponse

from redis_toolkit.conf import settings
from redis_toolkit.exceptions import CacheOverloaded, StoreUnavailable

__all__ = ["OverloadedMiddleware"]

_log = logging.getLogger("redis_toolkit.cache")


class OverloadedMiddleware:
    """Answers 503 with ``Retry-After`` where a view, or a template it returned, was given CacheOverloaded.

    And where it was given StoreUnavailable: what guards a door (sessions, codes, tokens) fails closed.

    For synchronous and asynchronous projects, anywhere in MIDDLEWARE. What other middleware reads from the cache is not
    seen here, for Django makes an error in it a 500 before.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        """The response, or, of an asynchronous project, the coroutine that gives it."""
        return self.get_response(request)

    # Not around get_response: what a view raises is a response before it gets out to us.
    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:  # noqa: ARG002 - Django's signature
        """The 503; None for any other error."""
        if isinstance(exception, StoreUnavailable):
            again = max(1, ceil(settings.BREAKER_RETRY))
        elif isinstance(exception, CacheOverloaded):
            again = exception.retry_after
        else:
            return None
        _log.warning("A request was answered with 503: %s", str(exception))
        return HttpResponse(
            "The service is busy. Please try again in a moment.\n",
            status=503,
            content_type="text/plain; charset=utf-8",
            headers={"Retry-After": str(again), "Cache-Control": "no-store"},
        )
