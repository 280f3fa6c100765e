"""Whole responses that are remembered, and those that must not be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib import messages
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.sessions.backends.signed_cookies import SessionStore
from django.contrib.sessions.models import Session
from django.db import connections
from django.http import (
    FileResponse,
    Http404,
    HttpResponse,
    HttpResponseRedirect,
    JsonResponse,
    StreamingHttpResponse,
)
from django.middleware.csrf import get_token
from django.template import engines
from django.template.response import TemplateResponse
from django.test import AsyncClient, Client, RequestFactory
from django.urls import path
from django.utils import timezone, translation
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import cache_control
from django.views.decorators.clickjacking import xframe_options_exempt
from django.views.decorators.vary import vary_on_headers

from redis_toolkit.cache import cached_view
from redis_toolkit.exceptions import Misconfigured
from redis_toolkit.testing.cache import assert_redis_round_trips
from tests.app.models import Lesson, Unwatched

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


@pytest.fixture
def alias():
    """Views are answered for the one database that writes go to."""
    return "default"


@pytest.fixture
def made():
    """The requests that really reached the view."""
    return []


@pytest.fixture
def serve(settings, made, term):
    """Makes a cached view of what answers a request, at every address; its client is given back."""

    def serving(answer: Callable[..., Any], client: Any = Client, **options: Any) -> Any:
        if asyncio.iscoroutinefunction(answer):

            async def view(request, *args, **kwargs):
                made.append(request)
                return await answer(request, *args, **kwargs)
        else:

            def view(request, *args, **kwargs):
                made.append(request)
                return answer(request, *args, **kwargs)

        remembered = cached_view(**{"depends_on": [Lesson], "key": "page", **options})(view)

        class Urls:
            urlpatterns = [path("", remembered), path("<int:number>/", remembered), path("<path:rest>", remembered)]

        settings.ROOT_URLCONF = Urls
        return client()

    return serving


@pytest.fixture
def people(term):
    """Ann and Bob, signed in, each with a client."""

    def client(name: str) -> Client:
        signed_in = Client()
        signed_in.force_login(User.objects.create_user(name))
        return signed_in

    yield client("ann"), client("bob")
    Session.objects.all().delete()
    User.objects.all().delete()


def titles(request, **_):
    """The first title, as the database has it."""
    return HttpResponse(Lesson.objects.order_by("pk").values_list("title", flat=True)[0])


def test_a_response_is_remembered_and_ends_with_a_write(serve, term, made, cost):
    """A second request is answered from the cache, status, headers and body alike; after a write the view answers."""

    def view(request):
        return HttpResponse(
            titles(request).content, headers={"X-Made": str(len(made))}, content_type="text/x; charset=latin-1"
        )

    client = serve(view)
    with cost() as it:
        first, second = client.get("/"), client.get("/")
    assert it.outcomes == [("view", "miss"), ("view", "hit")]
    assert (first.content, first.status_code, first.reason_phrase) == (b"Lesson 0", 200, "OK")
    assert (second.content, dict(second.items())) == (first.content, dict(first.items()))
    assert second.charset == "latin-1"
    assert sorted(second.headers) == ["Cache-Control", "Content-Type", "ETag", "X-Made"]
    Lesson.objects.filter(slug="lesson-0").update(title="new")
    assert client.get("/").content == b"new"
    assert len(made) == 2


def test_what_views_cost(serve):
    """A miss is 3 round trips to Redis, a hit 1; a page that is kept for nobody 1, where others made the stamps."""
    client = serve(titles)
    for trips in (3, 1):
        with assert_redis_round_trips(trips):
            client.get("/")
    client = serve(lambda request: HttpResponse(str(request.user)), key="personal")
    for _ in range(2):
        with assert_redis_round_trips(1):
            client.get("/")


def test_a_coroutine_view(serve, term, made):
    """A view that is a coroutine function is remembered as well, in whole, with what it renders."""

    async def view(request, **_):
        lesson = await Lesson.objects.aget(slug="lesson-0")
        return TemplateResponse(request, engines["django"].from_string("<{{ title }}>"), {"title": lesson.title})

    client = serve(view, AsyncClient)

    async def ask():
        try:
            found = [(await client.get("/")).content for _ in range(2)]
            await Lesson.objects.filter(slug="lesson-0").aupdate(title="new")
            return [*found, (await client.get("/")).content]
        finally:
            await sync_to_async(connections.close_all)()

    assert asyncio.run(ask()) == [b"<Lesson 0>", b"<Lesson 0>", b"<new>"]
    assert len(made) == 2


def test_a_class_of_views(serve, settings, made, cost):
    """``as_view()`` and a method are remembered; a method decorated without ``method_decorator`` is refused."""

    @method_decorator(cached_view(depends_on=[Lesson]), name="get")
    class Plain(View):
        def get(self, request):
            made.append(request)
            return titles(request)

    class Whole(View):
        def get(self, request):
            made.append(request)
            return titles(request)

    class Wrong(View):
        @cached_view(depends_on=[Lesson])
        def get(self, request):
            return titles(request)

    class Urls:
        urlpatterns = [
            path("plain/", Plain.as_view()),
            path("whole/", cached_view(depends_on=[Lesson])(Whole.as_view())),
            path("wrong/", Wrong.as_view()),
        ]

    settings.ROOT_URLCONF = Urls
    client = Client()
    with cost() as it:
        for place in ("/plain/", "/plain/", "/whole/", "/whole/"):
            assert client.get(place).content == b"Lesson 0"
    assert [outcome for _, outcome in it.outcomes] == ["miss", "hit"] * 2
    assert len(made) == 2
    with pytest.raises(TypeError, match="decorate methods with method_decorator"):
        client.get("/wrong/")


DIFFERENT: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "path": ({"path": "/a"}, {"path": "/b"}),
    "argument": ({"path": "/1/"}, {"path": "/2/"}),
    "query": ({"path": "/?a=1"}, {"path": "/?a=2"}),
    "order of the query": ({"path": "/?a=1&b=2"}, {"path": "/?b=2&a=1"}),
    "no query and an empty value": ({"path": "/"}, {"path": "/?a="}),
    "host": ({"headers": {"host": "testserver"}}, {"headers": {"host": "localhost"}}),
    "scheme": ({"secure": False}, {"secure": True}),
    "declared header": ({"headers": {"hx-request": "true"}}, {}),
    "empty header": ({"headers": {"hx-request": ""}}, {}),
    "header named by the response": ({"headers": {"accept": "text/html"}}, {"headers": {"accept": "text/plain"}}),
    "method": ({}, {"method": "HEAD"}),
    "a query that looks like another's key": ({"path": "/?a=1", "headers": {"hx-request": "b"}}, {"path": "/?a=1b"}),
}


@pytest.mark.parametrize("pair", DIFFERENT.values(), ids=DIFFERENT)
def test_what_keeps_responses_apart(serve, settings, pair):
    """Requests that differ in what a view may look at are never given each other's response."""
    settings.ALLOWED_HOSTS = ["testserver", "localhost"]

    def view(request, **rest):
        said = [
            request.method,
            request.build_absolute_uri(),
            request.headers.get("HX-Request"),
            request.headers.get("Accept"),
        ]
        return HttpResponse(repr([*said, rest]), headers={"Vary": "Accept", "X-Method": request.method})

    client = serve(view, vary=["HX-Request"])

    def ask(method="GET", path="/", **how):
        response = client.generic(method, path, **how)
        assert response["Vary"] == "Accept, HX-Request"
        return response["X-Method"], response.content

    client.get("/learn")
    truth = [ask(**how) for how in pair]
    assert truth[0] != truth[1]
    assert [ask(**how) for how in (*pair, *reversed(pair))] == [*truth, *reversed(truth)]


