"""What a browser keeps while it waits for a code, and after: in its session a nonce and the challenge, never a secret.

The nonce binds a challenge to the session in which it was asked for. A challenge that was begun elsewhere (and somebody
was made to answer) is worth nothing here, so nobody is logged in to a stranger's account. It is kept when a challenge
is: whoever is refused leaves no session behind.
"""

from __future__ import annotations

import re
from secrets import token_urlsafe
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import resolve_url
from django.utils.http import url_has_allowed_host_and_scheme

from redis_toolkit.conf import settings
from redis_toolkit.core.clients import client_address
from redis_toolkit.otp.policies import Whose

__all__ = [
    "drop_pending",
    "get_pending",
    "keep_familiar",
    "keep_nonce",
    "next_of",
    "nonce",
    "put_pending",
    "safe_next",
    "whose",
]

_NONCE: Final = "_redis_toolkit_nonce"
_PENDING: Final = "_redis_toolkit_otp_"
#: Bytes of an address to go on to.
_LONGEST: Final = 2048
_COOKIE: Final = "rtk_familiar_"
#: Seconds: half a year.
_LONG: Final = 180 * 86_400


def nonce(request: HttpRequest) -> str:
    """The session's nonce; if there is none one of this request's, which :func:`keep_nonce` keeps."""
    found = request.session.get(_NONCE)
    if isinstance(found, str) and found:
        return found
    made: str = request.__dict__.setdefault(_NONCE, token_urlsafe(24))
    return made


def keep_nonce(request: HttpRequest) -> None:
    """Have the session keep the nonce to which this request has bound a challenge."""
    if request.session.get(_NONCE) != (found := nonce(request)):
        request.session[_NONCE] = found


def whose(request: HttpRequest, purpose: str, *, binds: bool = True) -> Whose:
    """Who asks, for ``OneTimeCode.issue``; ``binds``: to the session, which is else not looked at."""
    return {
        "binding": nonce(request) if binds else None,
        "ip": client_address(request),
        "familiar": request.COOKIES.get(_cookie(purpose)),
    }


def get_pending(request: HttpRequest, kind: str) -> dict[str, Any]:
    """What the session waits for; nothing if it waits for none."""
    found = request.session.get(_PENDING + kind)
    return found if isinstance(found, dict) else {}


def put_pending(request: HttpRequest, kind: str, told: dict[str, Any]) -> None:
    """Have the session wait."""
    keep_nonce(request)
    request.session[_PENDING + kind] = told


def drop_pending(request: HttpRequest, kind: str) -> None:
    """It waits no more, and the nonce has served, unless something else waits."""
    request.session.pop(_PENDING + kind, None)
    if not any(name.startswith(_PENDING) for name in request.session.keys()):  # noqa: SIM118 - no dict
        request.session.pop(_NONCE, None)


def keep_familiar(response: HttpResponse, purpose: str, token: str) -> None:
    """Have the browser be familiar: what strangers do wrong in its user's name does not lock it out. No log-in."""
    response.set_cookie(
        _cookie(purpose), token, max_age=_LONG, httponly=True, samesite="Lax",
        secure=settings.django("SESSION_COOKIE_SECURE"), domain=settings.django("SESSION_COOKIE_DOMAIN"),
        path=settings.django("SESSION_COOKIE_PATH"),
    )  # fmt: skip


def safe_next(request: HttpRequest, url: object, default: str = "") -> str:
    """``url`` if it leads to this host, and not from https to http, and is no novel; else ``default``."""
    if not isinstance(url, str) or len(url.encode("utf-8", "surrogatepass")) > _LONGEST:
        return default
    hosts, secure = {request.get_host()}, request.is_secure()
    if url_has_allowed_host_and_scheme(url, allowed_hosts=hosts, require_https=secure):
        return url
    return default


def next_of(request: HttpRequest, url: object) -> str:
    """Where to go after a log-in: ``url``, or LOGIN_REDIRECT_URL."""
    return safe_next(request, url) or resolve_url(settings.django("LOGIN_REDIRECT_URL"))


def _cookie(purpose: str) -> str:
    return _COOKIE + re.sub(r"[^A-Za-z0-9_-]", "_", purpose)
