"""What a client is told: 429 or 503, ``Retry-After``, and how much is left.

The fields are those of *RateLimit header fields for HTTP* (draft-ietf-httpapi-ratelimit-headers-11, May 2026):

    RateLimit-Policy: "api";q=100;w=60
    RateLimit: "api";r=99;t=60

The body is a problem (RFC 9457) with the type that the draft registers, or a page for who prefers HTML.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from math import ceil, inf
from typing import Any, Final

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template import TemplateDoesNotExist
from django.template.loader import render_to_string
from django.utils.module_loading import import_string

from redis_toolkit.conf import settings
from redis_toolkit.core import keys
from redis_toolkit.core.clock import now
from redis_toolkit.throttling.decisions import Decision, Quota

__all__ = ["inform", "refusal"]

_TYPES: Final = "https://iana.org/assignments/http-problem-types#"
#: Characters of Accept that are looked at. Browsers send two hundred.
_LONGEST: Final = 500
_PROBLEM: Final = "application/problem+json"


def refusal(request: HttpRequest, decision: Decision) -> HttpResponse:
    """The answer to a request that ``decision`` denies: that of ``REDIS_TOOLKIT_THROTTLE_VIEW``, or ours."""
    if settings.THROTTLE_VIEW is not None:
        response: HttpResponse = import_string(settings.THROTTLE_VIEW)(request, decision)
    else:
        response = _ours(request, decision)
    seconds = decision.retry_after_seconds
    if seconds is not None:
        response.headers.setdefault("Retry-After", str(seconds))
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def _ours(request: HttpRequest, decision: Decision) -> HttpResponse:
    if decision.source == "closed":
        # Redis is away, and the rule is to let nobody in: that is no fault of the client's.
        status, kind, title = 503, _TYPES + "temporary-reduced-capacity", "Temporarily not available"
    elif decision.source == "deny list":
        status, kind, title = 403, "about:blank", "Forbidden"
    elif decision.banned:
        status, kind, title = 429, _TYPES + "abnormal-usage-detected", "Too many requests were denied"
    else:
        status, kind, title = 429, _TYPES + "quota-exceeded", "Too many requests"
    if _prefers_html(request):
        # (A project without our templates, or any, refuses all the same.)
        with suppress(TemplateDoesNotExist):
            page = render_to_string(
                "redis_toolkit/throttled.html", {"seconds": decision.retry_after_seconds, "decision": decision}
            )
            return HttpResponse(page, status=status)
    told: dict[str, Any] = {"type": kind, "title": title, "status": status}
    told["violated-policies"] = [_name(decision, quota) for quota in decision.quotas if not quota.remaining] or [
        decision.name
    ]
    return JsonResponse(told, status=status, content_type=_PROBLEM)


def _prefers_html(request: HttpRequest) -> bool:
    # To read what is accepted is half of what it costs to refuse, and of a long one much more. Programs name no text.
    accepted = request.META.get("HTTP_ACCEPT", "")
    if "text/" not in accepted or len(accepted) > _LONGEST:
        return False
    return request.get_preferred_type([_PROBLEM, "application/json", "text/html"]) == "text/html"


def inform(response: HttpResponse, decisions: Iterable[Decision]) -> None:
    """Write into ``response`` what is left, by ``REDIS_TOOLKIT_THROTTLE_HEADERS``. Shadows are not spoken of."""
    told = [each for each in decisions if each.quotas and not each.shadow]
    style = settings.THROTTLE_HEADERS
    if not told or style == "off":
        return
    if style in {"ietf", "both"}:
        pairs = [(each, quota) for each in told for quota in each.quotas]
        response.headers["RateLimit-Policy"] = ", ".join(
            f'"{_name(each, quota)}";q={quota.rate.most_at_once};w={_window(quota)}' for each, quota in pairs
        )
        response.headers["RateLimit"] = ", ".join(
            f'"{_name(each, quota)}";r={quota.remaining};t={_until(quota, each.age)}' for each, quota in pairs
        )
    if style in {"legacy", "both"}:
        chief = _chief(told)
        response.headers["X-RateLimit-Limit"] = str(chief.limit)
        response.headers["X-RateLimit-Remaining"] = str(chief.remaining)
        response.headers["X-RateLimit-Reset"] = str(ceil(now() + chief.reset_after))


def _chief(told: Sequence[Decision]) -> Decision:
    denied = [each for each in told if not each]
    return max(denied, key=lambda each: each.retry_after) if denied else min(told, key=lambda each: each.remaining or 0)


def _name(decision: Decision, quota: Quota) -> str:
    name = keys.escape(decision.name)
    return name if len(decision.quotas) == 1 else f"{name}-{quota.rate.seconds:g}s"


def _window(quota: Quota) -> int:
    """Seconds in which the quota is full again: with a burst a part of the period."""
    rate = quota.rate
    return max(1, ceil(rate.seconds * rate.most_at_once / rate.limit)) if rate.limit else max(1, ceil(rate.seconds))


def _until(quota: Quota, age: float) -> int:
    """Seconds until more is allowed: of what is used up until one more is, otherwise until all is."""
    wait = quota.retry_after or quota.reset_after
    return 0 if wait == inf else max(0, ceil(wait - age))