def test_languages_and_time_zones(serve, made):
    """One page is remembered for each language and each time zone."""
    client = serve(lambda request: HttpResponse(f"{translation.get_language()} {timezone.get_current_timezone_name()}"))
    for _ in range(2):
        for language, zone in (("it", "UTC"), ("de", "UTC"), ("de", "Asia/Tokyo")):
            with translation.override(language), timezone.override(zone):
                assert client.get("/").content.decode() == f"{language} {zone}"
    assert len(made) == 3


def test_headers_named_by_responses_are_learnt_once(serve, made, cost):
    """The first response that names a header lies nowhere; from the second on there is one for each of its values."""
    client = serve(vary_on_headers("Accept", "X-Odd")(titles))
    for _ in range(3):
        client.get("/", headers={"accept": "a"})
    for _ in range(2):
        client.get("/", headers={"accept": "b", "x-odd": "ü" * 5000})
    assert len(made) == 3


def test_headers_that_are_read_are_learnt(serve, made):
    """A header that a view reads from ``request.headers`` tells responses apart without being named, and is sent along."""
    client = serve(
        lambda request: HttpResponse(request.headers.get("HX-Request", "whole") + str(request.accepts("text/x")))
    )
    client.get("/")
    for _ in range(2):
        part, whole = client.get("/", headers={"hx-request": "part", "accept": "text/y"}), client.get("/")
        assert (part.content, whole.content) == (b"partFalse", b"wholeTrue")
        assert part["Vary"] == whole["Vary"] == "accept, hx-request"
    assert len(made) == 3


