"""Logging in by a code or a link sent by e-mail, with Django's test client."""

from __future__ import annotations

import re
from typing import Any, cast

import pytest
import pytest_django
from django.core import mail
from django.core.signals import request_finished
from django.db import close_old_connections
from django.test import Client, RequestFactory
from django.urls import resolve

from redis_toolkit.otp.views import login_code, login_link
from redis_toolkit.testing import ValkeyServer

ASK, CODE, LINK = "/log-in/", "/log-in/code/", "/log-in/link/"
pytestmark = pytest.mark.django_db


def ask(browser: Client, email: str = "ada@example.com", path: str = ASK, **more: str) -> Any:
    return browser.post(path, {"email": email, **more})


def who(browser: Client) -> str | None:
    return browser.session.get("_auth_user_id")


def bare(response: Any) -> tuple[int, bytes, dict[str, str], str]:
    """All that a client sees, but for nonces: the CSRF token, and the values of cookies."""
    body = re.sub(rb'(name="csrfmiddlewaretoken" value=")[^"]+', rb"\1", response.content)
    cookies = re.sub(r"(sessionid|csrftoken)=[^;]+|expires=[^;]+", r"\1", response.cookies.output())
    # (Expires is the time of the answer.)
    return response.status_code, body, {**response.headers, "Expires": ""}, cookies


def test_a_whole_log_in(ada: Any, browser: Client, mailed: Any) -> None:
    """Address, mail, code, and in: under another session key, with nothing pending left; the code is good once."""
    page = browser.get(ASK + "?next=/shelf/")
    assert b'value="/shelf/"' in page.content
    answer = ask(browser, "  Ada@Example.com ", next="/shelf/")
    assert (answer.status_code, answer["Location"]) == (302, CODE)
    [sent] = cast("list[Any]", mail.outbox)
    assert sent.to == ["ada@example.com"]
    code = mailed()
    assert code not in sent.subject
    assert len(sent.alternatives) == 1
    page = browser.get(CODE)
    for each in (b'autocomplete="one-time-code"', b'inputmode="numeric"', b"<label for="):
        assert each in page.content
    assert b"<script" not in page.content
    before = browser.session.session_key
    answer = browser.post(CODE, {"code": f" {code[:3]} {code[3:]}"})
    assert (answer.status_code, answer["Location"]) == (302, "/shelf/")
    assert who(browser) == str(ada.pk)
    assert browser.session.session_key != before
    assert "otp" not in str(dict(browser.session.items()))
    cookie = answer.cookies["rtk_familiar_login"]
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")
    assert browser.post(CODE, {"code": code})["Location"] == ASK


@pytest.mark.parametrize("path", [ASK, CODE, LINK, LINK + "sent/", LINK + "x/", "/log-in/step-up/"])
def test_nobody_keeps_the_pages(path: str, ada: Any, browser: Client) -> None:
    """Whatever they answer, they say no-store."""
    browser.force_login(ada)
    for each in (browser, Client()):
        for answer in (each.get(path), each.post(path)):
            assert answer.status_code in {200, 302, 405}
            assert "no-store" in answer["Cache-Control"]


def test_wrong_codes_and_the_last_one(ada: Any, browser: Client, mailed: Any) -> None:
    """Five tries, told as they go; then the right one is not taken either."""
    ask(browser)
    right = mailed()
    wrong = "000000" if right != "000000" else "000001"
    texts = [browser.post(CODE, {"code": wrong}).content for _ in range(5)]
    assert b"4 more tries" in texts[0]
    assert b"1 more try" in texts[3]
    assert b"not good any more" in texts[4]
    assert b"not good any more" in browser.post(CODE, {"code": right}).content
    assert who(browser) is None


def test_a_lock_is_told_with_its_length(ada: Any, browser: Client, mailed: Any, clock: Any) -> None:
    """Ten failures: 429 with Retry-After for this stranger, to tries and to requests alike; it ends."""
    for _ in range(2):
        ask(browser)
        for _ in range(5):
            browser.post(CODE, {"code": "12345"})
        clock.move(31)
    answer = ask(browser)
    assert (answer.status_code, answer["Retry-After"]) == (429, "869")
    assert len(mail.outbox) == 2
    clock.move(870)
    ask(browser)
    assert len(mail.outbox) == 3
    assert browser.post(CODE, {"code": mailed()})["Location"] == "/home/"


