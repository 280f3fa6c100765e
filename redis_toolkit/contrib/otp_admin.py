"""An admin whose log-in asks for a code, sent by e-mail, after the password.

    class Office(EmailedCodeMixin, AdminSite): ...

or :class:`EmailedCodeAdminSite`, named by the ``default_site`` of an ``AdminConfig``. Between the two steps the session
holds a user's id, the challenge and where to go: nobody is logged in, and no password is kept (CVE-2020-15105). Who has
logged in elsewhere, by whatever means, is asked here all the same, and once for all sites of one ``otp_code``.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

from django.contrib.admin import AdminSite
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import path, reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_post_parameters

from redis_toolkit.exceptions import CodeRefused, StoreUnavailable
from redis_toolkit.otp.accounts import account_of, log_in, mail_of, payload_of, subject_of
from redis_toolkit.otp.answers import Verification
from redis_toolkit.otp.browsers import drop_pending, get_pending, keep_familiar, put_pending, safe_next, whose
from redis_toolkit.otp.codes import OneTimeCode
from redis_toolkit.otp.delivery import DeliveryFailed
from redis_toolkit.otp.doors import again, attempt, away, failure_text, refusal_text
from redis_toolkit.otp.forms import CodeForm
from redis_toolkit.otp.sending import begin, send_or_cancel

__all__ = ["EmailedCodeAdminSite", "EmailedCodeMixin", "admin_code"]

admin_code = OneTimeCode("admin")
_KIND: Final = "admin"
_MARK: Final = "_redis_toolkit_admin_code_"


class EmailedCodeMixin:
    """Mix-in of an ``AdminSite``, the first of its bases."""

    otp_code: ClassVar[OneTimeCode] = admin_code
    otp_template: ClassVar[str] = "redis_toolkit/otp/admin_code.html"

    @property
    def _mark(self) -> str:
        return _MARK + self.otp_code.name

    def get_urls(self) -> list[Any]:
        """The site's, and the page of the code."""
        site: Any = super()
        return [path("login/code/", self.code_view, name="login_code"), *site.get_urls()]

    def has_permission(self, request: HttpRequest) -> bool:
        """As the site says, and only for who has given a code in this session."""
        site: Any = super()
        return bool(site.has_permission(request)) and request.session.get(self._mark) == str(request.user.pk)

    @method_decorator([login_not_required, never_cache])
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The password; then on to the code."""
        try:
            return self._password(request, extra_context or {})
        except StoreUnavailable:
            return away()

    @method_decorator([login_not_required, never_cache, sensitive_post_parameters("code"), csrf_protect])
    def code_view(self, request: HttpRequest) -> HttpResponse:
        """The code; then in."""
        site: Any = self
        try:
            if not get_pending(request, _KIND):
                return HttpResponseRedirect(reverse("admin:login", current_app=site.name))
            form = CodeForm(request.POST or None, purpose=self.otp_code)
            if request.method == "POST" and "send" in request.POST:
                return self._again(request)
            if request.method == "POST" and form.is_valid():
                return self._try(request, form)
            return self._page(request, form)
        except StoreUnavailable:
            return away()

    def _password(self, request: HttpRequest, extra_context: dict[str, Any]) -> HttpResponse:
        site: Any = self
        if request.method == "GET" and site.has_permission(request):
            return HttpResponseRedirect(reverse("admin:index", current_app=site.name))
        context = {
            **site.each_context(request), "title": _("Log in"), "subtitle": None, "app_path": request.get_full_path(),
            "username": request.user.get_username(),
        }  # fmt: skip
        if REDIRECT_FIELD_NAME not in request.GET and REDIRECT_FIELD_NAME not in request.POST:
            context[REDIRECT_FIELD_NAME] = reverse("admin:index", current_app=site.name)
        request.current_app = site.name
        view = _PasswordView.as_view(
            site=self, extra_context={**context, **extra_context},
            authentication_form=site.login_form or AdminAuthenticationForm,
            template_name=site.login_template or "admin/login.html",
        )  # fmt: skip
        answer: Any = view(request)
        # (Rendered here, while errors of Redis are told.)
        done: HttpResponse = answer.render() if hasattr(answer, "render") else answer
        return done

    def _begin(self, request: HttpRequest, user: Any, then: str) -> None:
        """Send a code to who has given the password. Raises CodeRefused, DeliveryFailed, ValueError."""
        code = self.otp_code
        issued = begin(
            code, subject_of(user), payload=payload_of(user),
            destination=mail_of(user), **whose(request, code.name),
        )  # fmt: skip
        send_or_cancel(code, issued)
        put_pending(request, _KIND, {"challenge": issued.challenge, "user": str(user.pk), "next": then})

    def _again(self, request: HttpRequest) -> HttpResponse:
        wait = 0.0
        try:
            send_or_cancel(self.otp_code, again(request, self.otp_code, _KIND))
        except CodeRefused as refused:
            wait, text = refused.retry_after or 0.0, refusal_text(refused)
        except DeliveryFailed:
            text = _("The code could not be sent. Please log in again in a moment.")
        else:
            return HttpResponseRedirect(request.path)
        return self._page(request, CodeForm.saying(text, self.otp_code), wait)

    def _try(self, request: HttpRequest, form: CodeForm) -> HttpResponse:
        site: Any = self
        pending = get_pending(request, _KIND)
        tried: Verification = attempt(request, self.otp_code, _KIND, form.cleaned_data["code"])
        user = account_of(tried.payload) if tried else None
        if user is None or str(user.pk) != pending.get("user") or not (user.is_active and user.is_staff):
            form.add_error("code", failure_text(tried))
            return self._page(request, form, tried.retry_after if tried.reason == "locked" else 0.0)
        log_in(request, user)
        drop_pending(request, _KIND)
        request.session[self._mark] = str(user.pk)
        index = reverse("admin:index", current_app=site.name)
        response = HttpResponseRedirect(safe_next(request, pending.get("next"), index))
        keep_familiar(response, self.otp_code.name, tried.familiar)
        return response

    def _page(self, request: HttpRequest, form: CodeForm, wait: float = 0.0) -> HttpResponse:
        site: Any = self
        request.current_app = site.name
        told = {**site.each_context(request), "title": _("Log in"), "subtitle": None, "form": form}
        response = render(request, self.otp_template, told, status=429 if wait else 200)
        if wait:
            response["Retry-After"] = str(int(wait) + 1)
        return response


class EmailedCodeAdminSite(EmailedCodeMixin, AdminSite):
    """Django's admin, with it."""


class _PasswordView(LoginView):
    """Asks for the password, and logs nobody in."""

    site: Any = None

    def form_valid(self, form: Any) -> HttpResponse:
        """Send the code."""
        try:
            self.site._begin(self.request, form.get_user(), self.get_redirect_url())  # noqa: SLF001 - of this file
        except CodeRefused as refused:
            form.add_error(None, refusal_text(refused))
        except (DeliveryFailed, ValueError):
            form.add_error(None, _("The code could not be sent. Please try again in a moment."))
        else:
            return HttpResponseRedirect(reverse("admin:login_code", current_app=self.site.name))
        return self.render_to_response(self.get_context_data(form=form))
