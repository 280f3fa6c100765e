"""``@exempt``: views that the middleware lets pass."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, TypeVar

from django.http import HttpRequest
from django.urls import Resolver404, get_resolver, resolve
from django.utils import translation

from redis_toolkit.exceptions import Misconfigured

__all__ = ["EXEMPT", "exempt", "is_exempt"]

View = TypeVar("View", bound=Callable[..., Any])

#: The attribute of a view that the middleware lets pass.
EXEMPT = "throttle_exempt"
_any = False


def exempt(view: View) -> View:
    """Let the middleware pass this view. Raises Misconfigured for a class: it is no view."""
    global _any  # noqa: PLW0603 - whether any view is, so that nobody resolves a path for nothing
    if isinstance(view, type):
        raise Misconfigured(f"A class is no view: exempt({view.__name__}.as_view()).")
    _any = True
    setattr(view, EXEMPT, True)
    return view


def is_exempt(request: HttpRequest) -> bool:
    """Whether the view of this path is exempt, as far as that is known before other middleware."""
    urlconf = getattr(request, "urlconf", None)
    # (Views are exempt from when they are imported: by the URLconf.)
    if not get_resolver(urlconf).url_patterns or not _any:
        return False
    language = translation.get_language_from_path(request.path_info)
    with translation.override(language) if language else nullcontext():
        try:
            view = resolve(request.path_info, urlconf).func
        except Resolver404:
            return False
    return bool(getattr(view, EXEMPT, False))
