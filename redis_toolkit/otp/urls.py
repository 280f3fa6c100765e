"""Where the pages are: ``path("log-in/", include("redis_toolkit.otp.urls"))``."""

from __future__ import annotations

from django.urls import path

from redis_toolkit.otp import views

__all__ = ["app_name", "urlpatterns"]

app_name = "redis_toolkit_otp"

urlpatterns = [
    path("", views.CodeRequestView.as_view(), name="request"),
    path("code/", views.CodeVerifyView.as_view(), name="verify"),
    path("link/", views.LinkRequestView.as_view(), name="link_request"),
    path("link/sent/", views.LinkSentView.as_view(), name="link_sent"),
    path("link/<str:token>/", views.MagicLinkView.as_view(), name="link"),
    path("step-up/", views.StepUpView.as_view(), name="step_up"),
]
