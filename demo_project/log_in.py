"""The admin's log-in, guarded: passwords are guessed by trying. Why so: docs/how-to/guard-a-log-in.md.

The settings have a third rule, for all log-ins from one address, which is asked before anything else is done.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from redis_toolkit.throttling import Ban, Rule, throttle

__all__ = ["log_in"]


def _was_right(response: Any) -> bool:
    """Whether the password was: who is let in is sent on, and the attempt is given back."""
    return bool(response.status_code == 302)


@throttle(
    # One address at one account. Who goes on is kept out for an hour; nobody can lock out somebody else from elsewhere.
    Rule(
        "log-in",
        "5/15m",
        key=("ip", "post:username"),
        algorithm="sliding_log",
        method="POST",
        on_outage="closed",
        ban=Ban(strikes=10, within=900, length=3600),
        refund_on=_was_right,
    ),
    # All addresses together at one account.
    Rule("log-in by name", "50/d", key="post:username", method="POST", on_outage="closed", refund_on=_was_right),
)
def log_in(request: HttpRequest) -> HttpResponseBase:
    return admin.site.login(request)
