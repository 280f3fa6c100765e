"""Pages: log in by a code, or by a link, sent by e-mail. ``path("log-in/", include("redis_toolkit.otp.urls"))``.

Whether an address has an account is not told, for it is not known: who has it is looked up when the answer is out, and
then something is sent (sending.py). What fails on the way to the mailbox is logged, and not told.
"""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from redis_toolkit.exceptions import CodeRefused
from redis_toolkit.otp.accounts import account_of, log_in, one_account
from redis_toolkit.otp.answers import Issued, Verification
from redis_toolkit.otp.browsers import (
    drop_pending,
    get_pending,
    keep_familiar,
    next_of,
    nonce,
    put_pending,
    safe_next,
    whose,
)  # fmt: skip
from redis_toolkit.otp.codes import OneTimeCode
from redis_toolkit.otp.doors import Door, Redirect, again, attempt, failure_text, refusal_text
from redis_toolkit.otp.forms import AddressForm, CodeForm
from redis_toolkit.otp.links import MagicLink
from redis_toolkit.otp.sending import TOKEN, complete
from redis_toolkit.otp.stepping import StepUpRequiredMixin, StepUpView, has_stepped_up, step_up_required
from redis_toolkit.otp.subjects import folded

__all__ = [
    "CodeRequestView",
    "CodeVerifyView",
    "LinkRequestView",
    "LinkSentView",
    "MagicLinkView",
    "StepUpRequiredMixin",
    "StepUpView",
    "has_stepped_up",
    "login_code",
    "login_link",
    "step_up_required",
]

login_code = OneTimeCode("login")
login_link = MagicLink("login", ttl=600)


class _Found:
    """Finds who has typed an address."""

    def find_user(self, address: str) -> Any | None:
        """Who may log in by this address. Asked when the answer is out: nobody can tell how long it takes.

        Who overrides it does so for the page that asks and the page that sends again.
        """
        return one_account(address)


class CodeRequestView(_Found, Door):
    """Ask for a code: an address, and on to the page that takes the code. Override :meth:`find_user` at will."""

    template_name = "redis_toolkit/otp/request.html"
    purpose: ClassVar[OneTimeCode | MagicLink] = login_code
    #: Under which name the session waits, and the page on which it does.
    kind: ClassVar[str] = "login"
    then: ClassVar[str] = "verify"

    def get(self, request: HttpRequest) -> HttpResponse:
        """The form."""
        return self._form(request, AddressForm(), request.GET.get("next"))

    def post(self, request: HttpRequest) -> HttpResponse:
        """Begin, and send when the answer is out."""
        form = AddressForm(request.POST)
        if not form.is_valid():
            return self._form(request, form, request.POST.get("next"))
        address: str = form.cleaned_data["email"]
        pending = get_pending(request, self.kind)
        try:
            issued = self.begin(request, address, pending.get("challenge"))
        except CodeRefused as refused:
            if refused.reason == "cooldown" and folded(pending.get("to") or "-") == folded(address):
                return HttpResponseRedirect(self.sibling(self.then))
            form.add_error(None, refusal_text(refused))
            return self._form(request, form, request.POST.get("next"), wait=refused.retry_after or 1)
        put_pending(request, self.kind, {"challenge": self.kept(issued), "to": address})
        response = Redirect(self.sibling(self.then))
        response.afterwards(
            partial(complete, self.purpose, issued, partial(self.find_user, address), self.link(request))
        )
        return response

    def begin(self, request: HttpRequest, address: str, challenge: str | None) -> Issued:
        """Begin for whomever the address belongs to."""
        return self.purpose.hold(
            address, challenge=challenge, payload={"next": safe_next(request, request.POST.get("next"))},
            **whose(request, self.purpose.name),
        )  # fmt: skip

    def link(self, request: HttpRequest) -> str:  # noqa: ARG002 - for links
        """What to send in place of the code."""
        return ""

    def kept(self, issued: Issued) -> str | None:
        """What the session keeps."""
        return issued.challenge

    def _form(self, request: HttpRequest, form: AddressForm, then: object, wait: float = 0.0) -> HttpResponse:
        return self.page(
            request, form=form, next=safe_next(request, then), is_link=isinstance(self.purpose, MagicLink), wait=wait
        )


