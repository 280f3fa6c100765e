"""Session engines: Django's, its peers' and ours, all by the interface that Django has for them."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import import_module
from typing import Any

from django.conf import settings
from django.db import connections

from bench.doors.plan import BEGIN, CHANGE, LOAD, THREADS, VIEW_SECONDS
from bench.doors.ways import Way

__all__ = ["WAYS", "Sessions", "contents"]

_USER = "_auth_user_id"


def contents(user: int) -> dict[str, Any]:
    """What is in the session of a user: a log-in, and what a shop keeps; about 300 bytes as JSON."""
    return {
        _USER: str(user),
        "_auth_user_backend": "django.contrib.auth.backends.ModelBackend",
        "_auth_user_hash": f"{user:064x}",
        "language": "en",
        "cart": [{"article": 1000 + user + at, "number": at + 1} for at in range(3)],
        "seen": 0,
    }


class Sessions(Way):
    """The engine of ``SESSION_ENGINE``; a request is: make a store, load, perhaps change one value and save."""

    def __init__(self, **given: Any) -> None:
        self._store: Callable[..., Any] = partial(import_module(settings.SESSION_ENGINE).SessionStore, **given)
        self._ids: list[str] = []
        self._numbers = itertools.count(1)
        self.calls = {LOAD: self._load, CHANGE: self._change, BEGIN: self._begin}

    def fill(self, entries: int) -> None:
        self._ids = [self._begin(user) for user in range(1, entries + 1)]
        for each in self._ids:
            self._load(each)

    def argument(self, case: str, at: int) -> Any:
        user = at % len(self._ids)
        if case == BEGIN:
            return user + 1
        return self._ids[user] if case == LOAD else (self._ids[user], next(self._numbers))

    def wrong(self, case: str, argument: Any, answer: Any) -> str:
        expected: Any
        found: Any
        if case == LOAD:
            expected, found = str(self._ids.index(argument) + 1), answer
        elif case == CHANGE:
            expected, found = argument[1], self._store(argument[0]).get("seen")
        else:
            store = self._store(answer)
            expected, found = contents(argument), {key: store.get(key) for key in contents(argument)}
            store.delete()
        return "" if found == expected else f"a session has {found!r} instead of {expected!r}"

    def race(self, requests: int) -> int | None:
        session_id = self._begin(1)

        def serve(numbers: range) -> None:
            for at in numbers:
                store = self._store(session_id)
                store.get(_USER)
                time.sleep(VIEW_SECONDS)
                store[f"request {at}"] = True
                store.save()
            self.end_thread()

        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(serve, (range(at, requests, THREADS) for at in range(THREADS))))
        left = self._store(session_id)
        return sum(f"request {at}" in left for at in range(requests))

    def end_thread(self) -> None:
        connections.close_all()
        if settings.SESSION_ENGINE.startswith("redis_toolkit"):
            from redis_toolkit.core.connections import link

            link().close()

    def _load(self, session_id: str) -> Any:
        return self._store(session_id).get(_USER)

    def _change(self, told: tuple[str, int]) -> None:
        store = self._store(told[0])
        store["seen"] = told[1]
        store.save()

    def _begin(self, user: int) -> str:
        store = self._store()
        store.update(contents(user))
        store.save()
        key: str = store.session_key
        return key


_ENGINES = ("ours", "ours-signed", "ours-encrypted", "django-cache", "django-cached-db", "django-db")
WAYS: dict[str, Callable[[], Way]] = {
    **dict.fromkeys(_ENGINES, Sessions),
    # Its middleware tells it these of each request.
    "qsessions": partial(Sessions, user_agent="Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Firefox/143.0", ip="10.1.2.3"),
}
