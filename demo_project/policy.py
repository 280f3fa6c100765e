"""What a browser may load for our pages: our own files, and nothing written into the page."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

__all__ = ["content_security_policy"]

# Django's admin keeps to this as well. From Django 6.0 on, the setting SECURE_CSP says the same.
POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"


def content_security_policy(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware that adds the policy to each response."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if not (settings.DEBUG and response.status_code in {404, 500}):  # Django's own debug pages carry their styles
            response.headers["Content-Security-Policy"] = POLICY
        return response

    return middleware
