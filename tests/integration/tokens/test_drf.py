"""Tokens in Django REST framework: who comes in, with which scopes, and what the answers say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import rest_framework
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, connection
from rest_framework.authentication import SessionAuthentication
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import BrowsableAPIRenderer, JSONRenderer
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory, force_authenticate
from rest_framework.views import APIView

from redis_toolkit.contrib.drf_tokens import HasScope, MayMakeTokens, ShownOnce, TokenAuthentication, TokenHasScope
from redis_toolkit.core.connections import link, reset
from redis_toolkit.exceptions import UnknownScope
from redis_toolkit.tokens import Token, make_token, revoke, token_identity
from redis_toolkit.tokens.texts import digest, mint

pytestmark = pytest.mark.django_db(databases="__all__")

make = APIRequestFactory()
one_store = pytest.mark.parametrize("store", ["rows"], indirect=True)


def view_of(*permissions: Any, bases: tuple[type, ...] = (APIView,), **options: Any) -> Any:
    def get(self: Any, request: Any) -> Response:
        token = request.auth
        return Response({"user": str(request.user), "token": token.handle if isinstance(token, Token) else None})

    body = {
        "authentication_classes": (TokenAuthentication, SessionAuthentication),
        "permission_classes": permissions or (IsAuthenticated,),
        "throttle_classes": (),
        "get": get,
        "post": get,
        **options,
    }
    return type("Api", bases, body).as_view()  # type: ignore[attr-defined]


def ask(view: Any, text: str | None = None, *, header: str | None = None, method: str = "get", user: Any = None) -> Any:
    given = header if text is None else f"Bearer {text}"
    request = getattr(make, method)("/", **({} if given is None else {"HTTP_AUTHORIZATION": given}))
    if user is not None:
        force_authenticate(request, user=user)
    return view(request).render()


def test_who_comes_with_a_token(ada: User) -> None:
    """The user is the token's, and ``request.auth`` is the token."""
    made = make_token(ada)
    response = ask(view_of(), made.text)
    assert (response.status_code, response.data) == (200, {"user": "ada", "token": made.token.handle})
    assert ask(view_of(), header=f"bearer {made.text}").status_code == 200


def test_who_does_not(ada: User) -> None:
    """401 with a challenge that says, of a token that was shown, that it is not good; and one text for all reasons."""
    gone = make_token(ada)
    revoke(ada, gone.token.handle)
    inactive = make_token(User.objects.create_user("bob", is_active=False))
    for text in (gone.text, inactive.text, gone.text[:-1] + "!", mint("rtk_live")):
        response = ask(view_of(), text)
        assert (response.status_code, str(response.data["detail"])) == (401, "Invalid token.")
        assert response["WWW-Authenticate"] == 'Bearer realm="api", error="invalid_token"'
    response = ask(view_of())
    assert (response.status_code, response["WWW-Authenticate"]) == (401, 'Bearer realm="api"')


@one_store
@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer  ", "Basic rtk_live_x", "Bearer eyJhbGciOi.J9.x", "rtk_live_x"]
)
def test_what_is_not_ours_is_left_to_others(ada: User, header: str) -> None:
    """Nobody is asked about it, and no error is made of it."""
    before = link().round_trips
    response = ask(view_of(), header=header)
    assert (response.status_code, response["WWW-Authenticate"]) == (401, 'Bearer realm="api"')
    assert link().round_trips == before


def test_pitfall_22_answers_vary(ada: User) -> None:
    """Pitfall 22: ``Vary: Authorization`` with a token, without one, with a bad one, and beside what else there is."""
    text = make_token(ada).text
    for response in (ask(view_of(), text), ask(view_of()), ask(view_of(), mint("rtk_live"))):
        assert "Authorization" in [each.strip() for each in response["Vary"].split(",")]
    renderers = view_of().cls.renderer_classes
    assert ("Accept" in ask(view_of(), text)["Vary"]) == (len(renderers) > 1)


