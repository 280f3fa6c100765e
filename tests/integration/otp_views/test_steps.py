"""Step-up, the admin's second step, the API, and django-otp's device."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_django
from django.core import mail
from django.test import Client

from redis_toolkit.contrib.otp_device.models import RedisDevice
from redis_toolkit.core.clock import now, travel
from redis_toolkit.exceptions import CodeRefused, StoreUnavailable
from redis_toolkit.otp.delivery import DeliveryFailed
from redis_toolkit.testing import ValkeyServer

pytestmark = pytest.mark.django_db
STEP = "/log-in/step-up/"
MAILING = "redis_toolkit.otp.delivery.EmailDelivery"
REFUSING = "tests.integration.otp_views.senders.Refusing"
DOOR, SECOND = "/office/login/", "/office/login/code/"
SECRET = "analytical engine"


@pytest.fixture
def staff(ada: Any) -> Any:
    ada.is_staff = ada.is_superuser = True
    ada.save()
    return ada


@pytest.mark.parametrize("path", ["/vault/", "/cellar/"])
def test_step_up(path: str, ada: Any, browser: Client, mailed: Any) -> None:
    """Nobody is sent to log in, who is logged in to the code; then in, under another session key; not for ever."""
    assert browser.get(path)["Location"] == f"/log-in/?next=%2F{path.strip('/')}%2F"
    assert browser.get(STEP).status_code == 302
    browser.force_login(ada)
    to = browser.get(path)["Location"]
    assert to == f"{STEP}?next=%2F{path.strip('/')}%2F"
    assert b"Send me a code" in browser.get(to).content
    assert mail.outbox == []
    browser.post(STEP, {"send": "first", "next": path})
    assert mail.outbox[0].to == ["ada@example.com"]
    assert b"one-time-code" in browser.get(STEP).content
    assert browser.post(STEP, {"code": "12345"}).status_code == 200
    before = browser.session.session_key
    assert browser.post(STEP, {"code": mailed()})["Location"] == path
    assert browser.session.session_key != before
    assert browser.get(path).status_code == 200
    with travel(901):
        assert browser.get(path).status_code == 302


def test_a_step_is_its_users(ada: Any, browser: Client, mailed: Any, django_user_model: Any) -> None:
    """Another user who logs in to the same session has made none, nor has the code that waits there for Ada."""
    eve = django_user_model.objects.create_user("eve", "eve@example.com", "x")
    browser.force_login(ada)
    browser.post(STEP, {"send": "first"})
    session = browser.session
    session["_redis_toolkit_stepped_up"] = {"user": str(eve.pk), "at": now()}
    session.save()
    assert browser.get("/vault/").status_code == 302
    browser.post(STEP, {"code": mailed()})
    assert browser.get("/vault/").status_code == 200
    browser.force_login(eve)
    assert browser.get("/vault/").status_code == 302


def test_a_step_that_cannot_be_sent_is_told(ada: Any, browser: Client, settings: pytest_django.Settings) -> None:
    """Who is logged in is told at once, and it costs no cooldown: the next is sent. Without an address the same."""
    browser.force_login(ada)
    settings.REDIS_TOOLKIT_OTP_DELIVERY = REFUSING
    assert b"could not be sent" in browser.post(STEP, {"send": "first"}).content
    settings.REDIS_TOOLKIT_OTP_DELIVERY = MAILING
    assert browser.post(STEP, {"send": "first"}).status_code == 302
    assert len(mail.outbox) == 1
    answer = browser.post(STEP, {"send": "again"})
    assert (answer.status_code, len(mail.outbox)) == (429, 1)
    type(ada).objects.update(email="")
    other = Client()
    other.force_login(ada)
    assert b"could not be sent" in other.post(STEP, {"send": "first"}).content


def test_step_up_without_redis(ada: Any, browser: Client, valkey: ValkeyServer) -> None:
    """503."""
    browser.force_login(ada)
    valkey.stop()
    assert browser.post(STEP, {"send": "first"}).status_code == 503
    assert browser.get("/vault/").status_code == 302


def test_the_admin_asks_for_a_code(staff: Any, browser: Client, mailed: Any) -> None:
    """Pitfall 11: password, then code, then in; in between nobody is logged in, and the session holds no password."""
    assert browser.get("/office/")["Location"] == DOOR + "?next=/office/"
    assert browser.get(SECOND)["Location"] == DOOR
    page = browser.post(DOOR, {"username": "ada", "password": "wrong"})
    assert (page.status_code, mail.outbox) == (200, [])
    answer = browser.post(DOOR, {"username": "ada", "password": SECRET, "next": "/office/auth/group/"})
    assert (answer.status_code, answer["Location"]) == (302, SECOND)
    kept = dict(browser.session.items())
    assert set(kept["_redis_toolkit_otp_admin"]) == {"challenge", "user", "next"}
    assert "_auth_user_id" not in kept
    assert SECRET not in str(kept)
    assert staff.password not in str(kept)
    assert browser.get("/office/").status_code == 302
    page = browser.get(SECOND)
    assert b"one-time-code" in page.content
    assert "no-store" in page["Cache-Control"]
    assert browser.post(SECOND, {"code": "12345"}).status_code == 200
    before = browser.session.session_key
    assert browser.post(SECOND, {"code": mailed()})["Location"] == "/office/auth/group/"
    assert browser.session.session_key != before
    assert browser.get("/office/auth/group/").status_code == 200
    assert browser.get(DOOR)["Location"] == "/office/"


def test_the_admin_asks_who_is_logged_in_already(staff: Any, browser: Client, mailed: Any) -> None:
    """Who came in by another door is no nearer to the admin; and gets another session key."""
    browser.force_login(staff)
    assert browser.get("/office/").status_code == 302
    assert browser.get("/admin/").status_code == 200
    before = browser.session.session_key
    browser.post(DOOR, {"username": "ada", "password": SECRET})
    browser.post(SECOND, {"code": mailed()})
    assert browser.get("/office/").status_code == 200
    assert browser.session.session_key != before


@pytest.mark.parametrize("change", [{"is_staff": False}, {"is_active": False}, {"password": "x"}])
def test_the_admin_looks_again(change: dict[str, Any], staff: Any, browser: Client, mailed: Any) -> None:
    """Who is no staff any more, or has another password, between the two steps, is not let in."""
    browser.post(DOOR, {"username": "ada", "password": SECRET})
    type(staff).objects.update(**change)
    assert browser.post(SECOND, {"code": mailed()}).status_code == 200
    assert browser.get("/office/").status_code == 302


def test_the_admin_sends_no_oftener(staff: Any, browser: Client, mailed: Any, clock: Any) -> None:
    """Within the cooldown it says when; then another code; evil next's are not followed."""
    browser.post(DOOR, {"username": "ada", "password": SECRET, "next": "https://evil.example/"})
    answer = browser.post(SECOND, {"send": "again"})
    assert (answer.status_code, len(mail.outbox)) == (429, 1)
    assert b"try again in" in browser.post(DOOR, {"username": "ada", "password": SECRET}).content
    clock.move(31)
    assert browser.post(SECOND, {"send": "again"}).status_code == 302
    assert browser.post(SECOND, {"code": mailed()})["Location"] == "/office/"


