"""What a throttle says. Pure."""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import ceil, inf
from typing import Final

from redis_toolkit.throttling.rates import Rate

__all__ = ["Decision", "Quota"]


@dataclass(frozen=True, slots=True)
class Quota:
    """What is left of one rate: whole units that ``remain``, seconds until the same is allowed, and until all is."""

    rate: Rate
    remaining: int
    retry_after: float
    reset_after: float


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether it is ``allowed``, by the throttle of that ``name``.

    Its truth is whether to go on: also where a shadow denies.

    ``limit``, ``remaining``, ``retry_after`` and ``reset_after`` (seconds; infinite: never) are those of the rate that
    decides: of a denial the one to be waited for longest, otherwise the one with the least left. ``quotas``: of each
    rate, as they stood ``age`` seconds ago. ``source``: who decided: "redis", "denied before" (this process remembers a
    denial), "local", "open" or "closed" (Redis is away), "deny list", "none" (there is no limit, or it was not asked).
    ``banned``: denied by a ban; ``shadow``: it hinders nobody.
    """

    allowed: bool
    limit: int | None = None
    remaining: int | None = None
    retry_after: float = 0.0
    reset_after: float = 0.0
    name: str = ""
    source: str = "redis"
    banned: bool = False
    shadow: bool = False
    quotas: tuple[Quota, ...] = ()
    age: float = 0.0

    def __bool__(self) -> bool:
        return self.allowed or self.shadow

    def later(self, seconds: float) -> Decision:
        """This denial as it stands so many ``seconds`` later."""
        return _made(
            self.allowed, self.limit, self.remaining, self.retry_after - seconds, max(0.0, self.reset_after - seconds),
            self.name, "denied before", self.banned, self.shadow, self.quotas, seconds,
        )  # fmt: skip

    @property
    def retry_after_seconds(self) -> int | None:
        """Whole seconds for ``Retry-After``, at least 1; None if it is never allowed, or allowed now."""
        return None if self.allowed or self.retry_after == inf else max(1, ceil(self.retry_after))


_new: Final = object.__new__
_PUT: Final = tuple(getattr(Decision, each.name).__set__ for each in fields(Decision))


def _made(  # noqa: PLR0913, PLR0917 - its fields, in their order
    allowed: bool, limit: int | None, remaining: int | None, retry_after: float, reset_after: float, name: str,  # noqa: FBT001
    source: str, banned: bool, shadow: bool, quotas: tuple[Quota, ...], age: float,  # noqa: FBT001
) -> Decision:  # fmt: skip
    """A decision of these values, slot by slot: ``__init__``, which gets round the freezing, takes twice as long."""
    made: Decision = _new(Decision)
    put0, put1, put2, put3, put4, put5, put6, put7, put8, put9, put10 = _PUT
    put0(made, allowed)
    put1(made, limit)
    put2(made, remaining)
    put3(made, retry_after)
    put4(made, reset_after)
    put5(made, name)
    put6(made, source)
    put7(made, banned)
    put8(made, shadow)
    put9(made, quotas)
    put10(made, age)
    return made


def decide(
    name: str,
    quotas: tuple[Quota, ...],
    denied: tuple[bool, ...],
    *,
    banned_for: float | None,
    source: str,
    shadow: bool,
) -> Decision:
    """The decision of one throttle.

    ``denied``: by which of its ``quotas``. ``banned_for``: seconds, None: not banned.
    """
    if banned_for is not None:
        # Who waits until the ban is over may still have to wait for a rate.
        wait = max(banned_for, *(quota.retry_after for quota in quotas)) if quotas else banned_for
        return Decision(
            allowed=False, limit=quotas[0].rate.limit if quotas else None, remaining=0, retry_after=wait,
            reset_after=max(banned_for, *(quota.reset_after for quota in quotas)) if quotas else banned_for, name=name,
            source=source, banned=True, shadow=shadow, quotas=quotas,
        )  # fmt: skip
    if not quotas:
        return Decision(allowed=True, name=name, source=source, shadow=shadow)
    allowed = True not in denied
    if len(quotas) == 1:
        [chief] = quotas
    elif allowed:
        chief = min(quotas, key=lambda quota: quota.remaining)
    else:
        chief = max(
            (quota for quota, no in zip(quotas, denied, strict=True) if no), key=lambda quota: quota.retry_after
        )
    return _made(
        allowed, chief.rate.limit, chief.remaining, chief.retry_after, chief.reset_after, name, source, False, shadow,
        quotas, 0.0,
    )  # fmt: skip
