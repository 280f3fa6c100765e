"""``Throttle``: a limit by name, asked by hand. The doors (decorator, middleware, …) ask through the same."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, ParamSpec, TypeVar

from asgiref.sync import sync_to_async

from redis_toolkit.core.clock import monotonic, pause
from redis_toolkit.exceptions import Throttled
from redis_toolkit.signals import throttle_denied
from redis_toolkit.throttling import banning
from redis_toolkit.throttling.bans import Ban
from redis_toolkit.throttling.checking import OUTAGES, Asked, check, drop, refund
from redis_toolkit.throttling.decisions import Decision
from redis_toolkit.throttling.entries import Limits
from redis_toolkit.throttling.identities import Part, digest, identified, label, texts
from redis_toolkit.throttling.rates import Given, rates

__all__ = ["Throttle", "units"]

P = ParamSpec("P")
R = TypeVar("R")


class Throttle:
    """So often and no oftener, for each identity by itself. All throttles of one ``name`` count together.

    ``rate``: ``"100/m"``, ``"10/s, 1000/h"``, a Rate, several of these; None: no limit. ``algorithm``: "gcra",
    "token_bucket", "fixed_window", "sliding_counter" or "sliding_log". ``cost``: units of one hit. ``on_outage``: what
    it says while Redis is away: "open" (allowed), "closed" (denied) or "local" (each process counts for itself).
    ``punitive``: what is denied is charged, too. ``ban``: what repeated denials earn. ``shadow``: it decides and is
    heard (``throttle_denied``), and hinders nobody. Raises ValueError for what cannot be.
    """

    def __init__(  # noqa: PLR0913 - each is a word of the rule
        self, name: str, rate: Given, *, algorithm: str = "gcra", cost: int = 1, on_outage: str = "local",
        punitive: bool = False, ban: Ban | None = None, shadow: bool = False,
    ) -> None:  # fmt: skip
        given: object = name
        if not isinstance(given, str) or not given:
            raise ValueError("A throttle has a name: by that it is counted.")
        if on_outage not in OUTAGES:
            raise ValueError(f"on_outage is one of {', '.join(OUTAGES)}, not {on_outage!r}.")
        self.limits = Limits(name, rates(rate), algorithm, punitive=punitive, ban=ban, shadow=shadow)
        self.cost = units(cost)
        self.on_outage = on_outage

    @property
    def name(self) -> str:
        """The name by which it is counted."""
        return self.limits.name

    def __repr__(self) -> str:
        return f"Throttle({self.name!r}, {', '.join(map(str, self.limits.rates))!r})"

    def hit(self, *identity: Part, cost: int | None = None) -> Decision:
        """Count one use by ``identity``, if that is allowed; one round trip at most."""
        return self._decide(identity, cost, charges=True)

    def peek(self, *identity: Part, cost: int | None = None) -> Decision:
        """What :meth:`hit` would say; nothing is counted."""
        return self._decide(identity, cost, charges=False)

    def refund(self, *identity: Part, cost: int | None = None) -> None:
        """Give back what a hit has counted. Raises StoreUnavailable; OutcomeUnknown if it may have been given back."""
        refund([self._asked(identity, cost)])

    def reset(self, *identity: Part) -> bool:
        """Forget ``identity``, its ban included. Whether anything was known. Raises StoreUnavailable."""
        return drop(self.limits, digest(texts(identity)))

    def ban(self, *identity: Part, length: float | timedelta | None = None) -> None:
        """Ban ``identity`` from now on, for ``length`` (seconds; default that of a first ban). Raises StoreUnavailable.

        Raises Misconfigured for a throttle without ``ban=``: nobody would ask.
        """
        parts = texts(identity)
        banning.ban(self.limits, digest(parts), label(parts), length)

    @contextmanager
    def guard(self, *identity: Part, cost: int | None = None) -> Iterator[Decision]:
        """Count one use, and go on only if that is allowed. Raises Throttled."""
        decision = self.hit(*identity, cost=cost)
        if not decision:
            raise Throttled(decision=decision)
        yield decision

    def wait(self, *identity: Part, cost: int | None = None, timeout: float) -> Decision:
        """Count one use as soon as that is allowed: for workers, not for requests.

        Raises Throttled at once if that is in more than ``timeout`` seconds, counted from the call.
        """
        until = monotonic() + timeout
        asked = self._asked(identity, cost)
        while True:
            [decision] = check([asked])
            if decision:
                return decision
            if monotonic() + decision.retry_after > until:
                self._tell(asked, decision)
                raise Throttled(decision=decision)
            pause(decision.retry_after)

    async def ahit(self, *identity: Part, cost: int | None = None) -> Decision:
        """:meth:`hit`, in a thread."""
        return await _apart(self.hit)(*identity, cost=cost)

    async def apeek(self, *identity: Part, cost: int | None = None) -> Decision:
        """:meth:`peek`, in a thread."""
        return await _apart(self.peek)(*identity, cost=cost)

    async def arefund(self, *identity: Part, cost: int | None = None) -> None:
        """:meth:`refund`, in a thread."""
        await _apart(self.refund)(*identity, cost=cost)

    async def areset(self, *identity: Part) -> bool:
        """:meth:`reset`, in a thread."""
        return await _apart(self.reset)(*identity)

    def _asked(self, identity: tuple[Part, ...], cost: int | None) -> Asked:
        much = self.cost if cost is None else units(cost)
        return Asked(self.limits, *identified(texts(identity)), much, self.on_outage)

    def _decide(self, identity: tuple[Part, ...], cost: int | None, *, charges: bool) -> Decision:
        asked = self._asked(identity, cost)
        [decision] = check([asked], charges=charges)
        if charges and not decision.allowed and throttle_denied.receivers:
            self._tell(asked, decision)
        return decision

    def _tell(self, asked: Asked, decision: Decision) -> None:
        if throttle_denied.receivers:
            throttle_denied.send_robust(
                sender=None, decision=decision, identity=asked.identity, told=asked.told, request=None
            )


def units(cost: object) -> int:
    """A cost. Raises ValueError for what is none."""
    if not isinstance(cost, int) or isinstance(cost, bool) or cost < 0:
        raise ValueError(f"A cost is a whole number of units, 0 or more, not {cost!r}.")
    return cost


# Not in the one thread in which the ORM works: there a check would wait for whatever query is under way.
def _apart(function: Callable[P, R]) -> Callable[P, Coroutine[Any, Any, R]]:
    return sync_to_async(function, thread_sensitive=False)