def test_the_type_of_a_request_is_a_header_too(serve, made):
    """``Content-Type``, which Django keeps in another place, tells responses apart as well."""
    client = serve(lambda request: HttpResponse(request.headers.get("Content-Type", "none")), vary=["Content-Type"])
    for _ in range(2):
        assert client.get("/", CONTENT_TYPE="text/x").content == b"text/x"
        assert client.get("/").content == b"none"
    assert len(made) == 2


def test_a_charset_that_a_visitor_makes_up(serve, made):
    """Who says that his query string is of another charset spoils no page for the others, nor does another type."""
    client = serve(lambda request: HttpResponse(request.GET["q"] + request.content_type))
    for _ in range(2):
        assert client.get("/?q=%C3%A9", CONTENT_TYPE="text/x; charset=latin-1").content.decode() == "Ã©text/x"
        assert client.get("/?q=%C3%A9").content.decode() == "é"
    assert len(made) == 2


def test_a_header_that_a_middleware_has_asked_for_too(term):
    """What Django remembers of ``Accept``, for whoever asked before the view, is no less looked at by the view."""

    @cached_view(depends_on=[Lesson], key="early")
    def view(request):
        return HttpResponse(str(request.accepts("text/x")))

    for accept, said in (("text/x", b"True"), ("text/y", b"False")) * 2:
        request = RequestFactory().get("/", headers={"accept": accept})
        request.accepts("text/html")
        assert view(request).content == said


def _with_part(inside):
    """A view whose template has a part that is remembered by itself."""
    block = f'{{% load redis_toolkit %}}{{% cached 60 x depends_on="app.Lesson" %}}{inside}{{% endcached %}}'
    return _page(block)


def test_a_remembered_part_is_no_look(serve, made):
    """A view is remembered at once where its template has a part that had to be made."""
    client = serve(_with_part("x"))
    assert client.get("/").content == client.get("/").content == b"x"
    assert len(made) == 1


def test_what_a_part_looks_at_the_view_has_looked_at(serve, made):
    """A header that is read in a part of a template is learnt by the view, and a cookie makes it a page for nobody."""
    client = serve(_with_part("{{ request.headers.accept }}"))
    for accept in ("a", "a", "b") * 2:
        assert client.get("/", headers={"accept": accept}).content.decode() == accept
    assert len(made) == 3
    client = serve(_with_part("{{ request.COOKIES.theme }}"), key="cookies")
    for theme in ("a", "b"):
        assert client.get("/", headers={"cookie": f"theme={theme}"}).content.decode() == theme


