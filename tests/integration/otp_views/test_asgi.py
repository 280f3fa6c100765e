"""The pages under ASGI: Django's asynchronous client, and its own handler as a server of today calls it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import pytest
from django.core import mail
from django.core.handlers.asgi import ASGIHandler
from django.test import AsyncClient

from redis_toolkit.testing import ValkeyServer

ASK, CODE, LINK, STEP = "/log-in/", "/log-in/code/", "/log-in/link/", "/log-in/step-up/"
DOOR, SECOND = "/office/login/", "/office/login/code/"
ADA = "ada@example.com"
# (Views run in threads, whose connections see what was committed.)
pytestmark = pytest.mark.django_db(transaction=True)


def test_codes_links_steps_the_admin_and_the_api(ada: Any, mailed: Any, django_user_model: Any) -> None:
    """Each is asked for, mailed, shown once, and lets in."""
    django_user_model.objects.update(is_staff=True, is_superuser=True)

    async def play() -> list[Any]:
        browser, other, office, client = (AsyncClient() for _ in range(4))
        told: list[Any] = [(await browser.post(ASK, {"email": ADA, "next": "/shelf/"}))["Location"]]
        told.append((await browser.get(CODE)).status_code)
        told.append(b"4 more tries" in (await browser.post(CODE, {"code": "x"})).content)
        code = mailed()
        told += [(await browser.post(CODE, {"code": code}))["Location"] for _ in range(2)]
        told += [(await browser.get(path))["Location"] for path in ("/crypt/", "/well/")]
        told.append((await browser.post(STEP, {"send": "first", "next": "/vault/"})).status_code)
        told.append((await browser.post(STEP, {"code": mailed()}))["Location"])
        told += [(await browser.get(path)).content for path in ("/vault/", "/crypt/", "/well/")]
        told.append((await browser.post("/well/")).status_code)
        await other.post(LINK, {"email": ADA})
        told.append(b"Log me in" in (await other.get(mailed())).content)
        told.append((await other.post(mailed()))["Location"])
        told.append((await office.post(DOOR, {"username": "ada", "password": "analytical engine"}))["Location"])
        told.append((await office.post(SECOND, {"code": mailed()}))["Location"])
        told.append((await office.get("/office/")).status_code)
        challenge = (await client.post("/api/code/", {"email": ADA})).json()["challenge"]
        answer = {"challenge": challenge, "code": mailed()}
        told += [(await client.post("/api/verify/", answer)).status_code for _ in range(2)]
        return told

    assert asyncio.run(play()) == [
        CODE, 200, True, "/shelf/", ASK, STEP + "?next=%2Fcrypt%2F", STEP + "?next=%2Fwell%2F", 302, "/vault/",
        b"gold", b"bones", b"water", 405, True, "/home/", SECOND, "/office/", 200, 200, 400,
    ]  # fmt: skip
    assert len(mail.outbox) == 5


def test_without_redis(ada: Any, valkey: ValkeyServer) -> None:
    """503, and no mail."""
    valkey.stop()

    async def play() -> list[int]:
        browser = AsyncClient()
        given = {"email": ADA, "challenge": "a" * 64, "code": "123456"}
        return [(await browser.post(path, given)).status_code for path in (ASK, LINK, "/api/code/", "/api/verify/")]

    assert asyncio.run(play()) == [503] * 4
    assert mail.outbox == []


@pytest.mark.parametrize("when", ["at once", "when it is written"])
def test_a_client_that_hangs_up_with_its_answer(when: str, ada: Any) -> None:
    """Servers tell of a client that is gone when the answer is out, some within its last piece: the mail is sent then."""

    async def play() -> tuple[list[dict[str, Any]], int]:
        sent: list[dict[str, Any]] = []
        gone, asked = asyncio.Event(), False

        async def receive() -> dict[str, Any]:
            nonlocal asked
            if not asked:
                asked = True
                given = urlencode({"email": ADA, "csrfmiddlewaretoken": "c" * 32}).encode()
                return {"type": "http.request", "body": given, "more_body": False}
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Mapping[str, Any]) -> None:
            sent.append({**message, "mails": len(mail.outbox)})
            if message["type"] == "http.response.body":
                gone.set()
                if when == "at once":
                    for _ in range(5):
                        await asyncio.sleep(0)

        handler = ASGIHandler()
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "path": ASK,
            "query_string": b"", "root_path": "", "scheme": "http", "server": ("testserver", 80), "client": ("1.2.3.4", 5),
            "headers": [
                (b"host", b"testserver"), (b"content-type", b"application/x-www-form-urlencoded"),
                (b"cookie", b"csrftoken=" + b"c" * 32),
            ],
        }  # fmt: skip
        await handler(scope, receive, send)
        return sent, len(mail.outbox)

    sent, mails = asyncio.run(play())
    assert [each.get("status") for each in sent] == [302, None]
    # None was on its way before the answer was.
    assert ([each["mails"] for each in sent], mails) == ([0, 0], 1)
