"""Those who would get round the pages: by other doors, other methods, other spellings, no cookies, and outages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import pytest_django
from django.contrib.sessions.models import Session
from django.core import mail
from django.core.signals import request_finished
from django.db import close_old_connections
from django.test import Client, RequestFactory
from django.urls import get_resolver, resolve
from django.utils import translation

from redis_toolkit.contrib.drf_otp import RequestCode, VerifyCode
from redis_toolkit.contrib.otp_device.models import RedisDevice
from redis_toolkit.otp.accounts import one_account
from redis_toolkit.otp.delivery import Delivery
from redis_toolkit.otp.views import CodeRequestView
from redis_toolkit.testing import ValkeyServer
from tests.integration.otp_views import pages

ASK, CODE, LINK, STEP = "/log-in/", "/log-in/code/", "/log-in/link/", "/log-in/step-up/"
DOOR, SECOND = "/office/login/", "/office/login/code/"
ADA, SECRET = "ada@example.com", "analytical engine"
pytestmark = pytest.mark.django_db


@pytest.fixture
def staff(ada: Any) -> Any:
    ada.is_staff = ada.is_superuser = True
    ada.save()
    return ada


def who(browser: Client) -> str | None:
    return browser.session.get("_auth_user_id")


@pytest.mark.parametrize("path", [ASK, LINK, "/api/code/"])
def test_pitfall_17_who_is_refused_leaves_no_session(path: str, ada: Any) -> None:
    """Pitfall 17: clients without cookies, known addresses or not, get no session by asking too often, nor by looking."""
    for email in (ADA, "nobody@example.com"):
        Client().post(path, {"email": email})
        kept = Session.objects.count()
        for _ in range(3):
            answer = Client().post(path, {"email": email})
            assert (answer.status_code, "sessionid" in answer.cookies) == (429, False)
            for look in (ASK, CODE, LINK, LINK + "A" * 64 + "/", SECOND):
                assert "sessionid" not in Client().get(look).cookies
            Client().post("/api/verify/", {"challenge": "a" * 64, "code": "123456"})
        assert Session.objects.count() == kept


@pytest.mark.parametrize("path", [ASK, CODE, LINK + "sent/", STEP, SECOND, "/api/code/", "/api/verify/"])
def test_pitfall_22_nobody_keeps_what_is_of_a_session(path: str, staff: Any, browser: Client) -> None:
    """Pitfall 22: no-store, and Vary on the cookie wherever the session was asked."""
    browser.post(ASK, {"email": ADA})
    browser.post(LINK, {"email": ADA})
    browser.post(DOOR, {"username": "ada", "password": SECRET})
    for answer in (browser.get(path), browser.post(path, {"email": "x@example.com", "challenge": "x", "code": "x"})):
        assert "no-store" in answer["Cache-Control"]
        if answer.status_code not in {400, 405}:
            assert "Cookie" in answer["Vary"]


def test_pitfall_27_a_stale_row_revives_nothing(ada: Any, mailed: Any) -> None:
    """Pitfall 27: a copy of a device's row that was read before is saved whole: the spent code stays spent."""
    device = RedisDevice.objects.create(user=ada, name="mail")
    device.generate_challenge()
    stale, code = RedisDevice.objects.get(), mailed()
    assert device.verify_token(code)
    RedisDevice.objects.update(challenge="")
    stale.save()
    assert not RedisDevice.objects.get().verify_token(code)


def test_a_device_after_its_code_was_sent(ada: Any, mailed: Any, clock: Any) -> None:
    """With another destination, without one, of a barred user, or another device: the code is none."""
    desk = RedisDevice.objects.create(user=ada, name="mail", destination="desk@example.com")
    other = RedisDevice.objects.create(user=ada, name="other")
    changes: list[tuple[Any, str, Any]] = [
        (desk, "destination", "home@example.com"),
        (desk, "destination", ""),
        (ada, "is_active", False),
    ]
    for owner, name, value in changes:
        before = getattr(owner, name)
        desk.generate_challenge()
        assert not other.verify_token(mailed())
        setattr(owner, name, value)
        assert not desk.verify_token(mailed())
        setattr(owner, name, before)
        clock.move(31)
    ada.email = desk.destination = ""
    desk.challenge = ""
    with pytest.raises(ValueError, match="exactly one"):
        desk.generate_challenge()
    desk.destination = "desk@example.com"
    desk.generate_challenge()
    desk.destination = ""
    assert not desk.verify_token(mailed())
    desk.destination = "desk@example.com"
    key, code = desk.pk, mailed()
    desk.delete()
    assert not RedisDevice.objects.create(pk=key, user=ada, name="mail", destination="desk@example.com").verify_token(
        code
    )


