"""One's own limits: a page, its figures as JSON, and a page that is soon denied."""

from __future__ import annotations

from dataclasses import asdict

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET
from django.views.generic import TemplateView

from demo_project.limits.counters import DOOR, counters
from redis_toolkit.throttling import ThrottleMixin, client_address, exempt

__all__ = ["Door", "limits", "now"]


@exempt
@never_cache
@require_GET
def limits(request: HttpRequest) -> HttpResponse:
    """Exempt from the middleware's rules: who is denied everything else may still see why."""
    context = {"address": client_address(request), "counters": counters(request), "moment": timezone.localtime()}
    return render(request, "limits/limits.html", context)


@exempt
@never_cache
@require_GET
def now(request: HttpRequest) -> JsonResponse:
    """The page's figures as they are now. Exempt, so that watching one's limits does not use them up."""
    return JsonResponse({"counters": [asdict(counter) for counter in counters(request)]})


class Door(ThrottleMixin, TemplateView):
    throttle = DOOR
    template_name = "limits/door.html"
