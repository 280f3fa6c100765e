"""A user's sessions, for the page "your devices" and for ending them. Handles name them, which open nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest

from redis_toolkit.core.clock import now
from redis_toolkit.core.connections import pack
from redis_toolkit.exceptions import CodecError
from redis_toolkit.sessions import names
from redis_toolkit.sessions.asking import Ended, Steps, adrive, announce, announce_async, drive
from redis_toolkit.sessions.devices import Device
from redis_toolkit.sessions.members import evicting, listing
from redis_toolkit.sessions.sealing import seal

__all__ = [
    "arevoke",
    "arevoke_all",
    "asessions_for",
    "name_of",
    "revoke",
    "revoke_all",
    "revoking",
    "sessions_for",
]


def sessions_for(user: Any, request: HttpRequest | None = None) -> list[Device]:
    """The sessions of ``user`` (a user, or the primary key), the last begun first; two round trips.

    ``request``: whose session is the current one. Raises StoreUnavailable.
    """
    return drive(_telling(name_of(user), request))


async def asessions_for(user: Any, request: HttpRequest | None = None) -> list[Device]:
    """:func:`sessions_for`."""
    return await adrive(_telling(name_of(user), request))


def revoke(user: Any, handle: str) -> bool:
    """End that session of ``user``; False: there is none of that handle, of this user. Raises StoreUnavailable."""
    ended: list[Ended] = []
    try:
        return drive(revoking(name_of(user), ended, handle=handle)) > 0
    finally:
        announce(ended)


async def arevoke(user: Any, handle: str) -> bool:
    """:func:`revoke`."""
    ended: list[Ended] = []
    try:
        return await adrive(revoking(name_of(user), ended, handle=handle)) > 0
    finally:
        await announce_async(ended)


def revoke_all(user: Any, *, keep: HttpRequest | SessionBase | None = None) -> int:
    """End the sessions of ``user``, that of ``keep`` (a request, or a session) excepted; how many there were.

    Raises StoreUnavailable.
    """
    ended: list[Ended] = []
    try:
        return drive(revoking(name_of(user), ended, keep=keep))
    finally:
        announce(ended)


async def arevoke_all(user: Any, *, keep: HttpRequest | SessionBase | None = None) -> int:
    """:func:`revoke_all`."""
    ended: list[Ended] = []
    try:
        return await adrive(revoking(name_of(user), ended, keep=keep))
    finally:
        await announce_async(ended)


def name_of(user: Any) -> str:
    """The primary key of a user as sessions have it. Raises ValueError for one that is not saved."""
    meta = getattr(user, "_meta", None)
    if meta is None:
        return str(user)
    if user.pk is None:
        raise ValueError("A user who is not saved has no sessions.")
    return str(meta.pk.value_to_string(user))


def revoking(
    name: str, ended: list[Ended], *, handle: str | None = None, keep: HttpRequest | SessionBase | None = None
) -> Steps[int]:
    """End the sessions of the user called ``name``: that of ``handle``, or all but that of ``keep``."""
    user = names.user_digest(name)
    [entries] = yield [pack(("ZRANGE", names.index_key(user), 0, -1))]
    if handle is not None:
        chosen = [entry for entry in entries if names.told_of(entry)[0] == handle]
    else:
        kept = _digest_of(keep)
        chosen = [entry for entry in entries if names.told_of(entry)[1] != kept]
    return (yield from evicting(user, name, chosen, ended, "revoked"))


def _digest_of(kept: HttpRequest | SessionBase | None) -> str:
    """By what the record of a request's session is known; empty where there is none."""
    # (Not by its class: the request of Django REST framework is none of Django's.)
    session = getattr(kept, "session", None if isinstance(kept, HttpRequest) else kept)
    session_id: str | None = getattr(session, "session_key", None)
    return names.digest(session_id) if session_id else ""


def _telling(name: str, request: HttpRequest | None) -> Steps[list[Device]]:
    user = names.user_digest(name)
    mine = _digest_of(request)
    found = yield from listing(user)
    devices = [_device(entry, told, life, mine) for entry, told, life in found]
    return sorted(devices, key=lambda device: device.handle, reverse=True)


def _device(entry: bytes, told: list[Any], life: int, mine: str) -> Device:
    handle, known, _ = names.told_of(entry)
    browser, network = _place(known, told[4])
    return Device(
        handle=handle,
        created=_moment(told[2]),
        last_seen=_moment(told[3]),
        expires=datetime.fromtimestamp(now(), UTC) + timedelta(milliseconds=life),
        browser=browser,
        network=network,
        is_current=known == mine,
    )


def _moment(milliseconds: bytes) -> datetime:
    return datetime.fromtimestamp(int(milliseconds) / 1000, UTC)


def _place(known: str, stored: bytes | None) -> tuple[str, str]:
    if not stored:
        return "", ""
    try:
        value, _ = seal().open(known, names.DEVICE, stored)
    except CodecError:
        return "", ""
    browser, _, network = value.decode("utf-8", "replace").partition("\n")
    return browser, network
