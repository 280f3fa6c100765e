"""The page "your devices": where one is logged in, and a button to end it."""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.cache import add_never_cache_headers, patch_vary_headers
from django.utils.decorators import method_decorator
from django.utils.encoding import escape_uri_path
from django.utils.http import escape_leading_slashes
from django.views import View
from django.views.decorators.clickjacking import xframe_options_deny
from django.views.decorators.csrf import csrf_protect

from redis_toolkit.conf import settings
from redis_toolkit.exceptions import Misconfigured, StoreUnavailable
from redis_toolkit.sessions.devices import Device
from redis_toolkit.sessions.index import revoke, revoke_all, sessions_for
from redis_toolkit.sessions.store import SessionStore

__all__ = ["DevicesView"]


class DevicesView(View):
    """The sessions of the user who is logged in. POST ends one (``handle``), or all others (``others``).

    Who is not logged in is sent to ``LOGIN_URL``. While Redis is away the page says so, with status 503. Nothing of it
    is stored by browsers and proxies. In the context of ``template_name``: ``devices``, ``others`` (how many),
    ``tells_places`` (whether sessions are kept with browser and network), ``ended`` (how many were, or None), and
    ``is_away``.
    """

    http_method_names = ["get", "head", "options", "post"]
    template_name = "redis_toolkit/sessions/devices.html"

    @method_decorator(xframe_options_deny)
    @method_decorator(csrf_protect)
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """The page, or the way to the log-in, or a 503."""
        response: HttpResponseBase
        try:
            response = self._let_in(request) or super().dispatch(request, *args, **kwargs)
        except StoreUnavailable:
            response = self._away()
        add_never_cache_headers(response)
        patch_vary_headers(response, ("Cookie",))
        return response

    def get(self, request: HttpRequest) -> HttpResponse:
        """The list."""
        # (Times are told in the reader's zone, also in a project without zones.)
        zone = timezone.get_current_timezone()
        devices = [
            replace(
                each,
                created=each.created.astimezone(zone),
                last_seen=each.last_seen.astimezone(zone),
                expires=each.expires.astimezone(zone),
            )
            for each in sessions_for(request.user, request)
        ]
        return render(request, self.template_name, self._context(devices, request.GET.get("ended", "")))

    def post(self, request: HttpRequest) -> HttpResponse:
        """End what is asked for, and show the list. Ending the session in use is logging out."""
        handle = request.POST.get("handle", "")
        if "others" in request.POST:
            ended = revoke_all(request.user, keep=request)
        elif not handle:
            return HttpResponseBadRequest("Nothing was chosen.", content_type="text/plain; charset=utf-8")
        elif any(each.is_current and each.handle == handle for each in sessions_for(request.user, request)):
            from django.contrib.auth import logout  # noqa: PLC0415 - needs configured settings

            logout(request)
            return HttpResponseRedirect(_here(request))
        else:
            ended = int(revoke(request.user, handle))
        return HttpResponseRedirect(f"{_here(request)}?ended={ended}")

    def _let_in(self, request: HttpRequest) -> HttpResponse | None:
        if not isinstance(request.session, SessionStore):
            raise Misconfigured("The page of devices needs SESSION_ENGINE = 'redis_toolkit.sessions'.")
        if request.user.is_authenticated:
            return None
        from django.contrib.auth.views import redirect_to_login  # noqa: PLC0415 - needs configured settings

        return redirect_to_login(request.get_full_path())

    def _context(self, devices: list[Device], ended: str) -> dict[str, Any]:
        return {
            "devices": devices,
            "others": sum(not each.is_current for each in devices),
            "tells_places": settings.SESSION_DEVICES,
            # What a link says, which anybody may have written: a number and nothing else.
            "ended": int(ended) if ended.isascii() and ended.isdigit() and len(ended) < 5 else None,
            "is_away": False,
        }

    def _away(self) -> HttpResponse:
        # Without the request: what context processors add of it would ask Redis again.
        text = render_to_string(self.template_name, {"is_away": True})
        return HttpResponse(text, status=503, headers={"Retry-After": str(max(1, ceil(settings.BREAKER_RETRY)))})


def _here(request: HttpRequest) -> str:
    # A path that begins with two slashes, which a project may let somebody write, is another host.
    return escape_leading_slashes(escape_uri_path(request.path))
