"""Structured log events: a record of the logger ``redis_toolkit.events`` for each signal that is named.

    REDIS_TOOLKIT_LOG_EVENTS = ["breaker_changed", "throttle_banned", "token_refused"]

The fields are plain values in ``extra``, so that a formatter for JSON finds them; none is a secret. Who somebody is is
told by digests and handles alone, and of an error its class, for its text may quote what was sent.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import isfinite
from typing import Any, Final, NamedTuple

from django.core.signals import setting_changed

from redis_toolkit import signals
from redis_toolkit.cache.stamps import subject_of
from redis_toolkit.conf import settings
from redis_toolkit.exceptions import Misconfigured
from redis_toolkit.stats.names import masked

__all__ = ["EVENTS", "connect", "log_events"]

_log = logging.getLogger("redis_toolkit.events")

Fields = dict[str, Any]
_UID: Final = "redis_toolkit.contrib.log_events"


class Event(NamedTuple):
    """How a signal becomes a record: at which ``level``, with which ``fields``."""

    level: int
    #: (None may be called like an attribute that a LogRecord has: ``name``, ``args``, ``module``.)
    fields: Callable[..., Fields]


def log_events(*names: str) -> None:
    """Log these signals from now on, and no others; without names none. Raises Misconfigured for an unknown name."""
    unknown = sorted(set(names) - set(EVENTS))
    if unknown:
        raise Misconfigured(f"There is no event {', '.join(unknown)}. Those that there are: {', '.join(EVENTS)}.")
    for name in EVENTS:
        signal: Any = getattr(signals, name)
        signal.disconnect(dispatch_uid=_UID)
        if name in names:
            signal.connect(partial(_write, name), weak=False, dispatch_uid=_UID)


def connect() -> None:
    """Log what ``REDIS_TOOLKIT_LOG_EVENTS`` names, and follow the setting. What it names wrongly is left to checks."""
    log_events(*(name for name in settings.LOG_EVENTS or () if name in EVENTS))
    setting_changed.connect(_follow, dispatch_uid=_UID)


def _follow(*, setting: str, **_: object) -> None:
    if setting == "REDIS_TOOLKIT_LOG_EVENTS":
        connect()


def _write(event: str, sender: Any, signal: Any, **told: Any) -> None:  # noqa: ARG001 - as signals are sent
    level, make = EVENTS[event]
    if _log.isEnabledFor(level):
        fields = make(sender, **told)
        text = " ".join(f"{name}={value}" for name, value in fields.items())
        _log.log(level, "%s %s", event, text, extra={"event": event, **fields})


# What is told of each signal. A signal's further arguments are left out on purpose, not passed on.


def _read(  # noqa: PLR0913, PLR0917 - what the signal tells
    sender: Any, kind: str, outcome: str, alias: str, seconds: float, name: str, key: str, count: int, reason: str,
    stamp: str, pins: Sequence[str], loaded: float | None, size: int | None, **_: object,
) -> Fields:  # fmt: skip
    return {
        "what": name or _label(sender), "kind": kind, "outcome": outcome, "reason": reason, "count": count,
        "seconds": seconds, "loaded": loaded, "size": size, "alias": alias, "key": masked(key),
        "ended_by": " ".join(filter(None, subject_of(stamp))), "pins": list(pins),
    }  # fmt: skip


def _invalidated(_sender: Any, stamps: Sequence[str], alias: str, **_: object) -> Fields:
    subjects = sorted({" ".join(subject_of(stamp)) for stamp in stamps})
    return {"stamps": len(stamps), "subjects": subjects, "alias": alias}


def _failed(sender: Any, during: str, error: Exception, **_: object) -> Fields:
    return {"what": _label(sender), "during": during, **_error(error)}


def _breaker(_sender: Any, alias: str, state: str, before: str, **_: object) -> Fields:
    return {"alias": alias, "state": state, "before": before}


def _checked(_sender: Any, decisions: Sequence[Any], charged: bool, **_: object) -> Fields:  # noqa: FBT001 - as it is sent
    return {
        "throttles": [decision.name for decision in decisions],
        "allowed": all(decision.allowed for decision in decisions),
        "charged": charged,
    }


def _denied(_sender: Any, decision: Any, identity: str, **_: object) -> Fields:
    return {
        "throttle": decision.name, "identity": identity, "shadow": decision.shadow, "banned": decision.banned,
        "source": decision.source, "retry_after": decision.retry_after if isfinite(decision.retry_after) else None,
    }  # fmt: skip


def _undecided(_sender: Any, error: Exception, decisions: Sequence[Any], **_: object) -> Fields:
    return {"throttles": [decision.name for decision in decisions], **_error(error)}


def _banned(_sender: Any, name: str, identity: str, seconds: float, **_: object) -> Fields:
    return {"throttle": name, "identity": identity, "seconds": seconds}


def _session(_sender: Any, handle: str, reason: str, **_: object) -> Fields:
    return {"session": handle, "reason": reason}


def _issued(_sender: Any, purpose: str, subject: str, resend: bool, **_: object) -> Fields:  # noqa: FBT001 - as it is sent
    return {"purpose": purpose, "subject": subject, "resend": resend}


def _refused(_sender: Any, purpose: str, subject: str, reason: str, **_: object) -> Fields:
    return {"purpose": purpose, "subject": subject, "reason": reason}


def _verified(_sender: Any, purpose: str, subject: str, ok: bool, reason: str, **_: object) -> Fields:  # noqa: FBT001 - as it is sent
    return {"purpose": purpose, "subject": subject, "ok": ok, "reason": reason}


def _locked(_sender: Any, purpose: str, subject: str, seconds: float, **_: object) -> Fields:
    return {"purpose": purpose, "subject": subject, "seconds": seconds}


def _made(_sender: Any, handle: str, scopes: Sequence[str], **_: object) -> Fields:
    return {"token": handle, "scopes": list(scopes)}


def _not_taken(_sender: Any, reason: str, **_: object) -> Fields:
    return {"reason": reason}


def _revoked(_sender: Any, handles: Sequence[str], **_: object) -> Fields:
    return {"tokens": list(handles)}


def _label(sender: Any) -> str:
    return "" if sender is None else str(sender._meta.label)


def _error(error: BaseException) -> Fields:
    cause = error.__cause__
    return {"error": type(error).__name__, "cause": "" if cause is None else type(cause).__name__}


#: Every signal of ``redis_toolkit.signals``, by name.
EVENTS: Final[Mapping[str, Event]] = {
    "breaker_changed": Event(logging.WARNING, _breaker),
    "cache_failed": Event(logging.WARNING, _failed),
    "cache_invalidated": Event(logging.INFO, _invalidated),
    "cache_read": Event(logging.INFO, _read),
    "code_issued": Event(logging.INFO, _issued),
    "code_locked": Event(logging.WARNING, _locked),
    "code_refused": Event(logging.INFO, _refused),
    "code_verified": Event(logging.INFO, _verified),
    "session_ended": Event(logging.INFO, _session),
    "throttle_banned": Event(logging.WARNING, _banned),
    "throttle_checked": Event(logging.INFO, _checked),
    "throttle_denied": Event(logging.INFO, _denied),
    "throttle_failed": Event(logging.WARNING, _undecided),
    "token_made": Event(logging.INFO, _made),
    "token_refused": Event(logging.INFO, _not_taken),
    "token_revoked": Event(logging.INFO, _revoked),
}
