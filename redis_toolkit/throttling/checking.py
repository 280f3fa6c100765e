"""Checks: any number of throttles in one round trip, all of them charged or none; and what to say while Redis is away.

Two actors, one unit left: 1. A's script reads  2. it charges and answers: allowed  3. B's script reads what A has
charged: denied. A script is run alone, so nothing comes between 1 and 2.

What is known of one identity is in one Cluster slot, and is decided by one call. Where throttles count different
identities (an address and a user) there is a call for each, in the same round trip; if one denies, what the others have
charged is given back at once, in a second one.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from django.core.signals import setting_changed

from redis_toolkit.conf import PREFIX, settings
from redis_toolkit.core import keys
from redis_toolkit.core.clock import frozen
from redis_toolkit.core.connections import link, pack
from redis_toolkit.core.scripts import Script, run
from redis_toolkit.exceptions import StoreUnavailable
from redis_toolkit.signals import throttle_checked, throttle_failed
from redis_toolkit.throttling import banning
from redis_toolkit.throttling.decisions import Decision
from redis_toolkit.throttling.denials import Denials
from redis_toolkit.throttling.entries import BEGUN, MICRO, PER_ENTRY, Limits
from redis_toolkit.throttling.local import Local

__all__ = ["OUTAGES", "Asked", "check", "drop", "drop_all", "forget", "lift", "refund", "still"]

_CHECK: Final = Script("throttle_check")
_GCRA: Final = Script("throttle_gcra")
_REFUND: Final = Script("throttle_refund")
#: What may be said while Redis is away.
OUTAGES: Final = ("open", "closed", "local")

_denials = Denials()
_local = Local()


class Asked(NamedTuple):
    """One throttle asked of one ``identity`` (a digest), for ``cost`` units; ``on_outage`` is one of OUTAGES.

    ``told``: who that is, for people.
    """

    limits: Limits
    identity: str
    told: str
    cost: int
    on_outage: str


def check(asked: Sequence[Asked], *, charges: bool = True, now: int | None = None) -> list[Decision]:
    """What :func:`_check` says, and tell those who listen."""
    decisions = _check(asked, charges=charges, now=now)
    if throttle_checked.receivers:
        throttle_checked.send_robust(sender=None, decisions=tuple(decisions), charged=charges)
    return decisions


def _check(asked: Sequence[Asked], *, charges: bool, now: int | None) -> list[Decision]:
    """The decision of each. They are charged if all that are no shadows allow it and ``charges`` is True.

    ``now``: microseconds since the epoch, as the scripts take it; default the server's clock.
    Raises nothing: while Redis is away each says what its ``on_outage`` has it say.
    """
    if not settings.THROTTLE:
        return [_unasked(each) for each in asked]
    remembers = now is None and frozen() is None
    # (Who looks at several wants to see them all: below.)
    if remembers and (charges or len(asked) == 1):
        for each in asked:
            known = _remembered(each)
            if known is not None:
                # Nothing is to be charged, so the others are not asked.
                return [known] if len(asked) == 1 else [known if other is each else _unasked(other) for other in asked]
    if len(asked) == 1 and asked[0].limits.is_plain:
        # Most are, so this is the short way.
        return [_ask_plain(asked[0], charges, still() if now is None else now)]
    found = [_found(each, peeks=remembers and not charges) for each in asked]
    now = still() if now is None else now
    groups: dict[str, list[int]] = {}
    for at, each in enumerate(asked):
        if found[at] is None:
            groups.setdefault(each.identity, []).append(at)
    if groups:
        try:
            _ask(asked, groups, found, charges=charges, now=now)
        except StoreUnavailable as error:
            _without(asked, found, charges=charges)
            throttle_failed.send_robust(sender=None, error=error, decisions=tuple(found))
    return [each for each in found if each is not None]


def refund(asked: Sequence[Asked], *, now: int | None = None) -> None:
    """Give back what was charged. Raises StoreUnavailable, OutcomeUnknown where it may have been given back."""
    moment = still() if now is None else now
    calls = [_refunding([each], moment) for each in asked if each.limits.rates]
    run(link(settings.THROTTLE_ALIAS), calls, idempotent=False)
    for each in asked:
        _denials.forget(each.limits.name, each.identity)


def _refunding(group: Sequence[Asked], now: int | None) -> bytes:
    keys: list[str] = []
    args: list[str | int] = []
    for each in group:
        for key, rate in zip(each.limits.keys(each.identity), each.limits.rates, strict=False):
            keys.append(key)
            args += [each.limits.code, rate.limit, rate.period, each.cost]
    return _REFUND.call_on(keys, "" if now is None else now, _share(group[0].identity), *args)


def drop(limits: Limits, identity: str) -> bool:
    """Forget everything of an identity, its ban included. Whether there was anything. Raises StoreUnavailable."""
    gone = link(settings.THROTTLE_ALIAS).ask(pack(("DEL", *limits.keys(identity))))
    if limits.ban is not None:
        banning.ended(limits.name, identity)
    _denials.forget(limits.name, identity)
    return bool(gone)


def lift(name: str, identity: str) -> bool:
    """End a ban, and forget that it was. Whether there was one. Raises StoreUnavailable."""
    _denials.forget(name, identity)
    return banning.end(name, identity)


def drop_all(name: str, identity: str) -> bool:
    """The same of a throttle of that ``name``, whatever its algorithm and its rates are."""
    gone = False
    target, cursor = link(settings.THROTTLE_ALIAS), b"0"
    match = keys.below(keys.literal(keys.tagged("h", identity, keys.escape(name))), "*")
    while True:
        cursor, found = target.ask(pack(("SCAN", cursor, "MATCH", match, "COUNT", 1000)))
        if found:
            target.ask(pack(("UNLINK", *found)))
            gone = True
        if cursor == b"0":
            break
    banning.ended(name, identity)
    _denials.forget(name, identity)
    return gone


def forget() -> None:
    """Remember no denial and nothing that was counted in this process: between tests, and when settings change."""
    _denials.forget_all()
    _local.forget()


def _found(each: Asked, *, peeks: bool) -> Decision | None:
    """What needs no asking: nothing is counted, or, of one who ``peeks``, a denial is remembered."""
    if not each.limits.counts:
        return _unasked(each)
    return _remembered(each) if peeks else None


def _remembered(each: Asked) -> Decision | None:
    limits = each.limits
    return _denials.find(limits, each.identity, each.cost) if limits.is_remembered or limits.remembers_bans else None


def _unasked(each: Asked) -> Decision:
    return Decision(allowed=True, name=each.limits.name, source="none")


def _ask_plain(each: Asked, charges: bool, now: int | None) -> Decision:  # noqa: FBT001
    limits = each.limits
    try:
        [numbers] = run(link(settings.THROTTLE_ALIAS), [_asking((each,), charges, now)], idempotent=False)
    except StoreUnavailable as error:
        found: list[Decision | None] = [None]
        _without((each,), found, charges=charges)
        throttle_failed.send_robust(sender=None, error=error, decisions=tuple(found))
        [decision] = found
        assert decision is not None  # noqa: S101 - for the type checker
        return decision
    decision = limits.read(numbers)
    if now is None and not decision.allowed:
        _denials.add(limits, each.identity, each.cost, decision)
    return decision


def _ask(
    asked: Sequence[Asked],
    groups: dict[str, list[int]],
    found: list[Decision | None],
    *,
    charges: bool,
    now: int | None,
) -> None:
    calls = [_asking([asked[at] for at in places], charges, now) for places in groups.values()]
    answers: list[Any] = run(link(settings.THROTTLE_ALIAS), calls, idempotent=False)
    banned: list[tuple[Asked, Decision, float]] = []
    for places, numbers in zip(groups.values(), answers, strict=True):
        start = 0
        for at in places:
            each = asked[at]
            limits = each.limits
            end = start + limits.entries * PER_ENTRY
            decision = found[at] = limits.read(numbers[start:end])
            start = end
            if decision.allowed:
                continue
            begins = limits.ban is not None and numbers[end - PER_ENTRY] == BEGUN
            if begins and not limits.shadow:
                banned.append((each, decision, numbers[end - PER_ENTRY + 2] / MICRO))
            # (Where several identities are asked, what one of them lacks may be given back at once.)
            remembers = limits.is_remembered or (limits.remembers_bans and decision.banned and not begins)
            if remembers and now is None and len(groups) == 1:
                _denials.add(limits, each.identity, each.cost, decision)
    for each, decision, seconds in banned:
        banning.begun(each.limits, each.identity, each.told, decision, seconds)
    if charges and len(groups) > 1:
        _give_back(asked, groups, found, now)


def _asking(group: Sequence[Asked], charges: bool, now: int | None) -> bytes:  # noqa: FBT001
    """The command that asks about one identity."""
    moment = "" if now is None else now
    names: list[str] = []
    args: list[str | int] = []
    if all([each.limits.is_plain for each in group]):  # noqa: C419 - a list of one is faster than a generator
        for each in group:
            names += each.limits.keys(each.identity)
            args += each.limits.plain_arguments(each.cost)
        return _GCRA.call_on(names, moment, int(charges), *args)
    for rule, each in enumerate(group):
        names += each.limits.keys(each.identity)
        args += each.limits.arguments(rule, each.cost)
    return _CHECK.call_on(names, moment, int(charges), _share(group[0].identity), *args)


def _give_back(
    asked: Sequence[Asked], groups: dict[str, list[int]], found: list[Decision | None], now: int | None
) -> None:
    """Give back what was charged for identities that allowed it, if another's denied it."""
    hindered = {
        identity: any(found[at] is not None and not found[at] for at in places) for identity, places in groups.items()
    }
    if not any(hindered.values()):
        return
    back = [
        [asked[at] for at in groups[identity] if asked[at].limits.rates and not asked[at].limits.shadow]
        for identity, denied in hindered.items() if not denied
    ]  # fmt: skip
    run(link(settings.THROTTLE_ALIAS), [_refunding(group, now) for group in back if group], idempotent=False)


