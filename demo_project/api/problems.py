"""What is wrong, as the API says it: a problem in JSON (RFC 9457), in the form that the middleware's denials have."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from rest_framework.exceptions import Throttled
from rest_framework.response import Response
from rest_framework.views import exception_handler

__all__ = ["problem"]

QUOTA_EXCEEDED = "https://iana.org/assignments/http-problem-types#quota-exceeded"


def problem(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's answer to an error, fields and all, with a problem as its body. None: an error that is no answer."""
    response: Response | None = exception_handler(error, context)
    if response is not None:
        response.data = {
            "type": QUOTA_EXCEEDED if isinstance(error, Throttled) else "about:blank",
            "title": HTTPStatus(response.status_code).phrase.capitalize(),
            "status": response.status_code,
            "detail": response.data["detail"],
        }
        response.content_type = "application/problem+json"
    return response