def test_the_admin_without_mail_or_redis(
    staff: Any, browser: Client, valkey: ValkeyServer, settings: pytest_django.Settings
) -> None:
    """What cannot be sent is told; without Redis 503 from both steps."""
    settings.REDIS_TOOLKIT_OTP_DELIVERY = REFUSING
    assert b"could not be sent" in browser.post(DOOR, {"username": "ada", "password": SECRET}).content
    settings.REDIS_TOOLKIT_OTP_DELIVERY = MAILING
    assert browser.post(DOOR, {"username": "ada", "password": SECRET}).status_code == 302
    valkey.stop()
    for answer in (browser.post(DOOR, {"username": "ada", "password": SECRET}), browser.post(SECOND, {"code": "1"})):
        assert (answer.status_code, "Retry-After" in answer) == (503, True)


def test_the_api(ada: Any, browser: Client, mailed: Any) -> None:
    """Ask, fail, verify: logged in by session; the code is good once, and in this session only."""
    asked = browser.post("/api/code/", {"email": "ada@example.com"})
    told = asked.json()
    assert (asked.status_code, set(told)) == (200, {"challenge", "expires_in", "resend_in"})
    assert "no-store" in asked["Cache-Control"]
    wrong = browser.post("/api/verify/", {"challenge": told["challenge"], "code": "12345"})
    assert (wrong.status_code, wrong.json()["reason"], wrong.json()["attempts_left"]) == (400, "wrong", 4)
    answer = {"challenge": told["challenge"], "code": mailed()}
    assert Client().post("/api/verify/", answer).status_code == 400
    assert browser.post("/api/verify/", answer).status_code == 200
    assert browser.session["_auth_user_id"] == str(ada.pk)
    again = browser.post("/api/verify/", answer)
    assert (again.status_code, again.json()["reason"]) == (400, "spent")
    assert "no-store" in again["Cache-Control"]