def test_more_headers_than_are_sensible(serve, made, redis_client):
    """A response that varies by seventeen headers, or by everything, is kept for nobody."""
    for vary in (", ".join(f"X-{at}" for at in range(17)), "*"):
        client = serve(lambda request, vary=vary: HttpResponse("x", headers={"Vary": vary}), key=vary)
        client.get("/"), client.get("/")
    assert len(made) == 4
    assert redis_client.keys("rt:f:*") == []


def test_keys_do_not_grow(serve, redis_client):
    """A query string of 60,000 characters makes a key of the usual length."""
    client = serve(titles)
    client.get("/?" + "x" * 60_000)
    (key,) = redis_client.keys("rt:f:*")
    assert len(key) == len("rt:f:default:") + 32


# Personal


def _with_cookie(request):
    response = HttpResponse("x")
    response.set_cookie("a", "b")
    return response


def _greet(request):
    messages.info(request, "Hello")
    return HttpResponse("x")


def _remember(request):
    request.session["seen"] = True
    return HttpResponse("x")


def _page(source):
    return lambda request: TemplateResponse(request, engines["django"].from_string(source))


def _replaced(request):
    request.user = AnonymousUser()
    return HttpResponse("x")


PERSONAL: dict[str, Callable[[Any], Any]] = {
    "user": lambda request: HttpResponse(str(request.user)),
    "user in a template": _page("{% if user.is_authenticated %}{{ user }}{% endif %}"),
    "permissions in a template": _page("{% if perms.app.x %}x{% endif %}"),
    "another user": _replaced,
    "all headers": lambda request: HttpResponse(str(dict(request.headers))),
    "session": lambda request: HttpResponse(str(request.session.get("cart"))),
    "key of the session": lambda request: HttpResponse(str(request.session.session_key)),
    "session changed": _remember,
    "a cookie": lambda request: HttpResponse(request.COOKIES.get("theme", "none")),
    "all cookies": lambda request: HttpResponse(str(list(request.COOKIES))),
    "cookies as text": lambda request: HttpResponse(str(request.COOKIES)),
    "cookies, copied": lambda request: HttpResponse(request.COOKIES.copy().get("theme", "none")),
    "cookies, joined": lambda request: HttpResponse((request.COOKIES | {}).get("theme", "none")),
    "cookies, compared": lambda request: HttpResponse(str(request.COOKIES == {})),
    "a cookie, taken out": lambda request: HttpResponse(request.COOKIES.pop("theme", "none")),
    "headers as text": lambda request: HttpResponse(str(request.headers)),
    "a signed cookie": lambda request: HttpResponse(str(request.get_signed_cookie("x", default="none"))),
    "token": lambda request: HttpResponse(get_token(request)),
    "token in a template": _page("{% csrf_token %}"),
    "message": _greet,
    "sets a cookie": _with_cookie,
    "sets a cookie by its header": lambda request: HttpResponse("x", headers={"Set-Cookie": "a=b"}),
    "private": cache_control(private=True)(lambda request: HttpResponse("x")),
    "no-store": cache_control(no_store=True)(lambda request: HttpResponse("x")),
    "varies by cookies": vary_on_headers("Cookie")(lambda request: HttpResponse("x")),
    "varies by everything": vary_on_headers("*")(lambda request: HttpResponse("x")),
}
OTHERWISE: dict[str, Callable[[Any], Any]] = {
    "redirect": lambda request: HttpResponseRedirect("/x"),
    "error": lambda request: HttpResponse("x", status=500),
    "part": lambda request: HttpResponse("x", status=206),
    "not found": lambda request: HttpResponse("x", status=404),
    "stream": lambda request: StreamingHttpResponse([b"x"]),
    "file": lambda request: FileResponse([b"x"]),
}


