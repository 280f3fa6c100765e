"""Sessions: ``SESSION_ENGINE = "redis_toolkit.sessions"``, and a user's devices.

A hash for each session, a field for each of its keys. Requests that change different keys at once are all heard; a
session that has ended stays ended; when Redis is away nobody is taken for somebody, and nobody is logged out.
"""

from __future__ import annotations

from redis_toolkit.sessions.devices import Device
from redis_toolkit.sessions.index import arevoke, arevoke_all, asessions_for, revoke, revoke_all, sessions_for
from redis_toolkit.sessions.store import SessionStore

__all__ = [
    "Device",
    "SessionStore",
    "arevoke",
    "arevoke_all",
    "asessions_for",
    "revoke",
    "revoke_all",
    "sessions_for",
]
