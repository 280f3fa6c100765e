"""A real worker of Celery's delivers; the broker, read while there is none, holds no code."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
import pytest_django
import redis
from celery import Celery, current_app
from django.core import mail
from django.test import Client

from tests import servers
from tests.integration.cache.test_celery import PATIENCE, Worker

ASK, CODE, LINK = "/log-in/", "/log-in/code/", "/log-in/link/"
ADA = "ada@example.com"
# (Messages are sent when a transaction is committed.)
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def broker() -> str:
    """The address of the shared server as Celery writes it."""
    path, _, database = servers.redis_url.removeprefix("unix://").partition("?db=")
    return f"redis+socket://{path}?virtual_host={database}" if database else servers.redis_url


@pytest.fixture
def queued(broker: str, settings: pytest_django.Settings) -> Iterator[None]:
    """Codes are sent by a worker, and there is none."""
    settings.REDIS_TOOLKIT_OTP_SENDER = "redis_toolkit.tasks.send_code"
    before = current_app._get_current_object()
    with Celery("site", broker=broker) as site:
        site.set_default()
        site.set_current()
        yield
        before.set_default()
        before.set_current()


@pytest.fixture
def worker(broker: str, django_environment: dict[str, str], tmp_path: Path) -> Callable[[str], Any]:
    """Have a worker run in the block; its log."""

    @contextmanager
    def run(delivery: str) -> Iterator[Worker]:
        told = {"DJANGO_SETTINGS_MODULE": "tests.integration.otp_views.worker_settings", "CELERY_BROKER": broker}
        told |= {"MAILS": str(tmp_path / "mails"), "DELIVERY": f"tests.integration.otp_views.senders.{delivery}"}
        running = Worker({**django_environment, **told}, tmp_path / "worker.log")
        try:
            yield running
        finally:
            running.kill()

    return run


def mails(folder: Path, number: int, meanwhile: Callable[[], object] = int) -> list[str]:
    """What was sent, when so many are written to their ends; ``meanwhile`` is asked again and again."""
    deadline = perf_counter() + PATIENCE
    while True:
        # Django names a file after the second and the backend's id(), which the next backend may have: two mails in one.
        written = [each.read_text() for each in sorted((folder / "mails").glob("*.log"))]
        found = [mail for each in written for mail in each.split("-" * 79 + "\n")[:-1]]
        if len(found) == number:
            return found
        meanwhile()
        assert perf_counter() < deadline, (folder / "worker.log").read_text()


#: All keys and values at one moment.
DUMP = """
local found = {}
local ask = {hash = {'HGETALL'}, zset = {'ZRANGE', 0, -1}, list = {'LRANGE', 0, -1}, set = {'SMEMBERS'}, string = {'GET'}}
for _, key in ipairs(redis.call('KEYS', '*')) do
  found[#found + 1] = key
  local words = ask[redis.call('TYPE', key).ok]
  local values = redis.call(words[1], key, unpack(words, 2))
  for _, value in ipairs(type(values) == 'table' and values or {values}) do
    found[#found + 1] = value
  end
end
return found
"""


def everything(server: redis.Redis) -> str:
    """All that there is in Redis: keys, values, and what is written in them in base64."""
    found: list[bytes] = server.eval(DUMP, 0)
    text = b"\n".join(found).decode("utf-8", "replace")
    return text + "\n" + "\n".join(map(_plain, re.findall(r"[A-Za-z0-9+/=]{16,}", text)))


def _plain(text: str) -> str:
    try:
        return base64.b64decode(text).decode("utf-8", "replace")
    except ValueError:
        return ""


@pytest.mark.parametrize("delivery", ["Mailing", "RefusingAtFirst"])
def test_pitfall_15_no_code_crosses_the_broker(
    delivery: str, ada: Any, browser: Client, queued: None, worker: Any, shared_redis: redis.Redis, tmp_path: Path
) -> None:
    """Pitfall 15: one message of challenge and looks; the worker mints; no trace of the code is left, nor of a retry's."""
    browser.post(ASK, {"email": ADA})
    (message,) = shared_redis.lrange("celery", 0, -1)
    told = json.loads(message)
    arguments, keywords, _ = json.loads(base64.b64decode(told["body"]))
    assert (told["headers"]["task"], keywords) == ("redis_toolkit.deliver_code", {})
    assert set(json.loads(arguments[0])) == {"purpose", "look", "challenge", "link", "language"}
    waiting = everything(shared_redis)
    assert json.loads(arguments[0])["challenge"] in waiting
    assert "ada@" not in waiting
    assert browser.post(CODE, {"code": "123456"}).status_code == 200
    seen: set[str] = set()
    look = lambda: seen.update(everything(shared_redis).splitlines())  # noqa: E731 - asked often
    with worker(delivery) as running:
        [sent] = mails(tmp_path, 1, look)
        look()
        left, log = "\n".join(seen), running.log
    # What is tried again is a message as well.
    assert ("exc_info" in left or '"retries": 1' in left) == (delivery == "RefusingAtFirst")
    code = re.findall(r"^(\d{6})\r?$", sent, re.MULTILINE)[0]
    assert f"To: {ADA}" in sent
    refused = [each.read_text() for each in (tmp_path / "mails").glob("*.refused")]
    assert len(refused) == (delivery == "RefusingAtFirst")
    for each in [code, *refused]:
        assert each not in waiting
        assert not re.search(rf"(?<!\d){each}(?!\d)", left)
        assert not re.search(rf"(?<!\d){each}(?!\d)", log)
    assert mail.outbox == []
    for each in refused:
        if each != code:
            assert browser.post(CODE, {"code": each}).status_code == 200
    assert browser.post(CODE, {"code": code})["Location"] == "/home/"


def test_what_is_queued_for_nobody_sends_nothing(
    ada: Any, browser: Client, queued: None, worker: Any, shared_redis: redis.Redis, tmp_path: Path
) -> None:
    """For an unknown address a message of the same size; the worker takes both, and sends one mail."""
    for email in ("noa@example.com", ADA):
        Client().post(ASK, {"email": email})
        Client().post(LINK, {"email": email})
    queue = shared_redis.lrange("celery", 0, -1)
    bodies = [json.loads(base64.b64decode(json.loads(each)["body"]))[0][0] for each in queue]
    assert len(bodies) == 4
    assert len({len(each) for each in bodies}) == 2
    with worker("Mailing") as running:
        sent = mails(tmp_path, 2)
        deadline = perf_counter() + PATIENCE
        while running.log.count("succeeded in") < 4:
            assert perf_counter() < deadline
    assert [each.count(f"To: {ADA}") for each in sent] == [1, 1]
    assert not list((tmp_path / "mails").glob("*.refused"))
