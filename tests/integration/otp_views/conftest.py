"""What the tests of the pages share: Ada, browsers, and a mailbox."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import pytest_django
from django.core import mail
from django.test import Client

from redis_toolkit.core.clock import Frozen
from redis_toolkit.testing.otp import code_clock


@pytest.fixture(autouse=True)
def pages(settings: pytest_django.Settings) -> None:
    """The pages' own URLs, and sessions that Redis has no part in."""
    settings.ROOT_URLCONF = "tests.integration.otp_views.pages"
    settings.LOGIN_URL = "/log-in/"
    settings.LOGIN_REDIRECT_URL = "/home/"
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"


@pytest.fixture
def ada(db: None) -> Any:
    from django.contrib.auth import get_user_model

    return get_user_model().objects.create_user("ada", "ada@example.com", "analytical engine")


@pytest.fixture
def browser() -> Client:
    return Client()


@pytest.fixture
def clock() -> Iterator[Frozen]:
    with code_clock() as clock:
        yield clock


@pytest.fixture
def mailed() -> Callable[[], str]:
    """The code, or the path of the link, in the last mail."""

    def read() -> str:
        text = str(mail.outbox[-1].body)
        link = re.search(r"http://testserver(\S+)", text)
        found: Any = link or re.search(r"^(\d{6})$", text, re.MULTILINE)
        return str(found[1])

    return read