def test_the_api_does_not_tell_who_is_there(ada: Any, browser: Client, clock: Any) -> None:
    """The same answers, headers included, but for the challenge; 429 with Retry-After within the cooldown."""

    def shown(answer: Any, challenge: str) -> tuple[int, bytes, dict[str, str]]:
        # (It has expired by the time that it is made, to the second.)
        headers = {name: value for name, value in answer.headers.items() if name != "Expires"}
        return answer.status_code, answer.content.replace(challenge.encode(), b""), headers

    seen = []
    for email in ("ada@example.com", "nob@example.com"):
        browser = Client()
        asked = browser.post("/api/code/", {"email": email})
        challenge = asked.json()["challenge"]
        tries = [browser.post("/api/verify/", {"challenge": challenge, "code": "12345"}) for _ in range(6)]
        answers = [asked, browser.post("/api/code/", {"email": email}), *tries]
        seen.append([shown(each, challenge) for each in answers])
    assert seen[0] == seen[1]
    assert [status for status, *_ in seen[0]] == [200, 429] + [400] * 6
    assert seen[0][1][2]["Retry-After"] == "30"
    assert len(mail.outbox) == 1


def test_the_api_without_redis(ada: Any, browser: Client, valkey: ValkeyServer) -> None:
    """503 with Retry-After from both."""
    valkey.stop()
    for answer in (
        browser.post("/api/code/", {"email": "ada@example.com"}),
        browser.post("/api/code/", {"email": "nobody@example.com"}),
        browser.post("/api/verify/", {"challenge": "a" * 64, "code": "123456"}),
    ):
        assert (answer.status_code, "Retry-After" in answer) == (503, True)
        assert "no-store" in answer["Cache-Control"]


def test_a_device(ada: Any, mailed: Any) -> None:
    """Of two copies of the row one accepts the code, once; the database has no code."""
    from django_otp import devices_for_user, match_token

    device = RedisDevice.objects.create(user=ada, name="mail")
    assert not device.verify_token("123456")
    assert device.is_interactive()
    device.generate_challenge()
    code = mailed()
    assert mail.outbox[0].to == ["ada@example.com"]
    row = RedisDevice.objects.values().get()
    assert code not in {str(each) for each in row.values()}
    one, other = RedisDevice.objects.get(), RedisDevice.objects.get()
    assert not one.verify_token("12345")
    assert [one.verify_token(code), other.verify_token(code)] == [True, False]
    assert list(devices_for_user(ada)) == [device]
    assert match_token(ada, code) is None


def test_a_device_within_limits(ada: Any, mailed: Any, settings: pytest_django.Settings) -> None:
    """The cooldown holds; what could not be sent costs none of it, and its code is dead; an address of its own."""
    device = RedisDevice.objects.create(user=ada, name="mail", destination="desk@example.com")
    settings.REDIS_TOOLKIT_OTP_DELIVERY = REFUSING
    with pytest.raises(DeliveryFailed):
        device.generate_challenge()
    settings.REDIS_TOOLKIT_OTP_DELIVERY = MAILING
    device.generate_challenge()
    assert mail.outbox[0].to == ["desk@example.com"]
    with pytest.raises(CodeRefused):
        device.generate_challenge()
    assert device.verify_token(mailed())


def test_a_device_without_redis(ada: Any, valkey: ValkeyServer) -> None:
    """It raises: no code is right."""
    device = RedisDevice.objects.create(user=ada, name="mail")
    device.generate_challenge()
    valkey.stop()
    with pytest.raises(StoreUnavailable):
        device.verify_token("123456")
