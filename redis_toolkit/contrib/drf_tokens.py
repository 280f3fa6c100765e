"""API tokens for Django REST framework.

    REST_FRAMEWORK = {
        "DEFAULT_AUTHENTICATION_CLASSES": ["redis_toolkit.contrib.drf_tokens.TokenAuthentication"],
    }

    class Shelf(APIView):
        permission_classes = [HasScope.of("books:read")]

``request.auth`` is the :class:`redis_toolkit.tokens.Token`. A view that makes tokens has ``MayMakeTokens`` among its
permissions and :class:`ShownOnce` among its bases, and asks ``MayMakeTokens.may_give`` about the scopes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import ceil
from typing import Any, ClassVar, Final

from django.core.exceptions import ImproperlyConfigured
from django.db import InterfaceError, OperationalError
from django.utils.cache import patch_cache_control, patch_vary_headers
from django.views.decorators.debug import sensitive_variables
from rest_framework import exceptions, status
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission

from redis_toolkit.conf import settings
from redis_toolkit.exceptions import StoreUnavailable, UnknownScope
from redis_toolkit.tokens import Token, authenticate, user_of
from redis_toolkit.tokens.entries import check_scopes
from redis_toolkit.tokens.identities import text_of

__all__ = [
    "HasScope",
    "MayMakeTokens",
    "ShownOnce",
    "StoreAway",
    "TokenAuthentication",
    "TokenHasScope",
    "TokenRefused",
]

#: The scope by which a token may make others.
_MAKES: Final = "tokens:create"


class StoreAway(exceptions.APIException):
    """503: whether the token is good cannot be known now, so nobody is let in and nobody is told that it is bad."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_detail = "Tokens cannot be checked at the moment. Try again in a while."
    default_code = "store_unavailable"

    def __init__(self) -> None:
        super().__init__()
        #: Seconds, which DRF says in Retry-After.
        self.wait = max(1, ceil(settings.BREAKER_RETRY))


class TokenRefused(exceptions.AuthenticationFailed):
    """401, with what RFC 6750 has in ``WWW-Authenticate``, wherever in the list of classes tokens are.

    DRF would ask the first of them what to say, and make it 403 if that has nothing to say (``SessionAuthentication``).
    """

    # One text for all reasons: who has found a token is not told whether it ever was one.
    default_detail = "Invalid token."
    default_code = "invalid_token"

    def __init__(self, challenge: str) -> None:
        super().__init__()
        self._challenge = challenge

    def __setattr__(self, name: str, value: object) -> None:
        if name not in {"auth_header", "status_code"}:
            super().__setattr__(name, value)

    @property
    def auth_header(self) -> str:
        """What the answer says in ``WWW-Authenticate``."""
        return self._challenge


class TokenAuthentication(BaseAuthentication):
    """``Authorization: Bearer rtk_live_…``; the user must be one who may log in, on every request.

    What does not begin like our tokens is left to the classes after this one. Answers vary by ``Authorization``.
    """

    realm: ClassVar[str] = "api"

    @sensitive_variables("text", "given", "rest", "header")
    def authenticate(self, request: Any) -> tuple[Any, Token] | None:
        """The user and the token; None: the request brings none. Raises TokenRefused (401), StoreAway (503)."""
        _vary(request)
        text = text_of(request.META.get("HTTP_AUTHORIZATION", ""))
        if text is None:
            return None
        try:
            token = authenticate(text)
            user = None if token is None else user_of(token)
        except (StoreUnavailable, OperationalError, InterfaceError) as error:
            raise StoreAway from error
        if token is None or user is None:
            raise TokenRefused(f'{self.authenticate_header(request)}, error="invalid_token"')
        return user, token

    def authenticate_header(self, request: Any) -> str:  # noqa: ARG002 - DRF's signature
        """What a 401 says in ``WWW-Authenticate`` to who brings nothing."""
        return f'Bearer realm="{self.realm}"'