class CodeVerifyView(_Found, Door):
    """The code, or another one: logs in who has it."""

    template_name = "redis_toolkit/otp/verify.html"
    code: ClassVar[OneTimeCode] = login_code
    kind: ClassVar[str] = "login"

    def get(self, request: HttpRequest) -> HttpResponse:
        """The form; without a challenge back to where one begins."""
        return self._form(request, CodeForm(purpose=self.code))

    def post(self, request: HttpRequest) -> HttpResponse:
        """Try the code; or ``send``, another one."""
        if not get_pending(request, self.kind):
            return HttpResponseRedirect(self.sibling("request"))
        if "send" in request.POST:
            return self._again(request)
        form = CodeForm(request.POST, purpose=self.code)
        if not form.is_valid():
            return self._form(request, form)
        tried = attempt(request, self.code, self.kind, form.cleaned_data["code"])
        user = account_of(tried.payload) if tried else None
        if user is None:
            form.add_error("code", failure_text(tried))
            return self._form(request, form, wait=tried.retry_after if tried.reason == "locked" else 0.0)
        return _let_in(request, user, tried, self.code.name, self.kind)

    def _again(self, request: HttpRequest) -> HttpResponse:
        try:
            issued = again(request, self.code, self.kind, holds=True)
        except CodeRefused as refused:
            form = CodeForm.saying(refusal_text(refused), self.code)
            return self._form(request, form, wait=refused.retry_after or 0.0)
        response = Redirect(request.path)
        find = partial(self.find_user, get_pending(request, self.kind)["to"])
        response.afterwards(partial(complete, self.code, issued, find))
        return response

    def _form(self, request: HttpRequest, form: CodeForm, wait: float = 0.0) -> HttpResponse:
        pending, begin_at = get_pending(request, self.kind), self.sibling("request")
        if not pending:
            return HttpResponseRedirect(begin_at)
        return self.page(request, form=form, to=pending["to"], request_url=begin_at, wait=wait)


class LinkRequestView(CodeRequestView):
    """Ask for a link."""

    purpose = login_link
    kind = "link"
    then = "link_sent"

    def link(self, request: HttpRequest) -> str:
        """The address of the link, but for its token."""
        return request.build_absolute_uri(self.sibling("link", TOKEN))

    def kept(self, issued: Issued) -> str | None:  # noqa: ARG002
        """The challenge is half of the link: for nobody, the session included."""
        return None


class LinkSentView(Door):
    """Says that a link is on its way."""

    template_name = "redis_toolkit/otp/link_sent.html"

    def get(self, request: HttpRequest) -> HttpResponse:
        """The page."""
        pending, begin_at = get_pending(request, "link"), self.sibling("link_request")
        if not pending:
            return HttpResponseRedirect(begin_at)
        return self.page(request, to=pending["to"], request_url=begin_at)


class MagicLinkView(Door):
    """Where a link leads: GET looks, whoever follows it, a scanner of mail included; POST consumes and logs in.

    It works in the session in which it was asked for: so nobody can have others log in to an account of his.
    """

    template_name = "redis_toolkit/otp/link.html"
    purpose: ClassVar[MagicLink] = login_link
    http_method_names = ["get", "head", "post", "options"]

    def get(self, request: HttpRequest, token: str) -> HttpResponse:
        """A button, if the link is good in this browser."""
        return self._page(request, is_good=bool(self.purpose.peek(token, binding=nonce(request))))

    def post(self, request: HttpRequest, token: str) -> HttpResponse:
        """Consume it."""
        tried = self.purpose.verify(token, binding=nonce(request))
        user = account_of(tried.payload) if tried else None
        if user is None:
            return self._page(request, is_good=False)
        return _let_in(request, user, tried, self.purpose.name, "link")

    def _page(self, request: HttpRequest, *, is_good: bool) -> HttpResponse:
        return self.page(request, is_good=is_good, request_url=self.sibling("link_request"))


def _let_in(request: HttpRequest, user: Any, tried: Verification, purpose: str, kind: str) -> HttpResponse:
    log_in(request, user)
    drop_pending(request, kind)
    response = HttpResponseRedirect(next_of(request, tried.payload.get("next")))
    keep_familiar(response, purpose, tried.familiar)
    return response
