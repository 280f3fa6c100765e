"""What can be watched. These signals are the only seam for watchers: no room of the toolkit knows who listens.

Receivers run inside the caller's request; keep them short and never let them raise.
"""

from __future__ import annotations

from django.dispatch import Signal

__all__ = [
    "breaker_changed",
    "cache_failed",
    "cache_invalidated",
    "cache_read",
    "code_issued",
    "code_locked",
    "code_refused",
    "code_verified",
    "session_ended",
    "throttle_banned",
    "throttle_checked",
    "throttle_denied",
    "throttle_failed",
    "token_made",
    "token_refused",
    "token_revoked",
]

#: A cached read was answered. sender: the model (None for functions, fragments, views); kind: "get", "bulk", "rows",
#: "count", "exists", "aggregate", "value" (a function), "fragment" or "view"; outcome: "hit", "miss", "bypass",
#: "shared" (another thread has loaded it), "stale" (a write has ended it, and that was agreed to), "absent" (a filter
#: says so), "kept" (by this process, while Redis is away) or "refresh" (in the background); alias: database alias;
#: seconds: duration, float.
cache_read = Signal()

#: Stamps were marked by a write or dropped by ``invalidate``. sender: None; stamps: tuple of stamp keys (str);
#: alias: database alias.
cache_invalidated = Signal()

#: The cache could not do its work and the caller was served without it. sender: the model or None;
#: during: "read", "store", "mark", "unmark" or "add"; error: the exception.
cache_failed = Signal()

#: A circuit breaker changed. sender: the Breaker; alias: cache alias; state, before: "closed", "open" or "half-open".
breaker_changed = Signal()

#: Throttles were asked. sender: None; decisions: what they said (tuple of Decision); charged: False for a look (bool).
throttle_checked = Signal()

#: A throttle denied something. sender: None; decision: the Decision (``shadow``: it hindered nobody); identity: the
#: digest of who was counted (str); told: who that is, for people (str); request: None where it was asked by hand.
throttle_denied = Signal()

#: Throttles decided without Redis. sender: None; error: the exception; decisions: what they said (tuple of Decision).
throttle_failed = Signal()

#: A ban began. sender: None; name: the throttle's; identity, told: as above; seconds: how long it is (float).
throttle_banned = Signal()

#: A session was ended by other means than time. sender: None; user: primary key as text, or None; handle: str;
#: reason: "logout", "revoked", "evicted" or "password".
session_ended = Signal()

#: A code was minted. sender: None; purpose: str; subject: keyed digest (str); resend: whether it replaced one (bool).
code_issued = Signal()

#: No code was minted. sender: None; purpose, subject: as above; reason: "cooldown", "quota" or "locked".
code_refused = Signal()

#: A code was tried. sender: None; purpose, subject: as above; ok: bool; reason: "" or why not: "wrong", "expired",
#: "spent", "locked".
code_verified = Signal()

#: Too many wrong codes. sender: None; purpose, subject: as above; seconds: for how long (float).
code_locked = Signal()

#: A token was made or rotated. sender: None; user: primary key as text; handle: str; scopes: tuple of str.
token_made = Signal()

#: A token was refused. sender: None; reason: "malformed", "unknown", "expired", "inactive", "revoked" or "forged".
token_refused = Signal()

#: Tokens were revoked. sender: None; user: primary key as text; handles: tuple of str.
token_revoked = Signal()
