"""Whose account it is: found by an address, put into a challenge, and found again by who has the code."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import auth
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare, salted_hmac

from redis_toolkit.conf import settings
from redis_toolkit.otp.subjects import Subject, folded, one_destination

__all__ = ["account_of", "log_in", "mail_of", "one_account", "payload_of", "subject_of"]

_SALT: Final = "redis_toolkit.otp.accounts"
_STAMP: Final = 32
#: Rows of one address that are looked at; who shares his with more is not found.
_MOST_ROWS: Final = 10


def one_account(address: str) -> Any | None:
    """The user with this address who may log in; None: nobody, or several, and who of them is meant cannot be known.

    One query, whatever it finds. Addresses that a database takes for the same but are not (dotless i and its kin, by
    which CVE-2019-19844 had mail sent elsewhere) are compared again.
    """
    model: Any = auth.get_user_model()
    field = model.get_email_field_name()
    rows = list(model._default_manager.filter(**{f"{field}__iexact": address})[: _MOST_ROWS + 1])
    found = [
        user for user in rows
        if getattr(user, "is_active", True) and folded(getattr(user, field) or "-") == folded(address)
    ]  # fmt: skip
    return found[0] if len(found) == 1 and len(rows) <= _MOST_ROWS else None


def mail_of(user: Any | None) -> str:
    """Where codes for ``user`` go; empty: there is nobody, or nowhere to send to, and nobody may know which."""
    address = "" if user is None else getattr(user, user.get_email_field_name(), "")
    try:
        return one_destination(address or "")
    except ValueError:
        return ""


def subject_of(user: Any) -> Subject:
    """By what failures and sends of a known user are counted: the primary key."""
    return user.pk if isinstance(user.pk, int) else str(user.pk)


def payload_of(user: Any) -> dict[str, str]:
    """What a challenge carries of ``user``. A new password or address ends the codes that are under way."""
    return {"user": user._meta.pk.value_to_string(user), "stamp": _stamp(user)}


def account_of(payload: Any) -> Any | None:
    """The user again, as an authentication backend knows them; None: gone, barred, or changed since."""
    key = auth.get_user_model()._meta.pk.to_python(payload["user"])
    for path in settings.django("AUTHENTICATION_BACKENDS"):
        backend = auth.load_backend(path)
        user: Any = backend.get_user(key) if hasattr(backend, "get_user") else None
        if user is None or not getattr(user, "is_active", True):
            continue
        if not constant_time_compare(_stamp(user), payload["stamp"]):
            return None
        user.backend = path
        return user
    return None


def log_in(request: HttpRequest, user: Any) -> None:
    """Log ``user`` in, under a new session key in any case (``auth.login`` keeps that of who is logged in already)."""
    before = request.session.session_key
    auth.login(request, user, backend=user.backend)
    if request.session.session_key == before:
        request.session.cycle_key()


def _stamp(user: Any) -> str:
    address = getattr(user, user.get_email_field_name(), "") or ""
    told = repr((str(user.pk), getattr(user, "password", ""), address))
    return salted_hmac(_SALT, told, algorithm="sha256").hexdigest()[:_STAMP]