class HasScope(BasePermission):
    """``HasScope.of("books:read")``: who comes with a token needs one with these scopes.

    Scopes are names and nothing more: none contains another, and ``*`` is a character. Others (by session, say) are not
    bound by scopes: other permissions decide about them. Nobody is nobody.
    """

    scopes: ClassVar[tuple[str, ...]] = ()
    message = "The token has no scope for this."

    @classmethod
    def of(cls, *scopes: str) -> type[HasScope]:
        """The permission for these scopes, all of which are needed. Raises UnknownScope for what no token can have."""
        return type(f"{cls.__name__}Of", (cls,), {"scopes": check_scopes(scopes), "__module__": cls.__module__})

    def has_permission(self, request: Any, view: Any) -> bool:
        """Whether the request may come in."""
        if not (request.user and request.user.is_authenticated):
            return False
        if not isinstance(request.auth, Token):
            return True
        needed = self.needed(request, view)
        return needed is not None and request.auth.allows(*needed)

    def needed(self, request: Any, view: Any) -> tuple[str, ...] | None:  # noqa: ARG002 - for who overrides it
        """The scopes that are needed; None: none suffice. Raises ImproperlyConfigured."""
        if isinstance(self.scopes, str):
            raise ImproperlyConfigured(f"The scopes of {type(self).__name__} are several names, not a text.")
        return self.scopes


class TokenHasScope(HasScope):
    """Only who comes with a token, with the scopes that the view names.

    ``required_scopes = ["books:read"]`` on the view; or by method: ``{"GET": ["books:read"], "POST": [...]}``, where a
    method that is not named is not allowed (but HEAD is where GET is).
    """

    def has_permission(self, request: Any, view: Any) -> bool:
        """Whether the request may come in."""
        return isinstance(request.auth, Token) and super().has_permission(request, view)

    def needed(self, request: Any, view: Any) -> tuple[str, ...] | None:
        """The scopes that are needed; None: none suffice. Raises ImproperlyConfigured for a view that names none."""
        found = getattr(view, "required_scopes", None)
        if isinstance(found, Mapping):
            method = "GET" if request.method == "HEAD" and "HEAD" not in found else request.method
            if method not in found:
                return None
            found = found[method]
        if found is None or isinstance(found, str):
            raise ImproperlyConfigured(f"{type(view).__name__} has TokenHasScope and no list of required_scopes.")
        return (*self.scopes, *found)


class MayMakeTokens(HasScope):
    """For views that make or rotate tokens: a token makes no other, unless it has the scope ``tokens:create``.

    It must not give more than it has, either: :meth:`may_give`.
    """

    scopes = (_MAKES,)

    @staticmethod
    def may_give(request: Any, scopes: Iterable[str]) -> bool:
        """Whether a token with these scopes may be made (or rotated, or shown) for this request.

        Who comes with a token gives none of which the scopes are not all its own. Others may give any. Nobody may give
        what are no scopes: they may come from JSON that was not looked at.
        """
        try:
            given = check_scopes(scopes)
        except UnknownScope:
            return False
        return not isinstance(request.auth, Token) or request.auth.allows(*given)


class ShownOnce:
    """Mix-in of views whose answers have a token in them: nobody on the way keeps them (``no-store``)."""

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        """The answer, as it leaves."""
        response = super().finalize_response(request, response, *args, **kwargs)  # type: ignore[misc]
        patch_cache_control(response, no_store=True, private=True)
        patch_vary_headers(response, ["Authorization", "Cookie"])
        return response


def _vary(request: Any) -> None:
    """Have the answer say that it depends on the header, whatever comes of it: caches would mix users up."""
    view = (request.parser_context or {}).get("view")
    headers = getattr(view, "headers", None)
    if headers is not None:
        # (DRF gives a view's headers to every answer, those of errors included.)
        headers["Vary"] = ", ".join(filter(None, (headers.get("Vary"), "Authorization")))
