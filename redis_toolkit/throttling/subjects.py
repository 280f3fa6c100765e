"""Whom ``key=`` names: read from a request, or typed by a person."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any, Final

from django.http import HttpRequest, RawPostDataException, UnreadablePostError
from django.utils.module_loading import import_string

from redis_toolkit.core.clients import client_address, counted_address
from redis_toolkit.exceptions import Misconfigured
from redis_toolkit.throttling.identities import CALLED, written

__all__ = ["Given", "Key", "normal"]

#: Characters of a value that is normalised; of a longer one the digest is counted.
_LONGEST: Final = 256
#: Bytes of a JSON body that are read for a field.
_LARGEST: Final = 256 * 1024

Found = str | tuple[str, ...] | None
Part = Callable[[HttpRequest, Any], Found]
#: What ``key=`` may be: a name, a dotted path, a callable that takes the request; or several, all of which count.
Given = str | Callable[[HttpRequest], Any] | Sequence["str | Callable[[HttpRequest], Any]"]


class Key:
    """What ``key=`` names. Raises Misconfigured for what it cannot name."""

    def __init__(self, given: Given) -> None:
        whole: Any = given
        if not isinstance(whole, str | Sequence) and not callable(whole):
            raise Misconfigured(f"key= takes names and callables, not {whole!r}.")
        parts: Sequence[Any] = (given,) if isinstance(given, str) or callable(given) else tuple(given)
        if not parts:
            raise Misconfigured('key= names nobody. "ip" counts by address, "global" everybody together.')
        self._parts = [_part(part) for part in parts]
        #: Whether it is to be told who is logged in.
        self.needs_user = any(part in {"user", "user_or_ip"} for part in parts)
        #: Whether it calls code of the project's, which may ask the database.
        self.calls = any(name.startswith(CALLED) for name, _ in self._parts)

    def __str__(self) -> str:
        return ", ".join(name.removeprefix(CALLED) for name, _ in self._parts)

    def of(self, request: HttpRequest, user: Any) -> tuple[str, ...] | None:
        """The parts of the identity of ``request``, of this ``user``; None: nobody is counted."""
        found: list[str] = []
        for name, part in self._parts:
            value = part(request, user)
            if value is None:
                return None
            found.append(name)
            found += (value,) if isinstance(value, str) else value
        return tuple(found)

    def parts_from(self, words: Sequence[str]) -> tuple[str, ...]:
        """The parts of an identity that a person has typed, as they are counted. Raises ValueError with their shape."""
        left, found = list(words), []
        for name, _ in self._parts:
            if not left or left.pop(0) not in {name, name.removeprefix(CALLED)}:
                raise ValueError(self._shape)
            kind = name
            found.append(name)
            if name == "user_or_ip":
                kind = left.pop(0) if left else ""
                if kind not in {"user", "ip"}:
                    raise ValueError(self._shape)
                found.append(kind)
            if name == "global":
                found.append("")
                continue
            value = _typed(kind, left.pop(0)) if left else None
            if value is None:
                raise ValueError(self._shape)
            found.append(value)
        if left:
            raise ValueError(self._shape)
        return tuple(found)

    @property
    def _shape(self) -> str:
        shapes = {"ip": "ip ADDRESS", "user": "user KEY", "user_or_ip": "user_or_ip ip ADDRESS, or user_or_ip user KEY"}
        shapes |= {"path": "path PATH", "token": "token HANDLE", "global": "global"}
        return "It is: " + " ".join(shapes.get(name, f"{name.removeprefix(CALLED)} TEXT") for name, _ in self._parts)


def _typed(kind: str, word: str) -> str | None:
    if kind == "ip":
        return counted_address(word)
    return word if kind in {"user", "path", "token"} or kind.startswith(CALLED) else normal(word)


def _ip(request: HttpRequest, _: Any) -> str:
    return client_address(request)


def _user(_: HttpRequest, user: Any) -> str | None:
    return None if user is None or not user.is_authenticated else str(user.pk)


def _user_or_ip(request: HttpRequest, user: Any) -> tuple[str, str]:
    known = _user(request, user)
    return ("ip", client_address(request)) if known is None else ("user", known)


def _path(request: HttpRequest, _: Any) -> str:
    return _bounded(request.path_info)


def _token(request: HttpRequest, _: Any) -> str | None:
    # (Tokens are another room: found as a project's own callable is, by a dotted path.)
    found: str | None = import_string("redis_toolkit.tokens.identities.token_identity")(request)
    return found


def _everybody(*_: Any) -> str:
    return ""


def _posted(request: HttpRequest, name: str) -> Any:
    try:
        # (A body that is broken or too large is refused here as the view would refuse it: with 400 or 413.)
        return request.POST.get(name)
    except UnreadablePostError:
        return _unread(request)


def _json(request: HttpRequest, name: str) -> Any:
    if "json" not in (request.content_type or ""):
        return _unread(request)
    try:
        if int(request.META.get("CONTENT_LENGTH") or 0) > _LARGEST:
            return _unread(request)
        body = request.body
        found = json.loads(body) if len(body) <= _LARGEST else None
    # (RawPostDataException: somebody has read the stream before us.)
    except (RawPostDataException, UnreadablePostError, ValueError, RecursionError):
        return _unread(request)
    return found.get(name) if isinstance(found, dict) else _unread(request)


def _unread(request: HttpRequest) -> str:
    # Not one for all: then a stranger could use up what is left to everybody whose body we cannot read.
    return f"unread {client_address(request)}"


_NAMES: Final[dict[str, Part]] = {
    "ip": _ip,
    "user": _user,
    "user_or_ip": _user_or_ip,
    "path": _path,
    "token": _token,
    "global": _everybody,
}
#: What is read of a request under a name: ``"header:X-Api-Key"``.
_SOURCES: Final[dict[str, Callable[[HttpRequest, str], Any]]] = {
    "header": lambda request, name: request.headers.get(name),
    "cookie": lambda request, name: request.COOKIES.get(name),
    "get": lambda request, name: request.GET.get(name),
    "post": _posted,
    "json": _json,
}


def _part(given: Any) -> tuple[str, Part]:
    """A part's name and how it is found."""
    if callable(given):
        home, name = getattr(given, "__module__", ""), getattr(given, "__qualname__", type(given).__name__)
        return f"{CALLED}{home}.{name}", _called(given)
    if not isinstance(given, str):
        raise Misconfigured(f"key= takes names and callables, not {given!r}.")
    if given in _NAMES:
        return given, _NAMES[given]
    source, colon, name = given.partition(":")
    if colon and name and source in _SOURCES:
        read = _SOURCES[source]
        return given, lambda request, _: normal(read(request, name))
    if "." in given and not colon:
        try:
            return CALLED + given, _called(import_string(given))
        except ImportError as error:
            raise Misconfigured(f"key={given!r} cannot be imported: {error}") from error
    every = ", ".join([*_NAMES, *(source + ":name" for source in _SOURCES)])
    raise Misconfigured(f"There is no key {given!r}: {every}, a dotted path or a callable.")


def _called(function: Callable[[HttpRequest], Any]) -> Part:
    def part(request: HttpRequest, _: Any) -> str | None:
        found = function(request)
        return None if found is None else written(found)

    return part


def normal(value: object) -> str:
    """A value as it is counted: ``Ada`` and `` ada`` are one. What is no text is nothing."""
    text = value if isinstance(value, str) else str(value) if isinstance(value, int) else ""
    # Forms strip what is sent, however much it was, and so do we before anything is cut off.
    text = text.strip()
    if len(text) > _LONGEST:
        return _bounded(text)
    return unicodedata.normalize("NFKC", text).strip().casefold()


def _bounded(text: str) -> str:
    if len(text) <= _LONGEST:
        return text
    return "long " + blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