@pytest.mark.parametrize("view", [*PERSONAL.values(), *OTHERWISE.values()], ids=[*PERSONAL, *OTHERWISE])
def test_what_is_kept_for_nobody(serve, made, redis_client, view):
    """A response made with a look at the visitor, or one that is not a whole page, is never stored."""
    client = serve(view)
    for _ in range(3):
        client.get("/")
    assert len(made) == 3
    assert redis_client.keys("rt:f:*") == []


def test_a_page_about_nobody_is_everybodys(serve, people, made):
    """A view that looks at no visitor is asked once by two users and a stranger; the session middleware changes nothing."""
    client = serve(_page("{% for message in messages %}{{ message }}{% endfor %}all"))
    assert {each.get("/").content for each in (*people, client)} == {b"all"}
    assert len(made) == 1


def test_two_users_see_themselves(serve, people, made):
    """A view that shows who is signed in answers each user, without and with ``private``, by their own name."""
    ann, bob = people
    for private, asked in ((False, 6), (True, 2)):
        made.clear()
        stranger = serve(lambda request: HttpResponse(str(request.user)), private=private, key=f"private {private}")
        for _ in range(3):
            assert (ann.get("/").content, bob.get("/").content) == (b"ann", b"bob")
        assert len(made) == asked
        assert stranger.get("/").content == b"AnonymousUser"


def test_private_pages_are_by_session_too(serve, people, made):
    """With ``private`` a page shows what the session holds now: strangers with other carts are given other pages."""
    clients = [serve(lambda request: HttpResponse(str(request.session.get("cart"))), private=True), Client(), people[0]]
    for cart, client in enumerate(clients[1:], 1):
        session = client.session
        session["cart"] = cart
        session.save()
    for _ in range(2):
        assert [client.get("/").content for client in clients] == [b"None", b"1", b"2"]
    assert len(made) == 3
    session = clients[1].session
    session["cart"] = 3
    session.save()
    assert clients[1].get("/").content == b"3"
    assert "private" in clients[1].get("/")["Cache-Control"]


def test_private_pages_know_the_user_as_he_is(serve, people, made):
    """With ``private`` a user who changes his name is given a page with the new one."""
    ann, _ = people
    serve(lambda request: HttpResponse(request.user.first_name), private=True)
    assert [ann.get("/").content for _ in range(2)] == [b""] * 2
    User.objects.filter(username="ann").update(first_name="Ann")
    assert [ann.get("/").content for _ in range(2)] == [b"Ann"] * 2
    assert len(made) == 2


NEVER_SHARED = ["another user", "all headers", "a cookie", "all cookies", "token", "token in a template", "message", "sets a cookie", "session changed", "no-store", "varies by cookies"]  # fmt: skip


@pytest.mark.parametrize("name", NEVER_SHARED)
def test_what_private_does_not_keep_either(serve, made, redis_client, name):
    """Tokens, messages, cookies and changes of the session are no page's, private or not."""
    client = serve(PERSONAL[name], private=True)
    client.get("/"), client.get("/")
    assert len(made) == 2
    assert redis_client.keys("rt:f:*") == []


def test_cookies_that_are_declared(serve, made):
    """``vary=["Cookie"]`` keeps one response for each header of cookies."""
    client = serve(lambda request: HttpResponse(request.COOKIES.get("theme", "none")), vary=["Cookie"])
    for _ in range(2):
        assert client.get("/", headers={"cookie": "theme=dark"}).content == b"dark"
        assert client.get("/", headers={"cookie": "theme=light"}).content == b"light"
        assert client.get("/").content == b"none"
    assert len(made) == 3


