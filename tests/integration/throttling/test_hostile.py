"""What somebody tries who wants more than the limit, or wants others to have less. Each was possible once."""

from __future__ import annotations

import os
from typing import Any

import pytest
import redis
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.urls import path
from django.utils.translation import gettext_lazy

from redis_toolkit.core.connections import link
from redis_toolkit.core.scripts import Script
from redis_toolkit.signals import throttle_checked
from redis_toolkit.throttling import Ban, Rule, Throttle, checking, exempt, throttle
from redis_toolkit.throttling.checking import Asked, check
from redis_toolkit.throttling.identities import identified

make = RequestFactory()
MIDDLEWARE = ["redis_toolkit.throttling.middleware.ThrottleMiddleware"]


def page(request: HttpRequest) -> HttpResponse:
    return HttpResponse(status=int(request.GET.get("status", 200)))


def statuses(view: Any, *requests: HttpRequest) -> list[int]:
    return [view(request).status_code for request in requests]


def test_padding_makes_nobody_new() -> None:
    """A name with a thousand blanks before it is the name, as it is for the form that strips it."""
    view = throttle("3/h", key="post:username", name="log-in")(page)
    tries = [make.post("/", {"username": " " * pad + "ada"}) for pad in (0, 1016, 1020, 1022, 1023, 5000)]
    assert statuses(view, *tries) == [200] * 3 + [429] * 3


def test_what_is_long_is_counted_whole() -> None:
    """Two tokens that begin alike are two clients."""
    view = throttle("1/h", key="header:X-Key", name="tokens")(page)
    keys = ["x" * 2000 + end for end in "aab"]
    assert statuses(view, *(make.get("/", headers={"X-Key": key}) for key in keys)) == [200, 429, 200]


def test_a_shadow_beside_a_denial(heard: list[dict[str, Any]]) -> None:
    """Rules of two identities, of which one is a shadow: a denial is a denial, and a ban begins."""
    view = throttle(
        Rule("shadow", "100/m", key="ip", shadow=True),
        Rule("narrow", "1/m", key="global", ban=Ban(strikes=2)),
    )(page)
    assert statuses(view, *[make.get("/")] * 4) == [200, 429, 429, 429]
    assert [said["decision"].banned for said in heard] == [False, True, True]


def test_a_denial_answers_for_its_own_rate_alone() -> None:
    """Under one name reads have more than writes: who may write no more may read on."""
    view = throttle(
        lambda request: "1/m" if request.method == "POST" else "100/m", key="ip", algorithm="sliding_log", name="forms"
    )(page)
    assert statuses(view, make.post("/"), make.post("/"), make.get("/"), make.get("/")) == [200, 429, 200, 200]


@pytest.mark.parametrize("script", ["throttle_gcra", "throttle_check"])
def test_a_clock_that_was_set_back_locks_nobody_out(script: str) -> None:
    """Two hours earlier than what is known: one begins anew. Less than a period earlier: what was counted counts."""
    limits = Throttle("clock", "60/h", punitive=script == "throttle_check").limits
    asked = [Asked(limits, *identified(("ada",)), 1, "closed")]
    now = 1_700_000_000_000_000
    assert check(asked, now=now)[0].remaining == 59
    assert [check(asked, now=now - 7_200_000_000)[0].remaining for _ in range(2)] == [59, 58]
    assert check(asked, now=now - 7_800_000_000)[0].remaining == 47


def test_a_log_whose_clock_was_set_back() -> None:
    """What is later than now is not counted, and does not push out what is."""
    limits = Throttle("clock", "2/h", algorithm="sliding_log").limits
    asked = [Asked(limits, *identified(("ada",)), 1, "closed")]
    now = 1_700_000_000_000_000
    assert [check(asked, now=now)[0].allowed for _ in range(3)] == [True, True, False]
    earlier = now - 7_200_000_000
    assert [check(asked, now=earlier + at)[0].allowed for at in range(4)] == [True, True, False, False]


def test_what_was_not_charged_is_not_given_back() -> None:
    """A success that a shadow denied, and one that was let in while nobody counted, give back nothing."""
    rule = Rule("shadow", "2/h", key="ip", shadow=True, refund_on=lambda response: response.status_code == 302)
    view = throttle(rule)(page)
    assert statuses(view, make.get("/"), make.get("/"), make.get("/?status=302")) == [200, 200, 302]
    assert Throttle("shadow", "2/h").peek("ip", "127.0.0.1").remaining == 0


