"""Log in by an e-mailed code, for Django REST framework: two views.

    path("code/", RequestCode.as_view()), path("code/verify/", VerifyCode.as_view())

``{"email": …}`` is answered by ``{"challenge": …, "expires_in": …, "resend_in": …}``, whether there is an account or
not; ``{"challenge": …, "code": …}`` logs in (session), or does what an override of :meth:`VerifyCode.succeeded` does.
"""

from __future__ import annotations

from functools import partial
from math import ceil
from typing import Any, ClassVar

from django.utils.cache import add_never_cache_headers
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from rest_framework import exceptions, serializers, status
from rest_framework.response import Response
from rest_framework.views import APIView

from redis_toolkit.conf import settings
from redis_toolkit.exceptions import CodeRefused, StoreUnavailable
from redis_toolkit.otp import OneTimeCode, Verification
from redis_toolkit.otp.accounts import account_of, log_in, one_account
from redis_toolkit.otp.browsers import keep_familiar, keep_nonce, whose
from redis_toolkit.otp.doors import failure_text, refusal_text
from redis_toolkit.otp.policies import Whose
from redis_toolkit.otp.sending import AnswersFirst, complete
from redis_toolkit.otp.subjects import one_destination

__all__ = ["CodesAway", "RequestCode", "VerifyCode", "api_code"]

api_code = OneTimeCode("api-login")


class CodesAway(exceptions.APIException):
    """503: codes can neither be sent nor checked now, so none is right."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_detail = _("Codes cannot be sent or checked now. Please try again in a moment.")
    default_code = "store_unavailable"

    def __init__(self) -> None:
        super().__init__()
        #: Seconds, which DRF says in Retry-After.
        self.wait = max(1, ceil(settings.BREAKER_RETRY))


class _Later(AnswersFirst, Response):
    """An answer after which a code is sent."""


class _Address(serializers.Serializer):
    email = serializers.EmailField(max_length=254)

    def validate_email(self, value: str) -> str:
        try:
            return one_destination(value)
        except ValueError:
            raise serializers.ValidationError(_("Enter a valid email address.")) from None


class _Answer(serializers.Serializer):
    challenge = serializers.CharField(max_length=64)
    code = serializers.CharField(max_length=64)


class _Codes(APIView):
    authentication_classes: ClassVar[list[Any]] = []
    permission_classes: ClassVar[list[Any]] = []
    code: ClassVar[OneTimeCode] = api_code
    #: Whether a challenge is good in one session only. A client without cookies needs False, and an override of
    #: ``succeeded`` that makes no session: a challenge that is not bound can be answered by whom it was handed to.
    is_bound: ClassVar[bool] = True

    @method_decorator(sensitive_post_parameters("code"))
    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        return super().dispatch(request, *args, **kwargs)

    def handle_exception(self, exc: Exception) -> Any:
        """As DRF's, with 503 for what Redis cannot do, and 429 for codes that are not sent."""
        if isinstance(exc, StoreUnavailable):
            exc = CodesAway()
        elif isinstance(exc, CodeRefused):
            text, wait = refusal_text(exc), exc.retry_after
            exc = exceptions.Throttled(detail=text)
            exc.wait = None if wait is None else ceil(wait)  # type: ignore[attr-defined]
        return super().handle_exception(exc)

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        """The answer, which nobody keeps."""
        response = super().finalize_response(request, response, *args, **kwargs)
        add_never_cache_headers(response)
        return response

    def whose(self, request: Any) -> Whose:
        """Who asks."""
        return whose(request._request, self.code.name, binds=self.is_bound)  # noqa: SLF001 - DRF's own way


class RequestCode(_Codes):
    """POST ``email``: a code is sent to it, if somebody may log in by it."""

    def post(self, request: Any) -> Any:
        """200, whatever there is. Raises what DRF tells: ValidationError, Throttled, CodesAway."""
        asked = _Address(data=request.data)
        asked.is_valid(raise_exception=True)
        address = asked.validated_data["email"]
        issued = self.code.hold(address, payload={}, **self.whose(request))
        if self.is_bound:
            keep_nonce(request._request)  # noqa: SLF001 - DRF's own way
        told = {"challenge": issued.challenge, "expires_in": issued.expires_in, "resend_in": issued.resend_in}
        response = _Later(told)
        response.afterwards(partial(complete, self.code, issued, partial(self.find_user, address)))
        return response

    def find_user(self, address: str) -> Any | None:
        """Who may log in by this address. Asked when the answer is out: nobody can tell how long it takes."""
        return one_account(address)


class VerifyCode(_Codes):
    """POST ``challenge`` and ``code``."""

    @sensitive_variables("asked", "given")
    def post(self, request: Any) -> Any:
        """What :meth:`succeeded` answers; 400 with ``reason`` and ``attempts_left``; 429 while locked."""
        asked = _Answer(data=request.data)
        asked.is_valid(raise_exception=True)
        given, binding = asked.validated_data, self.whose(request).get("binding")
        tried = self.code.verify(given["challenge"], given["code"], binding=binding)
        user = account_of(tried.payload) if tried else None
        if user is not None:
            return self.succeeded(request, user, tried)
        if tried.reason == "locked":
            locked = exceptions.Throttled(detail=failure_text(tried))
            locked.wait = ceil(tried.retry_after)
            raise locked
        told = {
            "detail": failure_text(tried), "reason": tried.reason or "expired", "attempts_left": tried.attempts_left,
        }  # fmt: skip
        return Response(told, status=status.HTTP_400_BAD_REQUEST)

    def succeeded(self, request: Any, user: Any, tried: Verification) -> Any:
        """Log ``user`` in, by session. Override it to answer with a token, say."""
        log_in(request._request, user)  # noqa: SLF001 - DRF's own way
        response = Response({"detail": _("You are logged in.")})
        keep_familiar(response, self.code.name, tried.familiar)
        return response
