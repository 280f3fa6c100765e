"""The sessions of a user whose password has changed, who is active no more or is deleted, end at once, not when used.

Django looks at the hash in the session with each request, so nobody gets in by them; but the list of devices would have
them. Of a new password the session in use is left: ``update_session_auth_hash`` is about to give it the new hash.
"""

from __future__ import annotations

import logging
from functools import partial
from importlib import import_module
from typing import Any, Final

from django.contrib.auth.signals import user_logged_out
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import request_finished, request_started
from django.db import transaction
from django.db.models.signals import post_delete, post_save
from django.utils.crypto import constant_time_compare
from django.utils.module_loading import import_string

from redis_toolkit.conf import settings
from redis_toolkit.core.connections import pack
from redis_toolkit.exceptions import CodecError, StoreUnavailable
from redis_toolkit.sessions import current, names
from redis_toolkit.sessions.asking import Ended, Steps, announce, drive
from redis_toolkit.sessions.fields import HASH_FIELD
from redis_toolkit.sessions.index import name_of, revoking
from redis_toolkit.sessions.members import evicting
from redis_toolkit.sessions.sealing import seal
from redis_toolkit.sessions.store import SessionStore

__all__ = ["connect", "end_unverified"]

_log = logging.getLogger("redis_toolkit.sessions")
#: Fields of a user without which a save ends nothing.
_FIELDS: Final = frozenset({"password", "is_active"})


def connect() -> None:
    """Look at what becomes of users (once, when the project is ready)."""
    user_logged_out.connect(_on_log_out, dispatch_uid="redis_toolkit.sessions.log_out")
    # (Of users alone: with a receiver for all, Django would load the rows of any model that it deletes.)
    from django.contrib.auth import get_user_model  # noqa: PLC0415 - needs configured settings

    try:
        users = get_user_model()
    except ImproperlyConfigured:
        # A project without users.
        pass
    else:
        # (A proxy of users sends its own signals.)
        post_save.connect(_on_save, dispatch_uid="redis_toolkit.sessions.passwords")
        post_delete.connect(_on_delete, sender=users, dispatch_uid="redis_toolkit.sessions.users")
    for signal in (request_started, request_finished):
        signal.connect(current.forget, dispatch_uid="redis_toolkit.sessions.current")


def _on_log_out(*, request: Any, **_: object) -> None:
    # (Django says so before it ends the session.)
    store = getattr(request, "session", None)
    if isinstance(store, SessionStore):
        store.is_log_out = True


def _on_save(*, instance: Any, created: bool, raw: bool, using: str, update_fields: Any = None, **_: object) -> None:
    if created or raw or (update_fields is not None and _FIELDS.isdisjoint(update_fields)):
        return
    if _is_user(instance) and _is_our_engine():
        transaction.on_commit(partial(_end, instance), using=using)


def _on_delete(*, instance: Any, using: str, **_: object) -> None:
    if _is_our_engine():
        # (By his key, which is gone when it is certain that he is.)
        transaction.on_commit(partial(_end_all, name_of(instance)), using=using)


def _is_user(instance: Any) -> bool:
    from django.contrib.auth import get_user_model  # noqa: PLC0415 - needs configured settings

    try:
        return isinstance(instance, get_user_model())
    except ImproperlyConfigured:
        # Whoever saves anything in a project without users, or in tests that take them away.
        return False


def _is_our_engine() -> bool:
    store = getattr(import_module(settings.django("SESSION_ENGINE")), "SessionStore", None)
    return isinstance(store, type) and issubclass(store, SessionStore)


def _end(user: Any) -> None:
    try:
        end_unverified(user)
    except StoreUnavailable:
        # The password has changed, whatever becomes of this: Django lets none of the old sessions in.
        _log.warning("Sessions of a user whose password may have changed could not be ended", exc_info=True)


def _end_all(name: str) -> None:
    ended: list[Ended] = []
    try:
        drive(revoking(name, ended))
    except StoreUnavailable:
        _log.warning("Sessions of a user who was deleted could not be ended", exc_info=True)
    finally:
        announce(ended)


def end_unverified(user: Any) -> int:
    """End the sessions of ``user`` that do not verify any more; how many there were.

    The one in use is left, unless he is active no more: it would be his again if he were. Two round trips where there
    are any sessions, and a third if some end. Raises StoreUnavailable.
    """
    ended: list[Ended] = []
    try:
        return drive(_ending(user, ended))
    finally:
        announce(ended)


def _ending(user: Any, ended: list[Ended]) -> Steps[int]:
    name = name_of(user)
    known = names.user_digest(name)
    [entries] = yield [pack(("ZRANGE", names.index_key(known), 0, -1))]
    own = current.in_use()
    good = _hashes(user)
    kept = names.digest(own.session_key) if own is not None and own.session_key and good != [] else ""
    entries = [entry for entry in entries if names.told_of(entry)[1] != kept]
    if not entries:
        return 0
    stored = yield [pack(("HMGET", names.told_of(entry)[2], names.USER, HASH_FIELD)) for entry in entries]
    chosen = [
        entry
        for entry, (whose, value) in zip(entries, stored, strict=True)
        if whose == known.encode() and not _verifies(names.told_of(entry)[1], value, good)
    ]
    return (yield from evicting(known, name, chosen, ended, "password"))


def _hashes(user: Any) -> list[str] | None:
    """What may stand in a session of this user; None: whatever it is."""
    if not getattr(user, "is_active", True):
        return []
    if not hasattr(user, "get_session_auth_hash"):
        return None
    return [user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()]


def _verifies(record: str, stored: bytes | None, good: list[str] | None) -> bool:
    if good is None or not good or stored is None:
        # (Who has logged in without a hash is not verified by Django either.)
        return good is None
    try:
        value, _ = seal().open(record, HASH_FIELD, stored)
        told = import_string(settings.django("SESSION_SERIALIZER"))().loads(value)
    except (CodecError, ValueError):
        return False
    return any(constant_time_compare(str(told), each) for each in good)