def test_another_code_not_before_the_cooldown_is_over(ada: Any, browser: Client, mailed: Any, clock: Any) -> None:
    """Within 30 s: 429, and no mail; then a new code under the same challenge, and the old one is dead."""
    ask(browser)
    old = mailed()
    challenge = browser.session["_redis_toolkit_otp_login"]["challenge"]
    answer = browser.post(CODE, {"send": "again"})
    assert (answer.status_code, answer["Retry-After"], len(mail.outbox)) == (429, "30", 1)
    assert ask(browser)["Location"] == CODE
    assert ask(Client()).status_code == 429
    assert len(mail.outbox) == 1
    clock.move(30)
    answer = browser.post(CODE, {"send": "again"})
    assert (answer.status_code, answer["Location"], len(mail.outbox)) == (302, CODE, 2)
    assert browser.session["_redis_toolkit_otp_login"]["challenge"] == challenge
    new = mailed()
    if new != old:
        assert browser.post(CODE, {"code": old}).status_code == 200
    assert browser.post(CODE, {"code": new}).status_code == 302


@pytest.mark.parametrize("path", [ASK, LINK])
@pytest.mark.parametrize("who_else", ["nobody@example.com", "bob@example.com", "two@example.com"])
def test_unknown_addresses_look_the_same(
    path: str, who_else: str, ada: Any, settings: pytest_django.Settings, django_user_model: Any, clock: Any
) -> None:
    """Nobody's, a barred user's, that of two: status, body, headers and cookies, step by step, but for nonces."""
    django_user_model.objects.create_user("bob", "bob@example.com", "x", is_active=False)
    for name in ("tim", "tom"):
        django_user_model.objects.create_user(name, "two@example.com", "x")
    seen: dict[str, list[Any]] = {}
    for email in ("ada@example.com", who_else):
        browser = Client()
        answers = [browser.get(path), ask(browser, email, path)]
        answers += [browser.get(answers[-1]["Location"]), ask(browser, email, path), ask(Client(), email, path)]
        if path == ASK:
            answers += [browser.post(CODE, {"code": "12345"}) for _ in range(6)]
            answers += [browser.post(CODE, {"send": "again"})]
            clock.move(31)
            answers += [browser.post(CODE, {"send": "again"}), browser.get(CODE), ask(Client(), email)]
            # (Five wrong ones of the new challenge make ten of this address, which are a lock.)
            answers += [browser.post(CODE, {"code": "12345"}) for _ in range(6)]
        # Of the two pages each shows the address that was typed into it, and as long as that is.
        shown = [bare(each) for each in answers]
        seen[email] = [
            (status, body.replace(email.encode(), b"@"), {**headers, "Content-Length": ""}, cookies)
            for status, body, headers, cookies in shown
        ]
    assert seen["ada@example.com"] == seen[who_else]
    assert {each.to[0] for each in mail.outbox} == {"ada@example.com"}


@pytest.mark.parametrize("path", [ASK, LINK])
def test_unknown_addresses_cost_the_same(path: str, ada: Any, django_assert_num_queries: Any) -> None:
    """The answer is out before anybody looks for an account: no statement, as many round trips, nothing sent."""
    from redis_toolkit.core.connections import link
    from redis_toolkit.otp.views import CodeRequestView, LinkRequestView

    view = CodeRequestView if path == ASK else LinkRequestView
    ask(Client(), "warm@example.com", path)
    trips = []
    for email in ("ada@example.com", "nobody@example.com"):
        request: Any = RequestFactory().post(path, {"email": email})
        request.session = Client().session
        request._dont_enforce_csrf_checks = True
        request.resolver_match = resolve(path)
        before = link().round_trips
        with django_assert_num_queries(0):
            answer = view.as_view()(request)
        trips.append(link().round_trips - before)
        assert (answer.status_code, len(mail.outbox)) == (302, 0)
        # (As Django's test client: the connection is that of the test.)
        request_finished.disconnect(close_old_connections)
        try:
            with django_assert_num_queries(1):
                answer.close()
        finally:
            request_finished.connect(close_old_connections)
        assert len(mail.outbox) == (email == "ada@example.com")
        mail.outbox.clear()
    assert trips[0] == trips[1]


