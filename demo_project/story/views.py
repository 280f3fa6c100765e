"""The first page, its figures as JSON, and the code behind each pattern."""

from __future__ import annotations

from dataclasses import asdict

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from demo_project.story.excerpts import BEHIND
from demo_project.story.figures import told
from demo_project.story.patterns import PATTERNS
from redis_toolkit.throttling import exempt

__all__ = ["code", "home", "now"]


@never_cache
@require_GET
def home(request: HttpRequest) -> HttpResponse:
    figures = told()
    rows = [(pattern, figures[pattern.name]) for pattern in PATTERNS.values()]
    return render(request, "story/home.html", {"kind": "story", "rows": rows})


@exempt
@never_cache
@require_GET
def now(_request: HttpRequest) -> JsonResponse:
    """The page's figures as they are now. Exempt, so that a page left open uses up nobody's limits."""
    return JsonResponse({name: asdict(measured) for name, measured in told().items()})


@require_GET
def code(request: HttpRequest, name: str) -> HttpResponse:
    """The lines that make a pattern: those named in `excerpts`, and nothing else of any file."""
    if name not in PATTERNS:
        raise Http404(f"There is no pattern called {name}.")
    names = list(PATTERNS)
    place = names.index(name)
    context = {
        "kind": "story",
        "pattern": PATTERNS[name],
        "excerpts": [piece.excerpt() for piece in BEHIND[name]],
        "before": PATTERNS[names[place - 1]] if place else None,
        "after": PATTERNS[names[place + 1]] if place + 1 < len(names) else None,
    }
    return render(request, "story/code.html", context)