CREDENTIALS: dict[str, dict[str, Any]] = {
    "authorization": {"HTTP_AUTHORIZATION": "Bearer x"},
    "the server's user": {"REMOTE_USER": "ann"},
    "a proxy's user": {"HTTP_REMOTE_USER": "ann"},
    "a body": {"CONTENT_LENGTH": "3"},
    "a body in pieces": {"HTTP_TRANSFER_ENCODING": "chunked"},
    "waiting messages": {"HTTP_COOKIE": "messages=x"},
    "another host": {"HTTP_HOST": "evil.example"},
}


@pytest.mark.parametrize("meta", CREDENTIALS.values(), ids=CREDENTIALS)
def test_requests_that_are_never_answered_from_the_cache(serve, made, cost, meta):
    """With credentials, a body, messages, or a host that is not ours, the view itself answers, though a page is there."""
    client = serve(lambda request, **_: HttpResponse("x"))
    client.get("/"), client.get("/")
    assert len(made) == 1
    with cost() as it:
        client.get("/", **meta), client.get("/", **meta)
    assert len(made) == 3
    assert it.outcomes == [("view", "bypass")] * 2


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_other_methods(serve, made, method):
    """Only GET and HEAD are remembered."""
    client = serve(titles)
    client.generic(method, "/"), client.generic(method, "/")
    assert len(made) == 2


def test_a_user_who_is_known_before(term, cost, made):
    """A user whom a middleware of the project's own has put on the request is given no page and leaves none."""

    @cached_view(depends_on=[Lesson], key="eager")
    def view(request):
        made.append(request.user)
        return HttpResponse("x")

    with cost() as it:
        for user in (User(username="ann"), User(username="bob")):
            request = RequestFactory().get("/")
            request.user = user
            view(request)
    assert len(made) == 2
    assert it.outcomes == [("view", "bypass")] * 2


class _Wrapped:
    """A request as some frameworks hand it to their views: around Django's, which has the user."""

    def __init__(self, request):
        self._request = request

    def __getattr__(self, name):
        return getattr(self._request, name)

    @property
    def user(self):
        return self._request.user


def test_a_request_around_djangos_is_refused(term, redis_client):
    """In what a framework wraps around a request no look is noticed: a view that is given one fails at once."""

    @cached_view(depends_on=[Lesson], key="wrapped")
    def view(request):
        return HttpResponse(str(request.user))

    request = RequestFactory().get("/")
    request.user = User(username="ann")
    with pytest.raises(TypeError, match="no request of Django's own"):
        view(_Wrapped(request))
    assert redis_client.keys("rt:f:*") == []


def test_a_session_that_is_read_behind_the_requests_back(term, redis_client, made):
    """A view that holds the session by another way is noticed: the session itself tells that it was read."""

    @cached_view(depends_on=[Lesson], key="held")
    def view(request):
        made.append(request)
        return HttpResponse(str(request.cart_of.get("cart")))

    for _ in range(2):
        request = RequestFactory().get("/")
        request.session = request.cart_of = SessionStore()
        view(request)
    assert len(made) == 2
    assert redis_client.keys("rt:f:*") == []


# Conditional


def test_not_modified(serve, term, made):
    """A browser that has the page is told so, by the hit and by the miss, until a write; a weak tag is as good."""
    client = serve(titles)
    first = client.get("/")
    assert first["Cache-Control"] == "no-cache"
    tag = first["ETag"]
    for known in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        again = client.get("/", headers={"if-none-match": known})
        assert (again.status_code, again.content, again["ETag"]) == (304, b"", tag)
    assert client.get("/", headers={"if-none-match": '"x"'}).status_code == 200
    assert client.get("/", headers={"if-match": '"x"'}).status_code == 412
    assert len(made) == 1
    Lesson.objects.filter(slug="lesson-1").update(title="another")
    assert client.get("/", headers={"if-none-match": tag}).status_code == 304
    assert len(made) == 2
    Lesson.objects.filter(slug="lesson-0").update(title="new")
    changed = client.get("/", headers={"if-none-match": tag})
    assert (changed.status_code, changed.content) == (200, b"new")