def test_who_cannot_be_found_breaks_nothing(
    ada: Any, browser: Client, monkeypatch: pytest.MonkeyPatch, caplog: Any, clock: Any, mailed: Any
) -> None:
    """The look for an account fails when the answer is out: it is logged, nothing is sent; later it is."""
    from redis_toolkit.otp.views import CodeRequestView

    def broken(view: Any, address: str) -> Any:
        raise LookupError

    with monkeypatch.context() as patch:
        patch.setattr(CodeRequestView, "find_user", broken)
        assert ask(browser).status_code == 302
    assert (len(mail.outbox), [each.levelname for each in caplog.records if each.name == "redis_toolkit.otp"]) == (
        0,
        ["ERROR"],
    )
    clock.move(30)
    browser.post(CODE, {"send": "again"})
    assert browser.post(CODE, {"code": mailed()})["Location"] == "/home/"


def test_sent_again(ada: Any, browser: Client, clock: Any, mailed: Any, django_user_model: Any) -> None:
    """Another code for an address without an account: nothing is sent; till somebody has it."""
    ask(browser, "eve@example.com")
    clock.move(30)
    assert browser.post(CODE, {"send": "again"}).status_code == 302
    assert mail.outbox == []
    django_user_model.objects.create_user("eve", "eve@example.com")
    clock.move(30)
    browser.post(CODE, {"send": "again"})
    assert browser.post(CODE, {"code": mailed()})["Location"] == "/home/"


@pytest.mark.parametrize("path", [ASK, LINK])
def test_a_next_that_is_a_novel(path: str, ada: Any, browser: Client) -> None:
    """Two thousand signs of four bytes lead nowhere, and break nothing."""
    for novel in ("/" + "😀" * 2000, "/" + "x" * 5000):
        assert browser.post(path, {"email": f"{len(novel)}@example.com", "next": novel}).status_code == 302
        assert browser.get(path, {"next": novel}).status_code == 200


def test_what_cannot_be_sent_is_not_told(
    ada: Any, settings: pytest_django.Settings, caplog: Any, clock: Any, mailed: Any
) -> None:
    """A provider refuses: the answers are those to an unknown address; no code in the log; a resend is sent."""
    settings.REDIS_TOOLKIT_OTP_DELIVERY = "tests.integration.otp_views.senders.Refusing"
    seen, browsers = [], []
    for email in ("ada@example.com", "eve@example.com"):
        browser = Client()
        browsers.append(browser)
        answers = [ask(browser, email), browser.post(CODE, {"code": "12345"}), ask(Client(), email)]
        seen.append([(status, body.replace(email.encode(), b"@")) for status, body, *_ in map(bare, answers)])
    assert seen[0] == seen[1]
    [told] = [each.getMessage() for each in caplog.records if each.name == "redis_toolkit.otp"]
    assert told == "A code was not sent: Refusing could not send a code: ConnectionError."
    settings.REDIS_TOOLKIT_OTP_DELIVERY = "redis_toolkit.otp.delivery.EmailDelivery"
    clock.move(30)
    browsers[0].post(CODE, {"send": "again"})
    assert browsers[0].post(CODE, {"code": mailed()})["Location"] == "/home/"


@pytest.mark.parametrize("evil", ["https://evil.example/", "//evil.example", "javascript:alert(1)", "\\\\evil.example"])
def test_open_redirects_are_refused(evil: str, ada: Any, browser: Client, mailed: Any) -> None:
    """A next that leads elsewhere is neither shown nor followed."""
    assert evil.encode() not in browser.get(ASK, {"next": evil}).content
    ask(browser, next=evil)
    assert browser.post(CODE, {"code": mailed()})["Location"] == "/home/"


def test_a_code_is_good_in_its_own_session_only(ada: Any, browser: Client, mailed: Any) -> None:
    """Another browser with the challenge and the code is not let in; nor is whoever was made to take it over."""
    ask(browser)
    other = Client()
    other.get(ASK)
    session = other.session
    session["_redis_toolkit_otp_login"] = dict(browser.session["_redis_toolkit_otp_login"])
    session.save()
    other.cookies["sessionid"] = str(session.session_key)
    assert b"4 more tries" in other.post(CODE, {"code": mailed()}).content
    assert who(other) is None
    assert browser.post(CODE, {"code": mailed()}).status_code == 302


