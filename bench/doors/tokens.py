"""Token authentications of Django REST framework: its own, its peer's and ours, set up as documented."""

from __future__ import annotations

import secrets
from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any

from django.db import connections
from django.test import RequestFactory
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.views import APIView

from bench.doors.plan import GOOD, UNKNOWN
from bench.doors.ways import Way

__all__ = ["WAYS"]

_factory = RequestFactory()


class _Tokens(Way):
    """Tokens of users; ``each``: how many a user has, of which the last is used."""

    keyword = "Token"

    def __init__(self, each: int = 1) -> None:
        self._each = each
        self._texts: list[str] = []
        self._call: Callable[[Any], Any] = partial(_said, self._authentication())
        self.calls = {GOOD: self._call, UNKNOWN: self._call}

    def fill(self, entries: int) -> None:
        self._texts = [[self._make(user) for _ in range(self._each)][-1] for user in range(1, entries + 1)]
        for at in range(entries):
            self._call(self.argument(GOOD, at))

    def argument(self, case: str, at: int) -> Any:
        text = self._texts[at % len(self._texts)] if case == GOOD else self._nobodys()
        request = _factory.get("/", headers={"authorization": f"{self.keyword} {text}"})
        return APIView().initialize_request(request)

    def wrong(self, case: str, argument: Any, answer: Any) -> str:
        if case == UNKNOWN:
            return "" if answer is None else f"it let {answer} in"
        text = argument.META["HTTP_AUTHORIZATION"].split()[1]
        expected = self._texts.index(text) + 1
        return "" if answer == expected else f"it took user {expected} for {answer}"

    def end_thread(self) -> None:
        connections.close_all()

    @abstractmethod
    def _authentication(self) -> Any: ...

    @abstractmethod
    def _make(self, user: int) -> str: ...

    def _nobodys(self) -> str:
        """A text that might be a token, and is none."""
        return secrets.token_hex(20)


class _Framework(_Tokens):
    def _authentication(self) -> Any:
        from rest_framework.authentication import TokenAuthentication

        return TokenAuthentication()

    def _make(self, user: int) -> str:
        from rest_framework.authtoken.models import Token

        # (It has one of each user.)
        key: str = Token.objects.get_or_create(user_id=user)[0].key
        return key


class _Knox(_Tokens):
    def _authentication(self) -> Any:
        from knox.auth import TokenAuthentication

        return TokenAuthentication()

    def _make(self, user: int) -> str:
        from django.contrib.auth.models import User
        from knox.models import AuthToken

        text: str = AuthToken.objects.create(User(pk=user))[1]
        return text

    def _nobodys(self) -> str:
        return secrets.token_hex(32)


class _Ours(_Tokens):
    keyword = "Bearer"

    def _authentication(self) -> Any:
        from redis_toolkit.contrib.drf_tokens import TokenAuthentication

        return TokenAuthentication()

    def _make(self, user: int) -> str:
        from redis_toolkit.tokens import make_token

        return make_token(user, name="laptop", scopes=("books:read", "books:write")).text

    def _nobodys(self) -> str:
        from redis_toolkit.tokens import texts

        # Written like one: what is not costs no round trip.
        return texts.mint("rtk_live")

    def end_thread(self) -> None:
        from redis_toolkit.core.connections import link

        super().end_thread()
        link().close()


class _OurTexts(_Ours):
    """``authenticate`` itself, without the framework and the user."""

    def __init__(self) -> None:
        from redis_toolkit.tokens import authenticate

        super().__init__()
        self._call = authenticate
        self.calls = {GOOD: authenticate, UNKNOWN: authenticate}

    def argument(self, case: str, at: int) -> Any:
        return self._texts[at % len(self._texts)] if case == GOOD else self._nobodys()

    def wrong(self, case: str, argument: Any, answer: Any) -> str:
        if case == UNKNOWN:
            return "" if answer is None else f"it knew {answer}"
        expected = str(self._texts.index(argument) + 1)
        return "" if answer is not None and answer.user_id == expected else f"it took user {expected} for {answer}"


def _said(authentication: Any, request: Any) -> int | None:
    try:
        user: Any = authentication.authenticate(request)[0]
    except AuthenticationFailed:
        return None
    key: int = user.pk
    return key


WAYS: dict[str, Callable[[], Way]] = {
    "ours-redis": _Ours,
    "ours-rows": _Ours,
    "ours-rows-due": _Ours,
    "ours-rows-ten": partial(_Ours, 10),
    "ours-redis-text": _OurTexts,
    "ours-rows-text": _OurTexts,
    "drf": _Framework,
    "knox": _Knox,
    "knox-ten": partial(_Knox, 10),
}