def _without(asked: Sequence[Asked], found: list[Decision | None], *, charges: bool) -> None:
    """Decide without Redis."""
    local = [at for at, each in enumerate(asked) if found[at] is None and each.on_outage == "local"]
    if local:
        part = settings.THROTTLE_LOCAL_SHARE
        told = [(asked[at].limits, asked[at].identity, asked[at].cost, _share(asked[at].identity)) for at in local]
        for at, decision in zip(local, _local.check(told, part=part, charges=charges), strict=True):
            found[at] = decision
    for at, each in enumerate(asked):
        if found[at] is None:
            opens = each.on_outage == "open"
            wait = 0.0 if opens else max(1.0, settings.BREAKER_RETRY)
            found[at] = Decision(
                allowed=opens, retry_after=wait, name=each.limits.name, source=each.on_outage, shadow=each.limits.shadow
            )


def still() -> int | None:
    """What the scripts are told of the time: None, so that they ask the server; in tests when it stands still.

    Then nothing is remembered here, for this process does not know when a denial would be over.
    """
    moment = frozen()
    return None if moment is None else -moment


def _share(identity: str) -> int:
    return int(identity[:8], 16)


def _changed(*, setting: str, **_: object) -> None:
    if setting.startswith(PREFIX) or setting in {"CACHES", "SECRET_KEY"}:
        forget()


setting_changed.connect(_changed, dispatch_uid="redis_toolkit.throttling.checking")
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget)