@pytest.mark.parametrize("change", ["is_active", "password", "email"])
def test_who_was_changed_meanwhile_is_not_let_in(change: str, ada: Any, browser: Client, mailed: Any) -> None:
    """Pitfall 26: barred, or with another password or address, since the code was sent."""
    ask(browser)
    setattr(ada, change, {"is_active": False, "password": "x", "email": "eve@example.com"}[change])
    ada.save()
    assert browser.post(CODE, {"code": mailed()}).status_code == 200
    assert who(browser) is None


def test_forms_need_a_csrf_token(ada: Any) -> None:
    """403 without one, and nothing is sent."""
    browser = Client(enforce_csrf_checks=True)
    assert ask(browser).status_code == 403
    assert mail.outbox == []


def test_a_scanner_that_follows_the_link_consumes_nothing(ada: Any, browser: Client, mailed: Any) -> None:
    """Pitfall 14: GET and HEAD, from anywhere, ten times; then the button, in the browser that asked; and never again."""
    answer = ask(browser, path=LINK, next="/shelf/")
    assert answer["Location"] == LINK + "sent/"
    assert b"ada@example.com" in browser.get(LINK + "sent/").content
    path = mailed()
    scanner = Client()
    for _ in range(5):
        assert scanner.get(path).status_code == scanner.head(path).status_code == 200
    assert b"Log me in" not in scanner.get(path).content
    page = browser.get(path)
    assert b"Log me in" in page.content
    assert page["Referrer-Policy"] == "same-origin"
    assert who(browser) is None
    answer = browser.post(path)
    assert (answer.status_code, answer["Location"], who(browser)) == (302, "/shelf/", str(ada.pk))
    assert b"Log me in" not in Client().get(path).content
    assert Client().post(path).status_code == 200


def test_a_link_is_good_in_its_own_session_only(ada: Any, browser: Client, mailed: Any) -> None:
    """Nobody else's browser is logged in by it: it says that it does not work there."""
    ask(browser, path=LINK)
    other = Client()
    answer = other.post(mailed())
    assert (answer.status_code, who(other)) == (200, None)
    assert b"does not work" in answer.content
    assert b"does not work" in browser.get(LINK + "x" * 64 + "/").content


def test_without_redis_nobody_gets_in(ada: Any, valkey: ValkeyServer, browser: Client, mailed: Any) -> None:
    """503 with Retry-After from every page that needs it, the cookie kept; when it is back all goes on anew."""
    ask(browser)
    code = mailed()
    valkey.stop()
    answers = [
        browser.post(CODE, {"code": code}), browser.post(CODE, {"send": "again"}), ask(Client()),
        ask(Client(), "nobody@example.com"), browser.get(LINK + "A" * 64 + "/"), browser.post(LINK + "A" * 64 + "/"),
    ]  # fmt: skip
    assert [each.status_code for each in answers] == [503] * 6
    for each in answers:
        assert int(each["Retry-After"]) >= 1
        assert "no-store" in each["Cache-Control"]
        assert "sessionid" not in each.cookies
    assert who(browser) is None


def test_a_familiar_browser_is_not_locked_out_by_a_stranger(ada: Any, browser: Client, mailed: Any, clock: Any) -> None:
    """Ada has logged in here before; a stranger, of the same address even, uses up all tries; she gets in."""
    ask(browser)
    browser.post(CODE, {"code": mailed()})
    stranger = Client()
    kept: Any = browser.cookies["rtk_familiar_login"].value
    for _ in range(2):
        clock.move(31)
        ask(stranger)
        for _ in range(5):
            stranger.post(CODE, {"code": "12345"})
    clock.move(31)
    assert ask(Client()).status_code == 429
    home = Client()
    home.cookies.load({"rtk_familiar_login": kept})
    assert ask(home).status_code == 302
    assert home.post(CODE, {"code": mailed()})["Location"] == "/home/"


@pytest.mark.parametrize("bad", ["a@example.com,b@example.com", "a@example.com\nBcc: b@example.com", "no address", ""])
def test_exactly_one_address(bad: str, browser: Client) -> None:
    """Pitfall 12: lists and lines of headers are no address."""
    answer = ask(browser, bad)
    assert (answer.status_code, mail.outbox) == (200, [])
    assert b'role="alert"' in answer.content


def test_codes_and_links_of_the_pages() -> None:
    """What they are: ten minutes at most."""
    assert (login_code.ttl, login_link.ttl, login_code.variety) == (300, 600, 10**6)
