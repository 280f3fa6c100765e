"""URLs of these tests."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.models import Group
from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from django.views import View

from redis_toolkit.contrib.drf_otp import RequestCode, VerifyCode
from redis_toolkit.contrib.otp_admin import EmailedCodeAdminSite
from redis_toolkit.otp import OneTimeCode
from redis_toolkit.otp.views import StepUpRequiredMixin, step_up_required

office = EmailedCodeAdminSite(name="office")
office.register(Group)


class Vaults(EmailedCodeAdminSite):
    """Another one, with a code of its own."""

    otp_code = OneTimeCode("vaults", digits=8)


vaults = Vaults(name="vaults")


@step_up_required(max_age=600)
def vault(request: HttpRequest) -> HttpResponse:
    return HttpResponse("gold")


class Cellar(StepUpRequiredMixin, View):
    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("wine")


@step_up_required
async def crypt(request: HttpRequest) -> HttpResponse:
    return HttpResponse("bones")


class Well(StepUpRequiredMixin, View):
    async def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("water")


urlpatterns = [
    path("log-in/", include("redis_toolkit.otp.urls")),
    path("vault/", vault),
    path("cellar/", Cellar.as_view()),
    path("crypt/", crypt),
    path("well/", Well.as_view()),
    path("office/", office.urls),
    path("vaults/", vaults.urls),
    path("admin/", admin.site.urls),
    path("api/code/", RequestCode.as_view()),
    path("api/verify/", VerifyCode.as_view()),
]
