"""Deliveries; and with a worker, which mints the code."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest
import pytest_django
from django.core import mail
from django.test import Client

from redis_toolkit.exceptions import Misconfigured, StoreUnavailable
from redis_toolkit.otp.delivery import CallableDelivery, ConsoleDelivery, DeliveryFailed, EmailDelivery
from redis_toolkit.otp.views import login_code
from redis_toolkit.tasks import deliver_code
from redis_toolkit.testing import ValkeyServer
from redis_toolkit.testing.otp import code_outbox
from tests.integration.otp_views import senders

ASK, CODE, LINK = "/log-in/", "/log-in/code/", "/log-in/link/"
TERMS: dict[str, Any] = {"purpose": "login", "expires_in": 299.5}


@pytest.fixture(autouse=True)
def nothing_sent() -> None:
    senders.texts.clear()
    senders.messages.clear()


@pytest.fixture
def worker(settings: pytest_django.Settings) -> None:
    """Messages are remembered for us to perform."""
    settings.REDIS_TOOLKIT_OTP_SENDER = "tests.integration.otp_views.senders.remember"


def test_mails() -> None:
    """To one address, text and HTML, with the code or the link, for five minutes."""
    EmailDelivery().send("ada@Example.com", "123456", **TERMS)
    EmailDelivery().send("ada@example.com", "", link="https://x.example/?a=1&b=2", **TERMS)
    code, link = cast("list[Any]", mail.outbox)
    assert (code.to, code.subject) == (["ada@example.com"], "Your code")
    assert "123456" in code.body
    assert "5 minutes" in code.body
    assert "123456" in code.alternatives[0][0]
    assert "https://x.example/?a=1&b=2" in link.body
    assert 'href="https://x.example/?a=1&amp;b=2"' in link.alternatives[0][0]
    assert code.extra_headers["Auto-Submitted"] == "auto-generated"


@pytest.mark.parametrize("bad", ["a@x.example,b@x.example", "a@x.example\nBcc: b@x.example", "A <a@x.example>", ""])
@pytest.mark.parametrize("way", [EmailDelivery, ConsoleDelivery, senders.Texting])
def test_exactly_one_recipient(bad: str, way: Any) -> None:
    """Pitfall 12: whatever the way."""
    with pytest.raises(ValueError, match="exactly one"):
        way().send(bad, "123456", **TERMS)
    assert (mail.outbox, senders.texts) == ([], [])


def test_texts_and_the_terminal(capsys: Any) -> None:
    """A callable is given number and text; a class without one says so; the terminal shows a line."""
    senders.Texting().send("+39 06 1234", "123456", **TERMS)
    CallableDelivery(lambda *given: senders.texts.append(given)).send(
        "+39061234", "", link="https://x.example", **TERMS
    )
    assert [each[0] for each in senders.texts] == ["+39061234", "+39061234"]
    assert senders.texts[0][1].startswith("123456 is your code")
    assert senders.texts[1][1] == "https://x.example"
    with pytest.raises(Misconfigured):
        CallableDelivery()
    ConsoleDelivery().send("ada@example.com", "123456", **TERMS)
    assert "123456" in capsys.readouterr().out


def test_an_outbox_of_codes(ada: Any, browser: Client) -> None:
    """Of whatever way: what would have been sent, of the innermost block; afterwards all is as it was."""
    with code_outbox() as sent:
        browser.post(ASK, {"email": "ada@example.com"})
        browser.post(ASK, {"email": "eve@example.com"})
        with code_outbox() as inner:
            browser.post(LINK, {"email": "ada@example.com"})
        browser.post("/api/code/", {"email": "ada@example.com"})
        [code, api], [link] = sent, inner
        assert api.purpose == "api-login"
        assert (code.destination, code.link, code.purpose) == ("ada@example.com", None, "login")
        assert (link.code, str(link.link).startswith("http://testserver/log-in/link/")) == ("", True)
        assert mail.outbox == []
        assert browser.post(str(link.link)).status_code == 302
    EmailDelivery().send("ada@example.com", code.code, **TERMS)
    assert len(mail.outbox) == 1


def test_what_a_provider_says_is_not_repeated(caplog: Any) -> None:
    """Pitfall 15: its error holds the code; ours does not, nor its cause."""
    with pytest.raises(DeliveryFailed) as caught:
        senders.Refusing().send("ada@example.com", "123456", **TERMS)
    assert "123456" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    with pytest.raises(DeliveryFailed):
        EmailDelivery().send("+39061234", "123456", **TERMS)
    assert "123456" not in caplog.text


def test_the_worker_mints_the_code(ada: Any, browser: Client, worker: None, mailed: Any) -> None:
    """No code crosses the broker; before the worker every try is wrong; a message that comes twice does no harm."""
    browser.post(ASK, {"email": "ada@example.com"})
    assert mail.outbox == []
    [message] = senders.messages
    assert "ada" not in message
    assert set(json.loads(message)) == {"purpose", "look", "challenge", "link", "language"}
    assert b"4 more tries" in browser.post(CODE, {"code": "123456"}).content
    assert deliver_code(message) is True
    assert mailed() not in message
    assert deliver_code(message) is False
    assert len(mail.outbox) == 1
    assert browser.post(CODE, {"code": mailed()})["Location"] == "/home/"
    assert deliver_code(message) is False


def test_the_worker_sends_links(ada: Any, browser: Client, worker: None, mailed: Any) -> None:
    """The message has the address but for its token."""
    browser.post(LINK, {"email": "ada@example.com"})
    [message] = senders.messages
    assert json.loads(message)["link"] == "http://testserver/log-in/link/_token_/"
    assert deliver_code(message)
    assert mailed().rstrip("/").rpartition("/")[2] not in message
    assert browser.post(mailed())["Location"] == "/home/"


def test_unknown_addresses_send_a_message_too(ada: Any, worker: None) -> None:
    """By which nothing is sent: what the web process does is the same."""
    for email in ("ada@example.com", "nobody@example.com"):
        assert Client().post(ASK, {"email": email}).status_code == 302
    known, unknown = (json.loads(each) for each in senders.messages)
    assert {**known, "challenge": ""} == {**unknown, "challenge": ""}
    assert [deliver_code(each) for each in senders.messages] == [True, False]
    assert len(mail.outbox) == 1


def test_a_worker_tries_again_with_another_code(
    ada: Any, browser: Client, worker: None, mailed: Any, settings: pytest_django.Settings
) -> None:
    """The mail server refuses once: the code is taken back, and the next run mints one that is good."""
    browser.post(ASK, {"email": "ada@example.com"})
    settings.REDIS_TOOLKIT_OTP_DELIVERY = "tests.integration.otp_views.senders.Refusing"
    with pytest.raises(DeliveryFailed):
        deliver_code(senders.messages[0])
    settings.REDIS_TOOLKIT_OTP_DELIVERY = "redis_toolkit.otp.delivery.EmailDelivery"
    assert deliver_code(senders.messages[0])
    assert browser.post(CODE, {"code": mailed()})["Location"] == "/home/"


def test_a_broker_that_is_away_is_not_told(ada: Any, browser: Client, settings: pytest_django.Settings) -> None:
    """Known and unknown: the same redirect, nothing sent."""
    settings.REDIS_TOOLKIT_OTP_SENDER = "tests.integration.otp_views.senders.refuse"
    for email in ("ada@example.com", "nobody@example.com"):
        assert browser.post(ASK, {"email": email}).status_code == 302
    assert mail.outbox == []


def test_a_worker_without_redis_fails(ada: Any, browser: Client, worker: None, valkey: ValkeyServer) -> None:
    """So that it is run again, and nothing is sent meanwhile."""
    browser.post(ASK, {"email": "ada@example.com"})
    valkey.stop()
    with pytest.raises(StoreUnavailable):
        deliver_code(senders.messages[0])
    assert mail.outbox == []


@pytest.mark.django_db(transaction=True)
def test_celery_is_told_after_the_commit(
    browser: Client, settings: pytest_django.Settings, django_user_model: Any, mailed: Any
) -> None:
    """Through the shipped sender and Celery's own serialisation: nothing within the transaction, or after a rollback."""
    from celery import current_app
    from django.db import transaction

    from redis_toolkit.otp.sending import begin, send

    settings.REDIS_TOOLKIT_OTP_SENDER = "redis_toolkit.tasks.send_code"
    before = current_app.conf.task_always_eager
    current_app.conf.task_always_eager = True
    try:
        with transaction.atomic():
            issued = begin(login_code, "ada@example.com")
            send(login_code, issued)
            assert mail.outbox == []
        assert len(mail.outbox) == 1
        assert login_code.verify(issued.challenge, mailed())
        with transaction.atomic():
            send(login_code, begin(login_code, "eve@example.com"))
            transaction.set_rollback(True)
        assert len(mail.outbox) == 1
    finally:
        current_app.conf.task_always_eager = before
