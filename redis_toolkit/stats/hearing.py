"""What is counted of what: a receiver for each signal, connected as ``REDIS_TOOLKIT_STATS`` says.

Receivers add to counters of this process and ask nobody; a thread tells Redis (:mod:`redis_toolkit.stats.telling`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.core.signals import setting_changed
from django.dispatch import Signal

from redis_toolkit import signals
from redis_toolkit.cache.stamps import is_generation, subject_of
from redis_toolkit.conf import settings
from redis_toolkit.stats.figures import HITS
from redis_toolkit.stats.gathering import subject_of_read
from redis_toolkit.stats.telling import gathered, teller

__all__ = ["connect"]

#: Longest load that is believed, in seconds: how long one took stands in an entry, which anybody may have written.
_LONGEST: Final = 86_400.0
#: Decided by those who could not ask Redis.
_WITHOUT_REDIS: Final = frozenset({"local", "open", "closed"})
#: Not decided at all.
_UNASKED: Final = "none"


def connect() -> None:
    """Listen, or stop listening, as ``REDIS_TOOLKIT_STATS`` says."""
    for signal, receiver in _RECEIVERS:
        if settings.STATS:
            signal.connect(receiver, dispatch_uid=__name__)
        else:
            signal.disconnect(dispatch_uid=__name__)
    gathered.count, signals.cache_read.notice = _on_read, _notice
    signals.cache_read.queue = gathered.queue if settings.STATS else None
    if not settings.STATS:
        teller.stop()


def _add(metric: str, subject: str, detail: str, count: int = 1, total: float = 0.0) -> None:
    gathered.add((metric, subject, detail), count, total)
    if not teller.is_running:
        teller.start()


def _notice() -> None:
    """The queue of reads has one, or it is full."""
    if not teller.is_running:
        teller.start()
    if len(gathered.queue) >= signals.cache_read.MOST:
        gathered.fold()


def _on_read(  # noqa: PLR0913, PLR0917 - what the signal tells
    sender: Any, kind: str, outcome: str, seconds: float, name: str, key: str, count: int,
    reason: str, stamp: str, pins: Sequence[str], loaded: float | None, size: int | None,
) -> None:  # fmt: skip
    if loaded is not None and not 0.0 <= loaded <= _LONGEST:
        loaded = None
    is_hit = outcome in HITS
    saved = loaded - seconds if is_hit and loaded is not None else None
    gathered.read((sender, kind, outcome, name), count, seconds, key, saved)
    if not is_hit:
        # (A filter that says "absent" was asked because nothing was stored, and counts as a hit.)
        if reason:
            _add("reason", subject_of_read(sender, name), reason, count)
        _on_loaded(subject_of_read(sender, name), kind, outcome, count, loaded, size)
        if stamp and outcome == "miss":
            _on_ended(subject_of_read(sender, name), stamp, pins, count)


def _on_loaded(
    subject: str, kind: str, outcome: str, count: int, loaded: float | None, size: int | None
) -> None:  # fmt: skip
    if loaded is not None:
        # One load, however many entries it was for.
        _add("load", subject, kind, 1, loaded)
    if size is not None and outcome != "bypass":
        _add("bytes", subject, "", count, size)


def _on_ended(subject: str, stamp: str, pins: Sequence[str], count: int) -> None:
    of, what = subject_of(stamp)
    # (Of another model: which.)
    _add("ended", subject, what or "*" if of in {"", subject} else f"{of} {what}", count)
    # (What ends a whole table would end it whatever were declared.)
    if what == "*" and of == subject and pins and not is_generation(stamp):
        _add("pinned", subject, ",".join(pins), count)


def _on_invalidated(*, stamps: Sequence[str], **_: object) -> None:
    marked: dict[str, int] = {}
    for stamp in stamps:
        model = subject_of(stamp).model
        marked[model] = marked.get(model, 0) + 1
    for model, number in marked.items():
        _add("write", model, "", 1, number)


def _on_failed(*, during: str, **_: object) -> None:
    _add("error", during, "")


def _on_breaker(*, alias: str, state: str, **_: object) -> None:
    _add("breaker", alias, state)


def _on_checked(*, decisions: Sequence[Any], charged: bool, **_: object) -> None:
    if not charged:
        return
    for decision in decisions:
        if decision.source != _UNASKED:
            _on_decision(decision)


def _on_denied(*, decision: Any, **_: object) -> None:
    # (All others are heard as checks.)
    if decision.source == "deny list":
        _on_decision(decision)


def _on_decision(decision: Any) -> None:
    detail = "allowed" if decision.allowed else "shadow" if decision.shadow else "denied"
    _add("throttle", decision.name, detail)
    if decision.source in _WITHOUT_REDIS:
        _add("throttle", decision.name, "local")


def _on_banned(*, name: str, **_: object) -> None:
    _add("ban", name, "")


def _on_issued(*, purpose: str, resend: bool, **_: object) -> None:
    _add("code", purpose, "resent" if resend else "issued")


def _on_refused(*, purpose: str, **_: object) -> None:
    _add("code", purpose, "refused")


def _on_verified(*, purpose: str, reason: str, **_: object) -> None:
    _add("code", purpose, reason or "verified")


def _on_session(*, reason: str, **_: object) -> None:
    _add("session", "", reason)


def _on_token_made(**_: object) -> None:
    _add("token", "", "made")


def _on_token_refused(*, reason: str, **_: object) -> None:
    _add("token", "", f"refused.{reason}")


def _on_token_revoked(*, handles: Sequence[str], **_: object) -> None:
    _add("token", "", "revoked", len(handles))


_RECEIVERS: Final[tuple[tuple[Signal, Any], ...]] = (
    (signals.cache_invalidated, _on_invalidated),
    (signals.cache_failed, _on_failed),
    (signals.breaker_changed, _on_breaker),
    (signals.throttle_checked, _on_checked),
    (signals.throttle_denied, _on_denied),
    (signals.throttle_banned, _on_banned),
    (signals.code_issued, _on_issued),
    (signals.code_refused, _on_refused),
    (signals.code_verified, _on_verified),
    (signals.session_ended, _on_session),
    (signals.token_made, _on_token_made),
    (signals.token_refused, _on_token_refused),
    (signals.token_revoked, _on_token_revoked),
)


def _changed(*, setting: str, **_: object) -> None:
    if setting == "REDIS_TOOLKIT_STATS":
        connect()


setting_changed.connect(_changed, dispatch_uid="redis_toolkit.stats")