@one_store
def test_pitfall_22_what_is_shown_once_is_not_stored(ada: User) -> None:
    """Pitfall 22: an answer with a new token in it is kept by nobody on the way, whatever the view says of it."""
    response = ask(view_of(bases=(ShownOnce, APIView)), make_token(ada).text)
    assert "no-store" in response["Cache-Control"]
    assert "private" in response["Cache-Control"]
    assert "Authorization" in response["Vary"]


def test_redis_away(ada: User, settings: Any, store: str) -> None:
    """503 with Retry-After where Redis alone has the tokens; rows answer."""
    text = make_token(ada).text
    settings.CACHES = {**settings.CACHES, "default": {**settings.CACHES["default"], "LOCATION": "unix:///no/where"}}
    reset()
    response = ask(view_of(), text)
    if store == "redis":
        assert response.status_code == 503
        assert int(response["Retry-After"]) >= 1
        assert "WWW-Authenticate" not in response
        assert "Authorization" in response["Vary"]
    else:
        assert response.status_code == 200


@one_store
def test_scopes(ada: User) -> None:
    """A token needs all of them; who is logged in otherwise is not bound by scopes; nobody comes in."""
    reader, writer = make_token(ada, scopes=("read",)), make_token(ada, scopes=("read", "write"))
    view = view_of(HasScope.of("read", "write"))
    assert [ask(view, each.text).status_code for each in (reader, writer)] == [403, 200]
    assert str(ask(view, reader.text).data["detail"]) == "The token has no scope for this."
    assert ask(view, user=ada).status_code == 200
    assert ask(view).status_code == 401
    both = view_of(HasScope.of("admin") | HasScope.of("read"))
    assert ask(both, reader.text).status_code == 200


@one_store
def test_scopes_that_the_view_names(ada: User) -> None:
    """Tokens alone come in; by method, where what is not named is not allowed."""
    reader = make_token(ada, scopes=("read",))
    assert ask(view_of(TokenHasScope, required_scopes=["read"]), reader.text).status_code == 200
    assert ask(view_of(TokenHasScope, required_scopes=["write"]), reader.text).status_code == 403
    assert ask(view_of(TokenHasScope, required_scopes=["read"]), user=ada).status_code == 403
    by_method = view_of(TokenHasScope, required_scopes={"GET": ["read"]})
    assert [ask(by_method, reader.text, method=method).status_code for method in ("get", "post")] == [200, 403]
    for wrong in (None, "read"):
        with pytest.raises(ImproperlyConfigured, match="required_scopes"):
            ask(view_of(TokenHasScope, required_scopes=wrong), reader.text)


@one_store
def test_names_and_nothing_more(ada: User) -> None:
    """No scope contains another, and a star is a character; what no token can have is refused when it is written."""
    tokens = [make_token(ada, scopes=scopes) for scopes in (("*",), ("books",), ("books:*",), ("Books:read",), ())]
    view = view_of(HasScope.of("books:read"))
    assert [ask(view, each.text).status_code for each in tokens] == [403] * 5
    assert ask(view_of(HasScope.of()), tokens[4].text).status_code == 200
    for wrong in ("books read", "", "é"):
        with pytest.raises(UnknownScope):
            HasScope.of(wrong)
    told = type("Told", (HasScope,), {"scopes": "read"})
    with pytest.raises(ImproperlyConfigured, match="several names"):
        ask(view_of(told), tokens[0].text)


@one_store
def test_methods_and_compositions(ada: User) -> None:
    """HEAD is where GET is; a method without scopes is a no, which another permission may turn into a yes."""
    reader = make_token(ada, scopes=("read",))
    view = view_of(TokenHasScope, required_scopes={"GET": ["read"]})
    methods = ("get", "head", "post", "options")
    assert [ask(view, reader.text, method=method).status_code for method in methods] == [200, 200, 403, 403]
    either = view_of(TokenHasScope | IsAuthenticated, required_scopes={"GET": ["write"]})
    assert [ask(either, reader.text, method=method).status_code for method in ("get", "post")] == [200, 200]