def test_a_challenge_is_taken_at_its_own_door_only(ada: Any, browser: Client, mailed: Any) -> None:
    """Of one session, and with the right code: not the page's by the API, not the log-in's as a step, nor the other way."""
    browser.post(ASK, {"email": ADA})
    challenge, code = browser.session["_redis_toolkit_otp_login"]["challenge"], mailed()
    answer = browser.post("/api/verify/", {"challenge": challenge, "code": code})
    assert (answer.status_code, answer.json()["reason"], who(browser)) == (400, "expired", None)
    asked = browser.post("/api/code/", {"email": ADA}).json()["challenge"]
    session = browser.session
    session["_redis_toolkit_otp_login"] = {"challenge": asked, "to": ADA}
    session["_redis_toolkit_otp_admin"] = {"challenge": challenge, "user": str(ada.pk), "next": ""}
    session.save()
    assert browser.post(CODE, {"code": mailed()}).status_code == 200
    assert browser.post(SECOND, {"code": code}).status_code == 200
    assert who(browser) is None
    session = browser.session
    session["_redis_toolkit_otp_login"] = {"challenge": challenge, "to": ADA}
    session.save()
    assert browser.post(CODE, {"code": code}).status_code == 302
    asked = browser.post("/api/code/", {"email": ADA})
    browser.post(STEP, {"send": "first"})
    session = browser.session
    session["_redis_toolkit_otp_step_up"] = {"challenge": challenge, "user": str(ada.pk)}
    session.save()
    assert browser.post(STEP, {"code": code}).status_code == 200
    assert browser.get("/vault/").status_code == 302


def test_two_that_wait_in_one_session(staff: Any, browser: Client, mailed: Any) -> None:
    """Who finishes a step while the admin's code waits has not spoilt that, and is counted no failure."""
    browser.force_login(staff)
    browser.post(DOOR, {"username": "ada", "password": SECRET})
    admins = mailed()
    browser.post(STEP, {"send": "first"})
    assert browser.post(STEP, {"code": mailed()}).status_code == 302
    assert browser.post(SECOND, {"code": admins})["Location"] == "/office/"
    assert not [name for name in browser.session.keys() if "nonce" in name or "otp" in name]  # noqa: SIM118


def test_another_session_key_whoever_was_in_it(
    ada: Any, browser: Client, mailed: Any, settings: pytest_django.Settings
) -> None:
    """Ada's own session of a backend that is there no more, which Django would keep under its key."""
    browser.force_login(ada)
    session = browser.session
    session["_auth_user_backend"] = "gone.Backend"
    session.save()
    browser.post(ASK, {"email": ADA})
    before = browser.session.session_key
    assert browser.post(CODE, {"code": mailed()}).status_code == 302
    assert browser.session.session_key != before
    assert not Session.objects.filter(session_key=before).exists()


def test_who_shares_an_address_with_many(ada: Any, django_user_model: Any, django_assert_num_queries: Any) -> None:
    """Eleven, all but one barred or not: nobody is found, in one query; a barred namesake hides nobody."""
    django_user_model.objects.create_user("b", ADA, is_active=False)
    with django_assert_num_queries(1):
        assert one_account("ADA@example.com") == ada
    for each in range(10):
        django_user_model.objects.create_user(f"b{each}", ADA, is_active=False)
    with django_assert_num_queries(1):
        assert one_account(ADA) is None


