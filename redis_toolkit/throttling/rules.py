"""Rules: a throttle and whom it is for, as the doors have it: which requests, who is counted, what it costs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from http import HTTPMethod
from typing import Any, Final, NamedTuple

from django.http import HttpRequest
from django.utils.module_loading import import_string

from redis_toolkit.core.clients import client_of
from redis_toolkit.core.networks import Networks
from redis_toolkit.exceptions import Misconfigured
from redis_toolkit.throttling import subjects
from redis_toolkit.throttling.bans import Ban
from redis_toolkit.throttling.checking import OUTAGES, Asked
from redis_toolkit.throttling.entries import Limits
from redis_toolkit.throttling.identities import identified
from redis_toolkit.throttling.rates import Given, rates
from redis_toolkit.throttling.subjects import Key
from redis_toolkit.throttling.throttles import units

__all__ = ["Case", "Declared", "Rule", "checked_words", "declared"]

#: All that ``method="unsafe"`` does not mean.
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_METHODS: Final = frozenset(each.value for each in HTTPMethod)

#: A rate, a rate by tier, or what gives either for a request.
Rates = Given | Mapping[str, Given] | Callable[[HttpRequest], Given]


class Case(NamedTuple):
    """A rule that applies to a request, and what is ``asked`` of Redis."""

    rule: Rule
    asked: Asked


class Rule:
    """A throttle and whom it is for.

    ``rate``: as for Throttle; or by tier (``{"free": "10/m", "pro": "100/m"}``, then ``tier`` tells a request's); or a
    callable that takes the request. ``key``: who is counted (subjects.py). ``cost``: units, or a callable that takes
    the request. ``method``: one, several, or "unsafe". ``exempt`` and ``deny``: networks that are not counted, and that
    are kept out. ``refund_on``: takes the response, and says whether the hit is given back. ``after_login``: it is
    asked when the user is known, for callables that look at ``request.user``. The rest as for Throttle. Raises
    Misconfigured, for all that a deployment should not begin with.
    """

    def __init__(  # noqa: PLR0913 - each is a word of the rule
        self, name: str, rate: Rates, *, key: subjects.Given = "user_or_ip", algorithm: str = "gcra",
        cost: int | Callable[[HttpRequest], int] = 1, method: str | Iterable[str] | None = None,
        exempt: str | Iterable[str] = (), deny: str | Iterable[str] = (), on_outage: str = "local",
        punitive: bool = False, ban: Ban | Mapping[str, Any] | None = None, shadow: bool = False,
        tier: str | Callable[[HttpRequest], str] | None = None, refund_on: Callable[[Any], bool] | None = None,
        after_login: bool = False,
    ) -> None:  # fmt: skip
        self.name = name
        self.on_outage = on_outage
        self.shadow = shadow
        self.refund_on = refund_on
        self._rate = rate
        self._algorithm, self._punitive = algorithm, punitive
        try:
            flags = {"punitive": punitive, "shadow": shadow, "after_login": after_login}
            _check_words(name, on_outage, flags, refund_on, ban)
            self.key = Key(key)
            self._tier = _callable(tier, "tier") if tier is not None else None
            self._methods = _methods(method)
            self._exempt, self._deny = Networks(_several(exempt)), Networks(_several(deny))
            self._ban = Ban(**ban) if isinstance(ban, Mapping) else ban
            for each in rate.values() if isinstance(rate, Mapping) else () if callable(rate) else (rate,):
                self._limits(each)
            self._cost = cost if callable(cost) else units(cost)
        except (TypeError, ValueError, Misconfigured) as error:
            raise Misconfigured(f"The throttle {name!r} cannot be: {error}") from error
        if isinstance(rate, Mapping) and self._tier is None:
            raise Misconfigured(f"The throttle {name!r} has a rate for each tier, so it needs tier=, a callable.")
        #: Whether it is to be asked when it is known who is logged in.
        self.needs_user = self.key.needs_user or after_login
        #: Whether it calls code of the project's, which may ask the database.
        self.calls = self.key.calls or callable(rate) or callable(cost) or self._tier is not None

    def __repr__(self) -> str:
        return f"Rule({self.name!r})"

    def case(self, request: HttpRequest, user: Any) -> Case | None:
        """What is to be asked for ``request``, of ``user`` (None where ``key.needs_user`` is False); None: nothing."""
        if self._methods is not None and not self._methods(request.method or ""):
            return None
        if self._exempt:
            address = client_of(request).address
            if address is not None and address in self._exempt:
                return None
        parts = self.key.of(request, user)
        if parts is None:
            return None
        limits = self._limits(self._given(request))
        cost = self._cost if isinstance(self._cost, int) else units(self._cost(request))
        return Case(self, Asked(limits, *identified(parts), cost, self.on_outage))

    def denies(self, request: HttpRequest) -> bool:
        """Whether the client's network is on the deny list."""
        address = client_of(request).address if self._deny else None
        return address is not None and address in self._deny

    @property
    def bans(self) -> bool:
        """Whether denials earn a ban."""
        return self._ban is not None

    @property
    def any_limits(self) -> Limits:
        """What has its name and its ban, whatever its rates are: for a ban by hand."""
        return self._limits(None)

    def _given(self, request: HttpRequest) -> Given:
        rate = self._rate
        if isinstance(rate, Mapping):
            tier = str(self._tier(request)) if self._tier is not None else ""
            if tier not in rate:
                raise Misconfigured(f"The throttle {self.name!r} has no rate for the tier {tier!r}: {', '.join(rate)}.")
            return rate[tier]
        return rate(request) if callable(rate) else rate

    def _limits(self, given: Given) -> Limits:
        return _made(self.name, rates_of(given), self._algorithm, self._punitive, self._ban, self.shadow)


def rates_of(given: Given) -> tuple[Any, ...]:
    """The rates that are given, worked out once for what is written as text."""
    return _parsed(given) if isinstance(given, str) else rates(given)


_parsed = lru_cache(1024)(rates)


@lru_cache(1024)
def _made(
    name: str, found: tuple[Any, ...], algorithm: str, punitive: bool, ban: Ban | None, shadow: bool,  # noqa: FBT001
) -> Limits:  # fmt: skip
    return Limits(name, found, algorithm, punitive=punitive, ban=ban, shadow=shadow)


def _methods(given: str | Iterable[str] | None) -> Callable[[str], bool] | None:
    """Whether a method is meant. HEAD does what GET does, and "unsafe" is whatever is not known to be safe."""
    if given is None:
        return None
    if given == "unsafe":
        return lambda method: method not in SAFE
    names = frozenset(each.upper() for each in _several(given))
    unknown = names - _METHODS
    if unknown:
        close = get_close_matches(min(unknown), _METHODS, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(f'method= takes methods of HTTP or "unsafe", not {min(unknown)!r}.{hint}')
    meant = names | {"HEAD"} if "GET" in names else names
    return lambda method: method in meant


def _several(given: str | Iterable[str]) -> list[str]:
    return [given] if isinstance(given, str) else list(given)


def _check_words(name: object, on_outage: object, flags: Mapping[str, object], refund_on: object, ban: object) -> None:
    if not isinstance(name, str) or not name:
        raise ValueError("a throttle has a name: by that it is counted.")
    for word, value in flags.items():
        if not isinstance(value, bool):
            raise ValueError(f"{word}= is True or False, not {value!r}.")  # noqa: TRY004 - both are one to the caller
    if on_outage not in OUTAGES:
        raise ValueError(f"on_outage is one of {', '.join(OUTAGES)}, not {on_outage!r}.")
    if refund_on is not None and not callable(refund_on):
        raise ValueError(f"refund_on= is a callable that takes the response, not {refund_on!r}.")
    if ban is not None and not isinstance(ban, Ban | Mapping):
        raise ValueError(f"ban= is a Ban, or a dict of its words, not {ban!r}.")


def _callable(given: Any, what: str) -> Callable[[HttpRequest], Any]:
    found: Any = given
    if isinstance(given, str):
        try:
            found = import_string(given)
        except ImportError as error:
            raise Misconfigured(f"{what}={given!r} of a throttle cannot be imported: {error}") from error
    if not callable(found):
        raise Misconfigured(f"{what} of a throttle is a callable that takes the request, or its dotted path.")
    function: Callable[[HttpRequest], Any] = found
    return function


#: What a rule may have, in code; and in the settings.
_WORDS: Final = (
    "key", "algorithm", "cost", "method", "exempt", "deny", "on_outage", "punitive", "ban", "shadow", "tier",
    "refund_on", "after_login",
)  # fmt: skip
_DECLARED: Final = ("rate", *(word for word in _WORDS if word != "refund_on"), "paths")


def checked_words(where: str, given: Iterable[str], known: Sequence[str] = _WORDS) -> None:
    """Raise Misconfigured for a word that means nothing, with the one that may be meant."""
    for word in given:
        if word not in known:
            close = get_close_matches(word, known, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise Misconfigured(f"{where} has {word!r}, which means nothing.{hint}")


class Declared(NamedTuple):
    """A rule of the settings, and the beginnings of the paths that it is for."""

    rule: Rule
    paths: tuple[str, ...]


def declared(given: Mapping[str, Mapping[str, Any]]) -> dict[str, Declared]:
    """The rules of ``REDIS_TOOLKIT_THROTTLES`` by name. Raises Misconfigured, naming what is wrong in which."""
    found = {}
    for name, words in given.items():
        checked_words(f"REDIS_TOOLKIT_THROTTLES[{name!r}]", words, _DECLARED)
        if "rate" not in words:
            raise Misconfigured(f'REDIS_TOOLKIT_THROTTLES[{name!r}] needs a rate: {{"rate": "100/m"}}.')
        rest = {word: value for word, value in words.items() if word != "paths"}
        for word in ("rate", "cost"):
            if isinstance(rest.get(word), str) and "/" not in rest[word] and "." in rest[word]:
                rest[word] = _callable(rest[word], word)
        found[name] = Declared(Rule(name, **rest), _paths(name, words.get("paths", ("/",))))
    return found


def _paths(name: str, given: Any) -> tuple[str, ...]:
    paths: Sequence[Any] = (given,) if isinstance(given, str) else given if isinstance(given, Sequence) else (None,)
    if not all(isinstance(path, str) and path.startswith("/") for path in paths):
        raise Misconfigured(f'paths of REDIS_TOOLKIT_THROTTLES[{name!r}] begin with a slash: ["/api/"].')
    return tuple(paths)
