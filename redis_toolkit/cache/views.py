"""``cached_view``: what a view answers, remembered under the same stamps as the models it reads.

Whatever is not certainly everybody's is kept for nobody: see ``visits.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from functools import partial, wraps
from math import inf
from typing import Any, Final, TypeVar, cast

from asgiref.sync import async_to_sync, iscoroutinefunction, sync_to_async
from django.core.exceptions import DisallowedHost
from django.db.models import Model
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.timezone import get_current_timezone_name
from django.utils.translation import get_language

from redis_toolkit.cache import visits
from redis_toolkit.cache.asking import ask
from redis_toolkit.cache.awaiting import ask_awaiting
from redis_toolkit.cache.freshness import terms
from redis_toolkit.cache.memos import Memo
from redis_toolkit.cache.reading import Loaded, Question, Source
from redis_toolkit.cache.responses import conditional, label, may_be_kept, pack_response, read_response, varies_by
from redis_toolkit.cache.telling import alone
from redis_toolkit.core.codecs import encode_value
from redis_toolkit.exceptions import CodecError, Misconfigured

__all__ = ["cached_view"]

V = TypeVar("V", bound=Callable[..., Any])

#: Responses that may be kept: whole ones, and those that say there is nothing.
_STATUSES: Final = frozenset({200, 203, 300, 301, 308, 404, 410})
#: Most headers that the answers of one view may vary by.
_MOST_HEADERS: Final = 16


def cached_view(
    *,
    depends_on: Sequence[type[Model] | str],
    ttl: float | timedelta | None = None,
    key: str | None = None,
    vary: Sequence[str] = (),
    private: bool = False,
    max_age: float | timedelta | None = None,
    statuses: Collection[int] = (200,),
) -> Callable[[V], V]:
    """Remember the whole responses of a view, until a row of a model in ``depends_on`` is written.

    ``depends_on``, ``ttl`` and ``key`` are as for :func:`redis_toolkit.cache.cached`. ``vary``: names of headers that
    the view looks at, sent along as ``Vary``; those it reads from ``request.headers``, or names in ``Vary`` itself, are
    learnt.
    ``private``: False keeps only what was answered without a look at the user, the session or a cookie; True keeps one
    response for each user and content of the session. ``max_age``: seconds (or a timedelta) for which browsers may go
    without asking; None: they ask each time, and an ETag makes the answer short. ``statuses``: those that are kept.
    Raises Misconfigured.
    """
    page = _Page(Memo("@cached_view", depends_on, terms(ttl, None, None)), vary, statuses, max_age, private=private)

    def decorate(view: V) -> V:
        name = key or _name_of(view)
        page.memo.what, page.memo.name = f"@cached_view {name}", name
        return cast("V", (_awaited if iscoroutinefunction(view) else _called)(view, name, page))

    return decorate


def _name_of(view: Callable[..., Any]) -> str:
    named: Any = getattr(view, "view_class", view)
    return f"{view.__module__}.{getattr(named, '__qualname__', type(view).__qualname__)}"


class _Page:
    """What was said of a view, and which headers its responses were seen to vary by."""

    def __init__(
        self, memo: Memo, vary: Sequence[str], statuses: Collection[int], max_age: float | timedelta | None, *,
        private: bool,
    ) -> None:  # fmt: skip
        if isinstance(vary, str) or not all(name and name != "*" for name in vary):
            raise Misconfigured(f"vary is a list of the names of headers: vary=['Accept'], not {vary!r}.")
        if not set(statuses) <= _STATUSES or not statuses:
            raise Misconfigured(f"cached_view keeps responses of {sorted(_STATUSES)} only, not of {sorted(statuses)}.")
        self.memo = memo
        self.vary = tuple(vary)
        self.private = private
        self._statuses = frozenset(statuses)
        self._max_age = max_age.total_seconds() if isinstance(max_age, timedelta) else max_age
        if self._max_age is not None and not 0 <= self._max_age < inf:
            raise Misconfigured("max_age is a number of seconds, 0 or more, or a timedelta.")
        #: Grows as responses name more of them, in each process for itself.
        self._headers = frozenset(name.lower() for name in vary)

    def asked(self, request: HttpRequest, name: str, args: Any, kwargs: Any) -> tuple[bytes, frozenset[str]] | None:
        """What is asked, and the headers that are told by it; None: of the view itself, and nothing is kept."""
        if not isinstance(request, HttpRequest):
            # What a framework puts around Django's has a user of its own, and a look at that is not noticed.
            raise TypeError(
                "cached_view was given no request of Django's own: decorate methods with"
                " method_decorator(cached_view(...)), and where a framework wraps requests what as_view() returns."
            )
        if not visits.may_be_cached(request) or (not self.private and visits.is_known(request)):
            return None
        headers = self._headers
        told = [(each, request.headers.get(each)) for each in sorted(headers)]
        try:
            place = (request.scheme, request.get_host(), request.path, request.META.get("QUERY_STRING", ""))
            # A charset in it says how the query string is read.
            form = (request.META.get("CONTENT_TYPE", ""), request.encoding)
            who = visits.identity(request) if self.private else None
            moment = (get_language(), get_current_timezone_name())
            # The whole of it becomes a digest: nothing a visitor sends makes a key any longer.
            return encode_value(("view", name, request.method, place, form, moment, told, who, args, kwargs)), headers
        except (DisallowedHost, CodecError):
            return None

    def alone(self, request: HttpRequest) -> AbstractContextManager[None]:
        """Around an answer of the view itself."""
        # To a POST no other could be expected, so nobody is told of it.
        if request.method not in {"GET", "HEAD"}:
            return nullcontext()
        return alone("view", None, self.memo.alias, self.memo.name)

    def seal(self, request: HttpRequest, response: Any, headers: frozenset[str], looks: visits.Looks) -> Loaded:
        """The response, rendered, and what is to be stored of it, if anything."""
        alone = Loaded(response, None, is_kept=False)
        # By whom the visitor was when he came it is told apart, but not by whom the view has made of him.
        known = not self.private and (bool(looks.at & {"user", "session"}) or visits.is_known(request))
        untold = "replaced" in looks.at or ("cookies" in looks.at and "cookie" not in headers)
        if known or untold or visits.is_personal(request):
            return alone
        if not may_be_kept(response, self._statuses, private=self.private):
            return alone
        named = varies_by(response) | looks.headers
        if "*" in named or ("cookie" in named and "cookie" not in headers):
            return alone
        label(response, [*self.vary, *sorted(looks.headers)], self._max_age, private=self.private)
        if not named <= headers:
            # 1. a response says that it varies by a header  2. its key does not tell that header: it lies nowhere
            # 3. the next is asked for with a key that does.
            if len(self._headers | named) <= _MOST_HEADERS:
                self._headers |= named
            return alone
        try:
            return Loaded(response, pack_response(response), brief=response.status_code in {404, 410})
        except CodecError as error:
            return Loaded(response, None, error=error)


def _render(response: Any) -> Any:
    """The response with its content: a TemplateResponse renders here, where what it looks at is noticed."""
    if isinstance(response, HttpResponseBase) and callable(getattr(response, "render", None)):
        return cast("Any", response).render()
    return response


def _called(view: Callable[..., Any], name: str, page: _Page) -> Callable[..., Any]:
    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        asked = page.asked(request, name, args, kwargs)
        if asked is None:
            with page.alone(request):
                return view(request, *args, **kwargs)
        key, headers = asked

        def load() -> Loaded:
            with visits.listening(request) as looks:
                response = _render(view(request, *args, **kwargs))
            return page.seal(request, response, headers, looks)

        return conditional(request, ask(*page.memo.question("view", key, load, read_response)))

    return answer


def _awaited(view: Callable[..., Any], name: str, page: _Page) -> Callable[..., Any]:
    @wraps(view)
    async def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        identify = partial(page.asked, request, name, args, kwargs)
        # Sessions and users are read by the ORM, in its thread.
        asked = await sync_to_async(identify)() if page.private else identify()
        if asked is None:
            with page.alone(request):
                return await view(request, *args, **kwargs)
        key, headers = asked

        async def load() -> Loaded:
            with visits.listening(request) as looks:
                response = await sync_to_async(_render)(await view(request, *args, **kwargs))
            return page.seal(request, response, headers, looks)

        def begin() -> tuple[Question, Source]:
            return page.memo.question("view", key, async_to_sync(load), read_response)

        return conditional(request, await ask_awaiting(begin, load))

    return answer