@pytest.mark.parametrize("email", ["", "ada", "two@example.com, three@example.com", "Ada <ada@example.com>"])
def test_who_cannot_be_written_to_looks_unknown(
    email: str, ada: Any, browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A project finds users by other means than an address, and one has none: no error that would tell who is there."""
    ada.email = email
    for view in (CodeRequestView, RequestCode):
        monkeypatch.setattr(view, "find_user", lambda self, address: ada)
    assert browser.post(ASK, {"email": "desk@example.com"}).status_code == 302
    assert browser.post(LINK, {"email": "desk@example.com"}).status_code == 302
    assert browser.post("/api/code/", {"email": "desk@example.com"}).status_code == 200
    assert mail.outbox == []


def test_no_door_of_the_admin_opens_to_a_password_alone(staff: Any, browser: Client, mailed: Any) -> None:
    """Of all its pages none but the log-in's: those of models, of passwords, and those that nobody links to."""
    browser.force_login(staff)
    browser.post(DOOR, {"username": "ada", "password": SECRET})
    paths = {"/office/auth/group/1/change/", "/office/nowhere/"}
    for pattern in get_resolver("tests.integration.otp_views.pages").url_patterns:
        if str(pattern.pattern) == "office/":
            paths |= set(_paths(pattern, "/"))
    assert len(paths) > 12
    for path in paths - {DOOR, SECOND}:
        for answer in (browser.get(path), browser.post(path, {"name": "evil"}), browser.head(path)):
            assert answer.status_code in {302, 404, 405}, path
            if answer.status_code == 302:
                assert answer["Location"].startswith((DOOR, "/office/")), path
    assert browser.get("/office/auth/group/add/").status_code == 302
    browser.post(SECOND, {"code": mailed()})
    assert browser.get("/office/auth/group/add/").status_code == 200
    # And of a site with another code no page.
    assert browser.get("/vaults/").status_code == 302


def _paths(pattern: Any, root: str) -> Iterator[str]:
    text = root + str(pattern.pattern).lstrip("^")
    if hasattr(pattern, "url_patterns"):
        for each in pattern.url_patterns:
            yield from _paths(each, text)
    else:
        for name in ("path:object_id", "int:content_type_id", "path:object_id"):
            text = text.replace(f"<{name}>", "1")
        if "<" not in text and "(" not in text:
            yield text


@pytest.mark.parametrize("path", [ASK, CODE, LINK, LINK + "A" * 64 + "/", STEP, DOOR, SECOND])
def test_each_form_needs_a_csrf_token(path: str, staff: Any) -> None:
    """403 without one; and the code, if there was one, is as good as before."""
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(staff)
    given = {"email": ADA, "code": "123456", "send": "first", "username": "ada", "password": SECRET}
    assert browser.post(path, given).status_code == 403
    assert mail.outbox == []


@pytest.mark.parametrize("method", ["get", "post", "head", "put", "delete", "options", "patch"])
def test_no_method_gets_round_a_step(method: str, ada: Any, browser: Client) -> None:
    """Whatever is asked, who has given no code is sent to give one."""
    browser.force_login(ada)
    for path in ("/vault/", "/cellar/", "/crypt/", "/well/"):
        answer = getattr(browser, method)(path)
        assert (answer.status_code, answer["Location"].startswith(STEP)) == (302, True)


def test_what_was_typed_is_shown_as_text(browser: Client) -> None:
    """An address is no HTML, though it may hold what HTML is made of."""
    for email, shown in (
        ("a&b@example.com", b"a&amp;b@example.com"),
        ("o'hara@example.com", b"o&#x27;hara@example.com"),
    ):
        assert Client().get(browser.post(ASK, {"email": email})["Location"]).status_code == 302
        page = browser.get(CODE).content
        assert shown in page
        assert email.encode() not in page


def test_a_familiar_cookie_lets_nobody_in(ada: Any, browser: Client, mailed: Any, django_user_model: Any) -> None:
    """Neither its owner nor another; of Ada's in Bob's name nothing is seen."""
    django_user_model.objects.create_user("bob", "bob@example.com", "x")
    browser.post(ASK, {"email": ADA})
    browser.post(CODE, {"code": mailed()})
    kept: Any = browser.cookies["rtk_familiar_login"].value
    other = Client()
    other.cookies.load({"rtk_familiar_login": kept})
    assert other.get("/vault/")["Location"].startswith(ASK)
    other.post(ASK, {"email": "bob@example.com"})
    assert Client().post(ASK, {"email": "bob@example.com"}).status_code == 429
    assert kept[:32] not in str(dict(browser.session.items()))


def test_redis_does_not_answer_while_a_code_is_tried(
    ada: Any, valkey: ValkeyServer, browser: Client, mailed: Any, clock: Any
) -> None:
    """Its outcome is unknown: 503, nobody is let in, then or by the same code later; another is sent, and good."""
    browser.post(ASK, {"email": ADA})
    code = mailed()
    valkey.pause()
    answer = browser.post(CODE, {"code": code})
    assert (answer.status_code, "sessionid" in answer.cookies, who(browser)) == (503, False, None)
    valkey.resume()
    assert _until_it_answers(lambda: browser.post(CODE, {"code": code})).status_code == 200
    assert who(browser) is None
    clock.move(31)
    browser.post(ASK, {"email": ADA})
    assert browser.post(CODE, {"code": mailed()}).status_code == 302


def test_redis_does_not_answer_while_a_code_is_asked_for(
    ada: Any, valkey: ValkeyServer, browser: Client, mailed: Any
) -> None:
    """503, and no mail, though the server may have done it all."""
    browser.get(ASK)
    valkey.pause()
    for email in (ADA, "nobody@example.com"):
        assert browser.post(ASK, {"email": email}).status_code == 503
    assert mail.outbox == []
    valkey.resume()


def _until_it_answers(ask: Any) -> Any:
    """The first answer that is not 503: the breaker asks again after a second."""
    for _ in range(100_000):
        answer = ask()
        if answer.status_code != 503:
            return answer
    raise AssertionError("Redis is still away")


@pytest.fixture
def closing() -> Iterator[None]:
    """Responses are closed by us, which leaves the database of the test alone, as Django's client does."""
    request_finished.disconnect(close_old_connections)
    yield
    request_finished.connect(close_old_connections)


class Overheard(Delivery):
    """Remembers in which language it was to write."""

    spoken: list[str | None] = []

    def hand_over(self, destination: str, code: str, **told: Any) -> None:
        self.spoken.append(translation.get_language())


def test_mails_are_in_the_language_of_the_request(ada: Any, closing: None, settings: pytest_django.Settings) -> None:
    """Though they are sent when it is over, and the thread speaks another."""
    settings.REDIS_TOOLKIT_OTP_DELIVERY = f"{__name__}.Overheard"
    Overheard.spoken.clear()
    request: Any = RequestFactory().post(ASK, {"email": ADA})
    request.session, request._dont_enforce_csrf_checks = Client().session, True
    request.resolver_match = resolve(ASK)
    with translation.override("it"):
        answer: Any = CodeRequestView.as_view()(request)
    with translation.override("de"):
        answer.close()
        assert translation.get_language() == "de"
    answer.close()
    assert Overheard.spoken == ["it"]


class Ask(RequestCode):
    is_bound = False


class Tell(VerifyCode):
    is_bound = False

    def succeeded(self, request: Any, user: Any, tried: Any) -> Any:
        from rest_framework.response import Response

        return Response({"token": f"for {user.username}"})


def test_the_api_for_clients_without_cookies(ada: Any, closing: None, mailed: Any) -> None:
    """No session is made; the code is good once, in any client, and for what ``succeeded`` makes of it."""
    asked = Ask.as_view()(RequestFactory().post("/", {"email": ADA}))
    asked.close()
    answer = {"challenge": asked.data["challenge"], "code": mailed()}
    told = [Tell.as_view()(RequestFactory().post("/", answer)) for _ in range(2)]
    assert [(each.status_code, each.data.get("token")) for each in told] == [(200, "for ada"), (400, None)]
    assert Session.objects.count() == 0


def test_pages_of_these_tests() -> None:
    """The other office has a code of its own."""
    assert pages.vaults.otp_code.name != pages.office.otp_code.name
