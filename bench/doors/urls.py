"""The pages whose times are looked at: ours, and one that does as some peers do."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import include, path

from redis_toolkit.otp.browsers import put_pending
from redis_toolkit.otp.forms import AddressForm
from redis_toolkit.otp.views import CodeRequestView

__all__ = ["CODE", "EARLY", "LOG_IN", "urlpatterns"]

LOG_IN, CODE, EARLY = "/log-in/", "/log-in/code/", "/early/"


class Early(CodeRequestView):
    """Answers at once, and alike, where there is no account: no challenge is begun, so none is looked for later."""

    def post(self, request: HttpRequest) -> HttpResponse:
        """Begin, for who is known."""
        form = AddressForm(request.POST)
        if form.is_valid() and self.find_user(form.cleaned_data["email"]) is None:
            put_pending(request, self.kind, {"challenge": "", "to": form.cleaned_data["email"]})
            return HttpResponseRedirect(CODE)
        return super().post(request)


urlpatterns = [
    path(LOG_IN[1:], include("redis_toolkit.otp.urls")),
    path(EARLY[1:], Early.as_view()),
]
