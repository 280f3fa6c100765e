"""The mailbox, for staff; and everybody's own API tokens: make one, replace one, end one.

A token's text is in the answer to the form that made it, and nowhere else, so it is not sent on to another page: what
would carry it there is the session, which is in Redis.
"""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from demo_project.doors.forms import OVERLAPS, RotateForm, TokenForm
from demo_project.doors.mail import letters
from redis_toolkit import tokens as doorkeeper
from redis_toolkit.exceptions import TokenLimitReached
from redis_toolkit.otp.views import step_up_required
from redis_toolkit.tokens import Made, Token

__all__ = ["mailbox", "new", "revoke", "rotate", "tokens"]


@never_cache
@staff_member_required
@require_GET
def mailbox(request: HttpRequest) -> HttpResponse:
    return render(request, "doors/mailbox.html", {"letters": letters()})


@never_cache
@login_required
@require_GET
def tokens(request: HttpRequest) -> HttpResponse:
    return render(request, "doors/tokens.html", {"tokens": doorkeeper.tokens_for(request.user)[::-1]})


@never_cache
@step_up_required
@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """Who makes a token has given a code in the last quarter of an hour: it outlives the session."""
    form = TokenForm(request.POST or None)
    if form.is_valid():
        try:
            made = doorkeeper.make_token(request.user, **form.cleaned_data)
        except TokenLimitReached:
            form.add_error(None, "You have as many tokens as one may have. Revoke one first.")
        else:
            return _shown_once(request, made)
    return render(request, "doors/new.html", {"form": form})


@never_cache
@step_up_required
@require_http_methods(["GET", "POST"])
def rotate(request: HttpRequest, handle: str) -> HttpResponse:
    """A new text for the same purpose."""
    token = _own(request, handle)
    form = RotateForm(request.POST or None)
    if form.is_valid():
        made = doorkeeper.rotate(request.user, handle, **form.cleaned_data)
        if made is None:
            messages.warning(request, f"{token.name} has ended, or was replaced already.")
            return redirect("doors:tokens")
        return _shown_once(request, made, overlap=OVERLAPS[form.cleaned_data["overlap"]])
    return render(request, "doors/rotate.html", {"form": form, "token": token})


@login_required
@require_POST
def revoke(request: HttpRequest, handle: str) -> HttpResponse:
    name = _own(request, handle).name
    doorkeeper.revoke(request.user, handle)
    messages.success(request, f"{name} is revoked: from now on nobody is let in by it.")
    return redirect("doors:tokens")


def _own(request: HttpRequest, handle: str) -> Token:
    token = next((each for each in doorkeeper.tokens_for(request.user) if each.handle == handle), None)
    if token is None:
        raise Http404
    return token


@sensitive_variables("made")
def _shown_once(request: HttpRequest, made: Made, **told: Any) -> HttpResponse:
    return render(request, "doors/shown.html", {"secret": made.text, "token": made.token, **told})
