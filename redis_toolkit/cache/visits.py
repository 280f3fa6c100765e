"""Who asks a view, and whether its answer is that visitor's alone.

An answer that was made with a look at the visitor (the user, the session, a message, a CSRF token) must never be given
to another. What is looked at is noticed; in doubt an answer is personal.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, NamedTuple

from django.http import HttpRequest
from django.http.request import HttpHeaders
from django.utils.functional import LazyObject, SimpleLazyObject, empty

from redis_toolkit.cache.portraits import portrait

__all__ = ["Looks", "identity", "is_known", "is_personal", "listening", "may_be_cached"]

#: By these a server or a client says who asks, to views that know nothing of sessions.
_CREDENTIALS: Final = ("HTTP_AUTHORIZATION", "REMOTE_USER", "HTTP_REMOTE_USER")
_BODIES: Final = ("", "0", None)
#: What a request remembers of its headers once it was asked.
_REMEMBERED: Final = ("accepted_types", "accepted_types_by_precedence")
#: The cookie in which Django keeps messages.
_MESSAGES: Final = "messages"


def may_be_cached(request: HttpRequest) -> bool:
    """Whether the answer to a request may be one that is remembered, by what the request itself says.

    Not with credentials of its own, not with a body, which is in no key, and not with messages that wait to be shown.
    """
    meta = request.META
    if request.method not in {"GET", "HEAD"} or any(meta.get(name) for name in _CREDENTIALS):
        return False
    return (
        meta.get("CONTENT_LENGTH") in _BODIES
        and "HTTP_TRANSFER_ENCODING" not in meta
        and _MESSAGES not in request.COOKIES
    )


def is_known(request: HttpRequest) -> bool:
    """Whether anybody has looked who the visitor is: then what was seen may be in whatever hangs on the request."""
    held = vars(request)
    if getattr(held.get("session"), "accessed", False) or not {"_cached_user", "_acached_user"}.isdisjoint(held):
        return True
    user = held.get("user")
    if user is None or (isinstance(user, LazyObject) and user._wrapped is empty):
        return False
    return bool(getattr(user, "is_authenticated", True))


def identity(request: HttpRequest) -> Any:
    """All that the session holds, and the user: as plain values, which no two visitors of different kind share.

    Raises CodecError for a user that is no model's.
    """
    session: Any = getattr(request, "session", None)
    user: Any = getattr(request, "user", None)
    held = None if session is None else (session.session_key, sorted(session.items()))
    return held, portrait(user) if getattr(user, "is_authenticated", False) else None


class Looks(NamedTuple):
    """What was looked at: of ``"user"``, ``"session"``, ``"cookies"``, ``"replaced"``; and headers, in lower case."""

    at: set[str]
    headers: set[str]


@contextmanager
def listening(request: HttpRequest) -> Iterator[Looks]:
    """Note a look at ``request``'s user, session, COOKIES or headers in the block, or another user put in the place.

    The session notes itself when somebody reads from it, but not when its key is asked for; and not every project's
    users come from there.
    """
    looks = Looks(set(), set())
    held: dict[str, Any] = vars(request)
    before = {name: held.get(name) for name in ("user", "session", "COOKIES", "headers")}
    before["COOKIES"] = request.COOKIES
    stand_ins: dict[str, Any] = {
        name: SimpleLazyObject(partial(_look, name, before[name], looks.at))
        for name in ("user", "session")
        if before[name] is not None
    }
    for name in _REMEMBERED:
        # 1. a middleware asks for it  2. the view asks for it too: that would be no look at a header any more.
        held.pop(name, None)
    held.update(
        stand_ins, COOKIES=_Jar(dict.copy(request.COOKIES), looks.at), headers=_Headers(request.META, looks.headers)
    )
    try:
        yield looks
    finally:
        # What a part of a template has looked at, the view around it has looked at.
        if isinstance(before["COOKIES"], _Jar):
            before["COOKIES"].heard(looks.at & {"cookies"})
        if isinstance(before["headers"], _Headers):
            before["headers"].heard(looks.headers)
        for name, own in before.items():
            if name in {"user", "session"} and held.get(name) is not stand_ins.get(name):
                looks.at.add("replaced")
            elif own is None:
                held.pop(name, None)
            else:
                held[name] = own


def _look(name: str, real: Any, looks: set[str]) -> Any:
    looks.add(name)
    return real


class _Headers(HttpHeaders):
    """Headers that note which of them are asked for."""

    def __init__(self, environ: Any, looks: set[str]) -> None:
        super().__init__(environ)
        self._looks = looks

    def heard(self, looks: set[str]) -> None:
        """Note these looks as well."""
        self._looks |= looks

    def __getitem__(self, name: str) -> str:
        self._looks.add(name.replace("_", "-").lower())
        return super().__getitem__(name)

    def __iter__(self) -> Iterator[str]:
        # Whoever goes through them all may answer each request in another way.
        self._looks.add("*")
        return super().__iter__()

    def __repr__(self) -> str:
        self._looks.add("*")
        return super().__repr__()


class _Jar(dict[str, str]):
    """Cookies that note when one looks at them; to find that there are no messages is no look."""

    def __init__(self, cookies: dict[str, str], looks: set[str]) -> None:
        super().__init__(cookies)
        self._looks = looks

    def heard(self, looks: set[str]) -> None:
        """Note these looks as well."""
        self._looks |= looks

    def _look(self, name: object = None) -> None:
        if name != _MESSAGES:
            self._looks.add("cookies")

    def __getitem__(self, name: str) -> str:
        self._look(name)
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        self._look(name)
        return super().__contains__(name)

    def __iter__(self) -> Iterator[str]:
        self._look()
        return super().__iter__()

    def __len__(self) -> int:
        self._look()
        return super().__len__()

    def get(self, name: str, default: Any = None) -> Any:
        self._look(name)
        return super().get(name, default)

    def keys(self) -> Any:
        self._look()
        return super().keys()

    def values(self) -> Any:
        self._look()
        return super().values()

    def items(self) -> Any:
        self._look()
        return super().items()


def _looking(name: str) -> Any:
    way: Any = getattr(dict, name)

    def look(jar: _Jar, *args: Any) -> Any:
        jar._look()
        return way(jar, *args)

    return look


#: Dictionaries do these by themselves, without any of the above.
_QUIET: Final = "__eq__ __ne__ __or__ __repr__ __reversed__ __ror__ copy pop popitem setdefault"
for _name in _QUIET.split():
    setattr(_Jar, _name, _looking(_name))


def is_personal(request: HttpRequest) -> bool:
    """Whether something in what was answered is for this visitor, this once: a token, a message, a session changed."""
    if request.META.get("CSRF_COOKIE_NEEDS_UPDATE") or getattr(request, "_csp_nonce", None):
        return True
    messages: Any = getattr(request, "_messages", None)
    if getattr(messages, "added_new", False) or getattr(messages, "_loaded_data", None):
        return True
    return bool(getattr(getattr(request, "session", None), "modified", False))
