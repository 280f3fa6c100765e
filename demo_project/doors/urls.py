from __future__ import annotations

from django.urls import path

from demo_project.doors import views

app_name = "doors"
urlpatterns = [
    path("mailbox/", views.mailbox, name="mailbox"),
    path("tokens/", views.tokens, name="tokens"),
    path("tokens/new/", views.new, name="new-token"),
    path("tokens/<str:handle>/rotate/", views.rotate, name="rotate-token"),
    path("tokens/<str:handle>/revoke/", views.revoke, name="revoke-token"),
]
