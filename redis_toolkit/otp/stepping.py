"""Step-up: a code from who is logged in already, before what matters.

    @step_up_required(max_age=600)
    def close_account(request): ...

What is remembered is in the session: whose step it was, and when.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import isawaitable
from typing import Any, ClassVar, Final
from urllib.parse import urlencode

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext

from redis_toolkit.conf import settings
from redis_toolkit.core.clock import now
from redis_toolkit.exceptions import CodeRefused, StoreUnavailable
from redis_toolkit.otp.accounts import account_of, mail_of, payload_of, subject_of
from redis_toolkit.otp.browsers import drop_pending, get_pending, next_of, put_pending, safe_next, whose
from redis_toolkit.otp.codes import OneTimeCode
from redis_toolkit.otp.delivery import DeliveryFailed
from redis_toolkit.otp.doors import Door, again, attempt, failure_text, refusal_text
from redis_toolkit.otp.forms import CodeForm
from redis_toolkit.otp.sending import begin, send_or_cancel

__all__ = ["StepUpRequiredMixin", "StepUpView", "has_stepped_up", "step_up_code", "step_up_required"]

step_up_code = OneTimeCode("step-up")
_STEP: Final = "_redis_toolkit_stepped_up"
_PAGE: Final = "redis_toolkit_otp:step_up"


def has_stepped_up(request: HttpRequest, max_age: float = 900) -> bool:
    """Whether this session's user has given a code in the last ``max_age`` seconds."""
    found, user = request.session.get(_STEP), request.user
    if not user.is_authenticated or not isinstance(found, dict) or found.get("user") != str(user.pk):
        return False
    at = found.get("at")
    return isinstance(at, int | float) and 0 <= now() - at <= max_age


def step_up_required(
    view: Callable[..., Any] | None = None, *, max_age: float = 900, page: str = _PAGE
) -> Callable[..., Any]:
    """Decorate a view: who has given no code in the last ``max_age`` seconds is asked for one first.

    Views may be coroutines. Who is not logged in is sent to LOGIN_URL. ``page``: the name, or the path, of the
    :class:`StepUpView`. What was posted is lost on the way: guard the form's page as well.
    """

    def decorated(view: Callable[..., Any]) -> Callable[..., Any]:
        if iscoroutinefunction(view):

            @wraps(view)
            async def awaited(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
                missing = await sync_to_async(_missing)(request, max_age, page)
                return await view(request, *args, **kwargs) if missing is None else missing

            return awaited

        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            missing = _missing(request, max_age, page)
            return view(request, *args, **kwargs) if missing is None else missing

        return guarded

    return decorated if view is None else decorated(view)


class StepUpRequiredMixin:
    """The same for class-based views: the first of the bases."""

    step_up_max_age: ClassVar[float] = 900
    step_up_page: ClassVar[str] = _PAGE

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """As Django's."""
        if getattr(self, "view_is_async", False):
            return self._dispatch(request, *args, **kwargs)
        missing = _missing(request, self.step_up_max_age, self.step_up_page)
        if missing is not None:
            return missing
        return super().dispatch(request, *args, **kwargs)  # type: ignore[misc]

    async def _dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        missing = await sync_to_async(_missing)(request, self.step_up_max_age, self.step_up_page)
        if missing is not None:
            return missing
        answer: Any = super().dispatch(request, *args, **kwargs)  # type: ignore[misc]
        return await answer if isawaitable(answer) else answer


class StepUpView(Door):
    """Sends a code to who is logged in, takes it, and goes on. Here everybody knows who it is: failures are told."""

    template_name = "redis_toolkit/otp/step_up.html"
    code: ClassVar[OneTimeCode] = step_up_code
    kind: ClassVar[str] = "step_up"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """For who is logged in."""
        try:
            is_somebody = request.user.is_authenticated
        except StoreUnavailable:
            # (It is told below.)
            is_somebody = True
        if not is_somebody:
            return _to_log_in(request)
        return super().dispatch(request, *args, **kwargs)

    def get(self, request: HttpRequest) -> HttpResponse:
        """The form."""
        return self._form(request, CodeForm(purpose=self.code))

    def post(self, request: HttpRequest) -> HttpResponse:
        """``send``: send one; else try the code."""
        if "send" in request.POST or not self._pending(request):
            return self._send(request)
        form = CodeForm(request.POST, purpose=self.code)
        if not form.is_valid():
            return self._form(request, form)
        tried = attempt(request, self.code, self.kind, form.cleaned_data["code"])
        user = account_of(tried.payload) if tried else None
        if user is None or user.pk != request.user.pk:
            form.add_error("code", failure_text(tried))
            return self._form(request, form, wait=tried.retry_after if tried.reason == "locked" else 0.0)
        drop_pending(request, self.kind)
        # A session that may do more has another key, as after a log-in.
        request.session.cycle_key()
        request.session[_STEP] = {"user": str(user.pk), "at": now()}
        return HttpResponseRedirect(next_of(request, tried.payload.get("next")))

    def _send(self, request: HttpRequest) -> HttpResponse:
        wait = 0.0
        try:
            issued = again(request, self.code, self.kind) if self._pending(request) else self._begin(request)
            send_or_cancel(self.code, issued)
        except CodeRefused as refused:
            wait = refused.retry_after or 0.0
            if refused.reason == "expired":
                drop_pending(request, self.kind)
            text = refusal_text(refused)
        except (DeliveryFailed, ValueError):
            drop_pending(request, self.kind)
            text = gettext("The code could not be sent. Please try again in a moment.")
        else:
            return HttpResponseRedirect(request.path)
        return self._form(request, CodeForm.saying(text, self.code), wait=wait)

    def _begin(self, request: HttpRequest) -> Any:
        user: Any = request.user
        issued = begin(
            self.code, subject_of(user),
            destination=mail_of(user),
            payload={**payload_of(user), "next": safe_next(request, request.POST.get("next"))},
            **whose(request, self.code.name),
        )  # fmt: skip
        put_pending(request, self.kind, {"challenge": issued.challenge, "user": str(user.pk)})
        return issued

    def _pending(self, request: HttpRequest) -> bool:
        return get_pending(request, self.kind).get("user") == str(request.user.pk)

    def _form(self, request: HttpRequest, form: CodeForm, wait: float = 0.0) -> HttpResponse:
        then = safe_next(request, request.POST.get("next") or request.GET.get("next"))
        return self.page(request, form=form, next=then, is_pending=self._pending(request), wait=wait)


def _missing(request: HttpRequest, max_age: float, page: str) -> HttpResponse | None:
    """Where to go first; None: nowhere."""
    if not request.user.is_authenticated:
        return _to_log_in(request)
    if has_stepped_up(request, max_age):
        return None
    return HttpResponseRedirect(resolve_url(page) + "?" + urlencode({REDIRECT_FIELD_NAME: request.get_full_path()}))


def _to_log_in(request: HttpRequest) -> HttpResponse:
    to = resolve_url(settings.django("LOGIN_URL"))
    mark = "&" if "?" in to else "?"
    response = HttpResponseRedirect(to + mark + urlencode({REDIRECT_FIELD_NAME: request.get_full_path()}))
    add_never_cache_headers(response)
    return response