def test_a_block_list_has_no_rate() -> None:
    """A throttle that has nothing but a ban lets everybody in who is not banned."""
    blocked = Throttle("blocked", None, ban=Ban())
    assert blocked.hit("eve")
    blocked.ban("eve")
    decisions = [blocked.hit("eve") for _ in range(2)]
    assert [(each.allowed, each.banned, each.source) for each in decisions] == [
        (False, True, "redis"), (False, True, "denied before"),
    ]  # fmt: skip
    assert blocked.hit("ada")


def test_what_costs_too_much_costs_too_much_without_redis() -> None:
    """Fifty of ten are never allowed, whoever counts."""
    local = checking._local.check([(Throttle("dear", "10/m").limits, "0" * 32, 50, 0)], part=1.0)
    assert [(each.allowed, each.retry_after) for each in local] == [(False, float("inf"))]


def test_nobody_is_denied_in_two_lines_for_what_was_given_back() -> None:
    """Of two identities one denies: what the other would have denied meanwhile is not remembered."""
    rules = [Throttle(name, rate).limits for name, rate in (("mine", "1/h"), ("ours", "1/h"))]
    asked = [Asked(limits, *identified((who,)), 1, "open") for limits, who in zip(rules, ("ada", "all"), strict=True)]
    assert [each.allowed for each in check(asked)] == [True, True]
    assert [each.source for each in check(asked)] == ["redis", "redis"]
    assert [each.source for each in check(asked)] == ["redis", "redis"]


@pytest.mark.parametrize("accepted", [",".join(f"text/a{at};q=0.1" for at in range(5000)), "text/html," * 200])
def test_a_long_wish_is_not_read(accepted: str) -> None:
    """Who sends kilobytes of Accept is answered in JSON, at once."""
    view = throttle("0/h", key="ip", name="nobody")(page)
    refused = view(make.get("/", headers={"Accept": accepted}))
    assert refused.headers["Content-Type"] == "application/problem+json"


def test_without_templates_a_refusal_is_a_refusal(settings: Any) -> None:
    """A project that has no template engine tells browsers in JSON."""
    settings.TEMPLATES = []
    view = throttle("0/h", key="ip", name="nobody")(page)
    refused = view(make.get("/", headers={"Accept": "text/html"}))
    assert (refused.status_code, refused.headers["Content-Type"]) == (429, "application/problem+json")


def test_secrets_and_control_characters_are_not_told(heard: list[dict[str, Any]]) -> None:
    """Of what a callable or code has given the beginning; nothing that a terminal would carry out."""
    nobody = Throttle("nobody", "0/h")
    view = throttle("0/h", key=lambda request: request.headers["X-Key"], name="keys")(page)
    view(make.get("/", headers={"X-Key": "sk_live_51H8x"}))
    for identity in ("Bearer sk_live", "\x1bc\ud800", "ada@example.com", "203.0.113.5", 5):
        nobody.hit(identity)
    told = [said["told"] for said in heard]
    assert told[0].endswith(" sk_l…")
    assert told[1:] == ["Bear…", "\ufffdc\ufffd", "ad…@example.com", "203.0.113.5", "+5"]
    assert all("request" in said for said in heard)


def test_a_number_is_not_its_text() -> None:
    """Who may choose a text cannot use up what a number has."""
    limit = Throttle("numbers", "1/h")
    assert all([limit.hit("+5"), limit.hit(5), limit.hit("5")])
    found: list[Any] = [5, "5", "+5", ("a",), '["a"]', '+["a"]']
    view = throttle("1/h", key=lambda request: found[int(request.GET["at"])], name="found")(page)
    assert statuses(view, *(make.get(f"/?at={at}") for at in range(6))) == [200] * 6


def test_a_body_that_is_not_read_is_nobody_elses() -> None:
    """Another kind of body, or one that is too large, is counted by address; and it is not read."""
    view = throttle("1/h", key="json:username", name="json")(page)
    large = '{"username": "ada", "pad": "%s"}' % ("x" * 300_000)
    requests = [
        make.post("/", large, "application/json", REMOTE_ADDR="203.0.113.5"),
        make.post("/", large, "application/json", REMOTE_ADDR="203.0.113.6"),
        make.post("/", b"x", "application/octet-stream", REMOTE_ADDR="203.0.113.7"),
        make.post("/", large, "application/json", REMOTE_ADDR="203.0.113.5"),
    ]
    assert statuses(view, *requests) == [200, 200, 200, 429]
    assert not hasattr(requests[0], "_body")


