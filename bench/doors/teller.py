"""The process whose pages are timed: it asks for codes, and types wrong ones, for known and for unknown addresses."""

from __future__ import annotations

import gc
import itertools
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import redis
from django.conf import settings
from django.core.handlers.base import BaseHandler
from django.db import connection
from django.http import HttpResponseBase
from django.test import RequestFactory

from bench.doors import people
from bench.doors.player import move_all
from bench.doors.telling import CLOCKS, DOORS, EARLY, KINDS, KNOWN, LOCKED_KNOWN, LOCKED_UNKNOWN
from bench.doors.urls import CODE, LOG_IN
from bench.doors.urls import EARLY as EARLY_URL
from bench.stopwatch import versions
from redis_toolkit.otp.browsers import get_pending, whose
from redis_toolkit.otp.views import login_code
from redis_toolkit.testing.otp import code_clock, fixed_code

__all__ = ["Teller"]

_ISSUING, _VERIFYING = DOORS
_LOCKED = (LOCKED_KNOWN, LOCKED_UNKNOWN)
_RIGHT, _WRONG = "271828", "314159"
#: Requests of a block that are not counted: caches were another's until then.
_WARM = 20
_COOLDOWN = 31

_factory = RequestFactory()


@dataclass(slots=True)
class _Subject:
    """An address that is asked for, from one of its own; and the cookie of the session that then waits."""

    kind: str
    address: str
    ip: str
    cookie: str = ""


class Teller:
    """The orders a worker understands; every public method is one."""

    def __init__(self) -> None:
        people.begin(0)
        with connection.cursor() as cursor:
            # So that it is found without looking at all of them.
            cursor.execute("CREATE INDEX by_address ON auth_user (UPPER(email::text))")
        self._handler = BaseHandler()
        self._handler.load_middleware()
        self._numbers = itertools.count(1)
        self._redis = redis.Redis.from_url(settings.REDIS_URL)

    def versions(self) -> dict[str, str]:
        """What answers at the other end."""
        return versions(self._redis)

    def move(self, processor: int) -> None:
        """Work on that processor alone from now on, and have PostgreSQL do so for this process."""
        move_all(processor)

    def block(self, size: int, seed: str) -> dict[str, Any]:
        """Time requests for so many subjects of each kind, in random order: µs, and what was wrong."""
        dice = random.Random(seed)
        self._redis.flushdb()
        subjects = [self._subject(kind) for kind in KINDS for _ in range(size)]
        people.add([each.address for each in subjects if each.kind in {KNOWN, LOCKED_KNOWN}])
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE auth_user")
        with fixed_code(_RIGHT):
            self._lock([each for each in subjects if each.kind in _LOCKED])
        wrong: Counter[str] = Counter()
        issuing = self._timed(dice.sample(subjects, len(subjects)), _ISSUING, _asks, wrong)
        verifying = self._timed(dice.sample(subjects, len(subjects)), _VERIFYING, _tries, wrong)
        return {**issuing, **verifying, "wrong": wrong}

    def _subject(self, kind: str) -> _Subject:
        number = next(self._numbers)
        ip = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        # All of one length, so that answers are.
        return _Subject(kind, f"user{number:08}@example.com", ip)

    def _lock(self, subjects: list[_Subject]) -> None:
        """Type ten wrong codes for each, five of each code."""
        requests = []
        for each in subjects:
            request = _asks(each)
            self._keep(each, self._handler.get_response(request))
            requests.append(request)
        with code_clock() as clock:
            for at in range(2):
                for request in requests:
                    terms, challenge = whose(request, login_code.name), get_pending(request, "login")["challenge"]
                    if at:
                        login_code.resend(challenge, **terms)
                    for _ in range(5):
                        login_code.verify(challenge, _WRONG, binding=terms["binding"])
                clock.move(_COOLDOWN)

    def _timed(
        self, order: list[_Subject], door: str, make: Callable[[_Subject], Any], wrong: Counter[str]
    ) -> dict[str, dict[str, list[float]]]:
        times: dict[str, dict[str, list[float]]] = {
            f"{door}, {clock}": {kind: [] for kind in KINDS} for clock in CLOCKS
        }
        lengths: dict[str, set[int]] = {kind: set() for kind in KINDS}
        gc.collect()
        gc.disable()
        for at, each in enumerate(order):
            request = make(each)
            began = time.perf_counter(), time.thread_time()
            response: Any = self._handler.get_response(request)
            ended = time.perf_counter(), time.thread_time()
            expected = 429 if each.kind in _LOCKED else 302 if door == _ISSUING else 200
            if response.status_code != expected:
                wrong[f"{door}, {each.kind}: status {response.status_code} instead of {expected}"] += 1
            lengths[each.kind].add(len(response.content))
            if door == _ISSUING and each.kind not in _LOCKED:
                self._keep(each, response)
            else:
                response.close()
            if at >= _WARM:
                for of, start, end in zip(times.values(), began, ended, strict=True):
                    of[each.kind].append((end - start) * 1e6)
        gc.enable()
        for one, other in itertools.pairwise(kind for kind in KINDS if kind != EARLY):
            if (one in _LOCKED) == (other in _LOCKED) and lengths[one] != lengths[other]:
                wrong[f"{door}: answers for {one} and {other} are not of one length: {lengths}"] += 1
        return times

    def _keep(self, subject: _Subject, response: HttpResponseBase) -> None:
        subject.cookie = response.cookies[settings.SESSION_COOKIE_NAME].value
        # Whatever is sent is sent now, when the answer is out.
        response.close()


def _asks(subject: _Subject) -> Any:
    """Of somebody who comes for the first time: without a session."""
    path = EARLY_URL if subject.kind == EARLY else LOG_IN
    return _request(subject, path, {"email": subject.address})


def _tries(subject: _Subject) -> Any:
    return _request(subject, CODE, {"code": _WRONG}, cookie=f"{settings.SESSION_COOKIE_NAME}={subject.cookie}")


def _request(subject: _Subject, path: str, told: dict[str, str], cookie: str = "") -> Any:
    request: Any = _factory.post(path, told, REMOTE_ADDR=subject.ip, HTTP_COOKIE=cookie)
    request._dont_enforce_csrf_checks = True  # noqa: SLF001 - as Django's own test client has it
    return request
