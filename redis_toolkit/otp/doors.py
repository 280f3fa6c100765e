"""What all pages of codes have in common: nobody keeps them, they fail closed, and what they say of a refusal."""

from __future__ import annotations

from math import ceil
from typing import Any, ClassVar, Final

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.cache import add_never_cache_headers
from django.utils.decorators import method_decorator
from django.utils.translation import gettext, ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.generic import View

from redis_toolkit.conf import settings
from redis_toolkit.exceptions import CodeRefused, StoreUnavailable
from redis_toolkit.otp.answers import Issued, Verification
from redis_toolkit.otp.browsers import get_pending, nonce, put_pending, whose
from redis_toolkit.otp.codes import OneTimeCode
from redis_toolkit.otp.sending import AnswersFirst, begin_again

__all__ = ["Door", "Redirect", "again", "attempt", "away", "failure_text", "refusal_text"]

#: Seconds above which people are told minutes.
_MANY: Final = 90


class Redirect(AnswersFirst, HttpResponseRedirect):
    """A redirect that may do something afterwards."""


@method_decorator([login_not_required, never_cache, sensitive_post_parameters("code"), csrf_protect], name="dispatch")
class Door(View):
    """A page that says 503 while Redis is away. Its siblings are found in the namespace that it was found in."""

    template_name: ClassVar[str] = ""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """As Django's."""
        try:
            response: HttpResponse = super().dispatch(request, *args, **kwargs)  # type: ignore[assignment]
        except StoreUnavailable:
            return away()
        # (With "no-referrer" a browser would send no Origin, and Django refuse the form.)
        response["Referrer-Policy"] = "same-origin"
        return response

    def page(self, request: HttpRequest, *, wait: float = 0.0, **told: Any) -> HttpResponse:
        """The page; ``wait``: seconds, of a 429."""
        response = render(request, self.template_name, told, status=429 if wait else 200)
        if wait:
            response["Retry-After"] = str(ceil(wait))
        return response

    def sibling(self, name: str, *args: str) -> str:
        """The address of another page of these."""
        match = self.request.resolver_match
        return reverse(":".join([*(match.namespaces if match else ()), name]), args=args)


def away() -> HttpResponse:
    """503: nobody knows now whether a code is right, so none is. The session, and its cookie, stay as they are."""
    # (Without the request: its context processors may ask the session, which may be in Redis as well.)
    response = HttpResponse(render_to_string("redis_toolkit/otp/away.html"), status=503)
    response["Retry-After"] = str(max(1, ceil(settings.BREAKER_RETRY)))
    add_never_cache_headers(response)
    return response


def again(request: HttpRequest, code: OneTimeCode, kind: str, *, holds: bool = False) -> Issued:
    """Begin to send another code for what the session waits for, as ``OneTimeCode.resend``."""
    pending = get_pending(request, kind)
    issued = begin_again(code, pending["challenge"], holds=holds, **whose(request, code.name))
    put_pending(request, kind, {**pending, "challenge": issued.challenge})
    return issued


@sensitive_variables("text")
def attempt(request: HttpRequest, code: OneTimeCode, kind: str, text: str) -> Verification:
    """Try a code for what the session waits for."""
    return code.verify(get_pending(request, kind).get("challenge", ""), text, binding=nonce(request))


def refusal_text(refused: CodeRefused) -> str:
    """Why no code is sent, for people."""
    if refused.reason == "expired":
        return gettext("Your time is over. Please begin anew.")
    seconds = ceil(refused.retry_after or 0)
    if seconds > _MANY:
        minutes = ceil(seconds / 60)
        return ngettext(
            "No code can be sent now. Please try again in %(minutes)d minute.",
            "No code can be sent now. Please try again in %(minutes)d minutes.",
            minutes,
        ) % {"minutes": minutes}
    return ngettext(
        "No code can be sent now. Please try again in %(seconds)d second.",
        "No code can be sent now. Please try again in %(seconds)d seconds.",
        seconds,
    ) % {"seconds": seconds}


def failure_text(tried: Verification) -> str:
    """Why a code is not taken, for people."""
    if tried.reason == "locked":
        return gettext("There were too many wrong codes. Please try again later.")
    if tried.reason == "wrong" and tried.attempts_left:
        return ngettext(
            "This is not the code. You have %(left)d more try.",
            "This is not the code. You have %(left)d more tries.",
            tried.attempts_left,
        ) % {"left": tried.attempts_left}
    return gettext("This code is not good any more. Have another sent.")
