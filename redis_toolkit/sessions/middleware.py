"""``SessionMiddleware``: Django's, which answers 503 while Redis is away, and in an async project waits in no thread.

Put it where Django's stands. An outage costs nobody the cookie: who comes when Redis is back is still logged in.
"""

from __future__ import annotations

import logging
import math
from typing import Final

from asgiref.sync import sync_to_async
from django.contrib.sessions import middleware
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.exceptions import SessionInterrupted
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers
from django.utils.http import http_date
from django.utils.translation import gettext

from redis_toolkit.conf import settings
from redis_toolkit.core.clock import now
from redis_toolkit.exceptions import SessionConflict, SessionLimitReached, StoreUnavailable
from redis_toolkit.sessions import current
from redis_toolkit.sessions.fields import AUTH
from redis_toolkit.sessions.store import SessionStore

__all__ = ["SessionMiddleware"]

_log = logging.getLogger("redis_toolkit.sessions")
#: Methods of requests that change nothing.
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


class SessionMiddleware(middleware.SessionMiddleware):
    """In place of ``django.contrib.sessions.middleware.SessionMiddleware``.

    503 where Redis cannot be reached, by the view or for saving, also where a middleware in between made a 500 of it. A
    page that has not looked at its session goes out, and so does a 503 of the view's own; one of which a condition of a
    template has taken the outage for "not logged in" does not. 409 where a user has as many
    sessions as may be, or another request has changed what is strict. A request whose session was ended meanwhile is
    answered by 400 only if it was to change something, and has changed its session.
    """

    def process_request(self, request: HttpRequest) -> None:
        """Give the request its session. Reads nothing."""
        super().process_request(request)
        store = request.session
        if isinstance(store, SessionStore):
            current.use(store)
            if settings.SESSION_DEVICES:
                store.begun_by(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:  # noqa: ARG002
        """The answer where the view could not do its work without Redis, or nobody else may log in."""
        if isinstance(exception, StoreUnavailable):
            return _unavailable()
        if isinstance(exception, SessionLimitReached | SessionConflict):
            return _conflicting(exception)
        return None

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        """Save the session, and set or delete its cookie."""
        store = _ours(request)
        if store is None:
            return super().process_response(request, response)
        was_accessed, was_modified = store.accessed, store.modified
        answer = _without(store, response)
        if answer is not None:
            return answer
        try:
            empty = store.is_empty()
            if not _is_to_save(response, empty=empty, modified=was_modified):
                return _finished(request, response, ended=empty and was_modified, vary=was_accessed)
            age = None if store.get_expire_at_browser_close() else store.get_expiry_age()
            try:
                store.save()
            except SessionLimitReached as error:
                response = _anonymous(store, error)
                store.save()
        except (UpdateError, SessionConflict) as error:
            return _late(request, response, error, modified=was_modified)
        except StoreUnavailable as error:
            return _failed(response, error, matters=was_accessed or was_modified)
        return _remembered(request, response, store, age)

    async def __acall__(self, request: HttpRequest) -> HttpResponse:
        """The same, awaiting Redis."""
        self.process_request(request)
        response = await self.get_response(request)  # type: ignore[misc]
        return await self._aprocess_response(request, response)

    async def _aprocess_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        store = _ours(request)
        if store is None:
            return await sync_to_async(self.process_response)(request, response)
        was_accessed, was_modified = store.accessed, store.modified
        answer = _without(store, response)
        if answer is not None:
            return answer
        try:
            empty = await store.ais_empty()
            if not _is_to_save(response, empty=empty, modified=was_modified):
                return _finished(request, response, ended=empty and was_modified, vary=was_accessed)
            age = None if await store.aget_expire_at_browser_close() else await store.aget_expiry_age()
            try:
                await store.asave()
            except SessionLimitReached as error:
                response = _anonymous(store, error)
                await store.asave()
        except (UpdateError, SessionConflict) as error:
            return _late(request, response, error, modified=was_modified)
        except StoreUnavailable as error:
            return _failed(response, error, matters=was_accessed or was_modified)
        return _remembered(request, response, store, age)


def _ours(request: HttpRequest) -> SessionStore | None:
    store = getattr(request, "session", None)
    return store if isinstance(store, SessionStore) else None


def _without(store: SessionStore, response: HttpResponse) -> HttpResponse | None:
    """The answer where the session could not be had: nothing is said to the browser about its cookie."""
    if store.unavailable is None:
        return None
    if response.status_code == 503:
        # A view has said so itself, in words or a form of its own.
        return _hurried(response)
    if response.status_code >= 500 or store.is_missed:
        return _unavailable()
    if store.modified:
        return None
    # Somebody has made do without.
    patch_vary_headers(response, ("Cookie",))
    return response


def _is_to_save(response: HttpResponse, *, empty: bool, modified: bool) -> bool:
    wanted = modified or settings.django("SESSION_SAVE_EVERY_REQUEST")
    return bool(wanted and not empty and response.status_code < 500)


def _finished(request: HttpRequest, response: HttpResponse, *, ended: bool, vary: bool) -> HttpResponse:
    """Without saving: the cookie of a session that this request has ended goes.

    One of an id that nobody knows stays, as harmless as it is. 1. A slow page asks for something  2. somebody logs in,
    and the session has a new id  3. the slow one finds no session by the old id: its answer must not delete the cookie
    that has the new one.
    """
    name = settings.django("SESSION_COOKIE_NAME")
    if ended and name in request.COOKIES:
        response.delete_cookie(
            name,
            path=settings.django("SESSION_COOKIE_PATH"),
            domain=settings.django("SESSION_COOKIE_DOMAIN"),
            samesite=settings.django("SESSION_COOKIE_SAMESITE"),
        )
        vary = True
    if vary:
        patch_vary_headers(response, ("Cookie",))
    return response


def _remembered(request: HttpRequest, response: HttpResponse, store: SessionStore, age: int | None) -> HttpResponse:
    """With the cookie of a session that was saved.

    Not where there was nothing to write, for it was not asked whether the session is there still: 1. a page asks for
    two things  2. one logs in, and the session has a new id  3. the other's cookie would put the old one in its place.
    """
    name = settings.django("SESSION_COOKIE_NAME")
    if store.session_key is not None and (store.has_written or request.COOKIES.get(name) != store.session_key):
        response.set_cookie(
            name,
            store.session_key,
            max_age=age,
            expires=None if age is None else http_date(now() + age),
            domain=settings.django("SESSION_COOKIE_DOMAIN"),
            path=settings.django("SESSION_COOKIE_PATH"),
            secure=settings.django("SESSION_COOKIE_SECURE") or False,
            httponly=settings.django("SESSION_COOKIE_HTTPONLY") or False,
            samesite=settings.django("SESSION_COOKIE_SAMESITE"),
        )
    patch_vary_headers(response, ("Cookie",))
    return response


def _late(
    request: HttpRequest, response: HttpResponse, error: UpdateError | SessionConflict, *, modified: bool
) -> HttpResponse:
    """The session has changed, has ended, or has another id, while the request was served.

    1. A page asks for two things  2. one logs in, and the session has a new id  3. the other saves under the old one.
    What it has found is as good as a moment ago, and its cookie must not take the place of the new one. Where it was to
    change something, and its session has lost that, who sent it is told.
    """
    if isinstance(error, SessionConflict):
        return _conflicting(error)
    if modified and request.method not in _SAFE:
        raise SessionInterrupted(
            "The request's session was deleted before the request completed. The user may have logged out in a"
            " concurrent request, for example.",
        )
    patch_vary_headers(response, ("Cookie",))
    return response


def _failed(response: HttpResponse, error: StoreUnavailable, *, matters: bool) -> HttpResponse:
    if matters:
        return _unavailable()
    _log.warning("A session that no view has looked at was not made to last longer: %s", error)
    return response


def _anonymous(store: SessionStore, error: SessionLimitReached) -> HttpResponse:
    """Nobody is logged in, and what else the session holds is kept."""
    for key in AUTH:
        store.pop(key.decode(), None)
    return _conflicting(error)


def _conflicting(error: SessionLimitReached | SessionConflict) -> HttpResponse:
    if isinstance(error, SessionLimitReached):
        # (The error's own text is for who has set the limit.)
        text = gettext("You are logged in on as many devices as you may be. Log out on one of them first.")
    else:
        text = str(error)
    response = HttpResponse(f"{text}\n", status=409, content_type="text/plain; charset=utf-8")
    response["Cache-Control"] = "no-store"
    return response


def _unavailable() -> HttpResponse:
    text = "The service cannot tell who you are just now. Please try again in a moment; nobody was logged out.\n"
    return _hurried(HttpResponse(text, status=503, content_type="text/plain; charset=utf-8"))


def _hurried(response: HttpResponse) -> HttpResponse:
    response.setdefault("Retry-After", str(max(1, math.ceil(settings.BREAKER_RETRY))))
    response.setdefault("Cache-Control", "no-store")
    patch_vary_headers(response, ("Cookie",))
    return response