def test_a_fork_while_a_lock_is_held() -> None:
    """The child has locks of its own, and remembers nothing."""
    nobody = Throttle("nobody", "0/h")
    nobody.hit("ada")
    with checking._denials._lock, checking._local._lock:
        child = os.fork()
        if child == 0:
            try:
                checking._denials.add(nobody.limits, "0" * 32, 1, nobody.limits.read([0, 0, 1000, 1000]))
                os._exit(0 if len(checking._denials._known) == 1 else 1)
            finally:
                os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.fixture
def exempted(settings: Any) -> Any:
    settings.MIDDLEWARE = MIDDLEWARE
    settings.REDIS_TOOLKIT_THROTTLES = {"site": {"rate": "2/h", "key": "ip", "deny": ["192.0.2.0/24"]}}
    return settings


free = exempt(lambda request: HttpResponse("free"))


class Costly:
    """Another URLconf, in which the same path is another view."""

    urlpatterns = (path("x/", page),)


def test_what_is_exempt_in_another_urlconf_is_not(exempted: Any) -> None:
    """A middleware that changes the URLconf changes what the path is: that is counted."""
    exempted.ROOT_URLCONF = (path("x/", free),)
    assert [Client().get("/x/").status_code for _ in range(4)] == [200] * 4
    exempted.MIDDLEWARE = [*MIDDLEWARE, f"{__name__}.to_the_costly"]
    assert [Client().get("/x/").status_code for _ in range(4)] == [200, 200, 429, 429]


def to_the_costly(get_response: Any) -> Any:
    def middleware(request: Any) -> Any:
        request.urlconf = Costly.urlpatterns
        return get_response(request)

    return middleware


def test_an_exempt_view_in_the_language_of_its_path(exempted: Any) -> None:
    """Under a prefix of any language, and by the first request of a process."""
    from django.conf.urls.i18n import i18n_patterns

    exempted.ROOT_URLCONF = tuple(i18n_patterns(path(gettext_lazy("health/"), free)))
    exempted.MIDDLEWARE = [*MIDDLEWARE, "django.middleware.locale.LocaleMiddleware"]
    assert [Client().get(f"/{language}/health/").status_code for language in ("de", "en") * 3] == [200] * 6


def test_a_deny_list_holds_everywhere(exempted: Any, heard: list[dict[str, Any]]) -> None:
    """For what is exempt, and where nothing is found; by 403, and it is heard."""
    exempted.ROOT_URLCONF = (path("x/", free),)
    for where in ("/x/", "/nothing/"):
        assert Client(REMOTE_ADDR="192.0.2.9").get(where).status_code == 403
    assert [(said["decision"].source, said["told"]) for said in heard] == [("deny list", "ip 192.0.2.9")] * 2
    exempted.REDIS_TOOLKIT_THROTTLES = {"users": {"rate": "2/h", "deny": ["192.0.2.0/24"]}}
    assert Client(REMOTE_ADDR="192.0.2.9").get("/nothing/").status_code == 403


def test_after_login(exempted: Any) -> None:
    """A callable that looks at the user is asked when there is one."""
    exempted.MIDDLEWARE = [
        *MIDDLEWARE, "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ]  # fmt: skip
    exempted.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    exempted.ROOT_URLCONF = (path("", page),)
    words = {"rate": "2/h", "key": lambda request: str(request.user), "after_login": True}
    exempted.REDIS_TOOLKIT_THROTTLES = {"plans": words}
    assert [Client().get("/").status_code for _ in range(3)] == [200, 200, 429]


def test_every_check_is_heard() -> None:
    """What was decided, and whether it was counted, for who makes statistics."""
    said: list[Any] = []

    def listen(*, decisions: Any, charged: bool, **_: Any) -> None:
        said.append(([each.allowed for each in decisions], charged))

    throttle_checked.connect(listen)
    limit = Throttle("heard", "1/h")
    limit.hit("ada")
    limit.peek("ada")
    limit.hit("ada")
    throttle_checked.disconnect(listen)
    assert said == [([True], True), ([False], False), ([False], True)]


def test_a_server_that_lacks_one_script_charges_once(redis_client: redis.Redis) -> None:
    """Two calls in one round trip, of which the server knows one script: that one is not run twice."""
    plain, other = Throttle("plain", "9/h"), Throttle("other", "9/h", algorithm="fixed_window")
    asked = [Asked(each.limits, *identified((each.name,)), 1, "closed") for each in (plain, other)]
    check(asked, charges=False)
    redis_client.script_flush()
    redis_client.script_load(Script("throttle_gcra").source)
    link().close()
    assert [(each.source, each.remaining) for each in check(asked)] == [("redis", 8), ("redis", 8)]
    assert plain.peek("plain").remaining == 8