def test_headers_of_the_views_own(serve):
    """What a view says of its age, its tag and its date is left as it is, and counts."""
    headers = {"Cache-Control": "max-age=5", "ETag": 'W/"own"', "Last-Modified": "Sat, 28 Nov 2026 10:00:00 GMT"}
    client = serve(lambda request: HttpResponse("x", headers=headers))
    for _ in range(2):
        response = client.get("/")
        assert {name: response[name] for name in headers} == headers
        assert client.get("/", headers={"if-modified-since": headers["Last-Modified"]}).status_code == 304
        assert client.get("/", headers={"if-none-match": '"own"'}).status_code == 304


def test_an_age_that_is_given(serve):
    """``max_age`` lets browsers go without asking for so many seconds."""
    assert serve(titles, max_age=30).get("/")["Cache-Control"] == "max-age=30"
    private = serve(titles, max_age=0, private=True, key="other").get("/")
    assert private["Cache-Control"] == "max-age=0, private"


def test_a_type_that_was_taken_away(serve):
    """A response without a type, and one that may be framed, are so from the cache as well."""

    @xframe_options_exempt
    def view(request):
        response = JsonResponse({"a": 1})
        del response["Content-Type"]
        return response

    client = serve(view)
    for _ in range(2):
        response = client.get("/")
        assert not response.has_header("Content-Type")
        assert response.xframe_options_exempt is True


# What goes wrong


def test_pages_that_say_there_is_nothing(serve, made, settings, redis_client):
    """A returned 404 is kept where ``statuses`` has it, as long as any absence is; a raised one is the caller's."""
    settings.REDIS_TOOLKIT_NULL_TTL = 7
    client = serve(lambda request, **_: HttpResponse("no", status=404), statuses=(200, 404))
    assert [client.get("/").status_code for _ in range(2)] == [404, 404]
    assert len(made) == 1
    (key,) = redis_client.keys("rt:f:*")
    assert redis_client.pttl(key) <= 7000

    @cached_view(depends_on=[Lesson], key="raising", statuses=(200, 404))
    def raising(request):
        made.append(request)
        raise Http404

    for _ in range(2):
        with pytest.raises(Http404):
            raising(RequestFactory().get("/"))
    assert len(made) == 3


def test_an_error_is_kept_for_nobody(serve, made):
    """What a view raises reaches Django each time."""

    def failing(request):
        raise LookupError("no")

    client = serve(failing)
    for _ in range(2):
        with pytest.raises(LookupError):
            client.get("/")
    assert len(made) == 2


def test_a_damaged_page_is_made_again(serve, made, redis_client, cost):
    """Bytes that are no response are a miss."""
    client = serve(titles)
    client.get("/")
    (key,) = redis_client.keys("rt:f:*")
    entry = redis_client.get(key)
    redis_client.set(key, entry[:-30] + b"\xc1" * 30)
    with cost() as it:
        assert client.get("/").content == b"Lesson 0"
    assert len(made) == 2
    assert [during for during, _ in it.failures] == ["read"]


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no models": ({"depends_on": []}, "@cached_view needs at least one model"),
    "one header": ({"vary": "Accept"}, "vary is a list"),
    "all headers": ({"vary": ["*"]}, "vary is a list"),
    "a status": ({"statuses": (200, 500)}, "keeps responses of"),
    "an age": ({"max_age": -1}, "max_age is a number of seconds"),
}


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG)
def test_wrong_options(options, message):
    """What can never work is refused where the view is decorated."""
    with pytest.raises(Misconfigured, match=message):
        cached_view(**{"depends_on": [Lesson], **options})


def test_a_view_must_depend_on_what_is_watched(serve):
    """A model that nobody watches is refused at the first request, by the name of the view."""
    client = serve(titles, depends_on=[Unwatched])
    with pytest.raises(Misconfigured, match=r"@cached_view page depends on app\.Unwatched, which is not watched"):
        client.get("/")