@one_store
def test_401_wherever_tokens_are_in_the_list(ada: User) -> None:
    """A bad token is 401 with its challenge, also behind a class that has nothing to say; one without scope is 403."""
    behind = view_of(HasScope.of("read"), authentication_classes=(SessionAuthentication, TokenAuthentication))
    response = ask(behind, mint("rtk_live"))
    assert (response.status_code, response["WWW-Authenticate"]) == (401, 'Bearer realm="api", error="invalid_token"')
    assert response.data["detail"].code == "invalid_token"
    response = ask(behind, make_token(ada).text)
    assert response.status_code == 403
    assert "WWW-Authenticate" not in response
    # (Nobody at all: there DRF asks the first class.)
    assert ask(behind).status_code == 403


@one_store
def test_a_token_gives_no_more_than_it_has(ada: User) -> None:
    """Else the scope to make others would be every scope."""
    maker = make_token(ada, scopes=("tokens:create", "read"))

    def post(self: Any, request: Any) -> Response:
        asked: list[Any] = [(), ("read",), ("read", "admin"), None, 5, "read", [["read"]]]
        return Response([MayMakeTokens.may_give(request, each) for each in asked])

    view = view_of(MayMakeTokens, post=post)
    assert ask(view, maker.text, method="post").data == [True, True, False] + [False] * 4
    assert ask(view, user=ada, method="post").data == [True, True, True] + [False] * 4


@one_store
def test_both_away(ada: User, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With rows the database answers for Redis; where neither answers it is 503, and nobody's fault."""
    text = make_token(ada).text
    settings.CACHES = {**settings.CACHES, "default": {**settings.CACHES["default"], "LOCATION": "unix:///no/where"}}
    reset()

    def fail(execute: Any, *_: Any) -> Any:
        raise OperationalError("no database")

    with connection.execute_wrapper(fail):
        response = ask(view_of(), text)
    assert response.status_code == 503
    assert int(response["Retry-After"]) >= 1
    assert "WWW-Authenticate" not in response


@one_store
def test_pitfall_15_the_browsable_api_shows_no_token(ada: User, settings: Any) -> None:
    """Pitfall 15: the page that people see in a browser says who they are, and not by what."""
    made = make_token(ada)
    request = make.get("/", HTTP_AUTHORIZATION=f"Bearer {made.text}", HTTP_ACCEPT="text/html")
    view = view_of(renderer_classes=(BrowsableAPIRenderer, JSONRenderer))
    settings.TEMPLATES = [
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "DIRS": [Path(rest_framework.__file__).parent / "templates"],
            "OPTIONS": {"libraries": {"rest_framework": "rest_framework.templatetags.rest_framework"}},
        }
    ]
    page = view(request).render().content.decode()
    assert made.token.handle in page
    assert made.text not in page
    assert digest(made.text)[:16] not in page


@one_store
def test_a_token_makes_no_other(ada: User) -> None:
    """Unless it has the scope for it; who is logged in may."""
    plain, maker = make_token(ada, scopes=("read",)), make_token(ada, scopes=("tokens:create",))
    view = view_of(MayMakeTokens)
    assert [ask(view, each.text, method="post").status_code for each in (plain, maker)] == [403, 200]
    assert ask(view, user=ada, method="post").status_code == 200
    assert ask(view, method="post").status_code == 401


@one_store
def test_who_is_counted(ada: User) -> None:
    """Before the token is authenticated half of a digest; in the view the handle. Neither asks anybody."""
    made = make_token(ada)
    told: list[str | None] = []

    def get(self: Any, request: Any) -> Response:
        told.append(token_identity(request))
        told.append(token_identity(request._request))
        return Response()

    request = make.get("/", HTTP_AUTHORIZATION=f"Bearer {made.text}")
    before = link().round_trips
    assert token_identity(request) == digest(made.text)[:32]
    assert link().round_trips == before
    view_of(get=get)(request)
    assert told == [made.token.handle] * 2
