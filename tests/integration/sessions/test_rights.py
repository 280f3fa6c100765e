"""What a user of Redis must be allowed for sessions, as docs/reference/keys.md says."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.backends.db import SessionStore as RowStore
from django.core.management import call_command

from redis_toolkit.core.connections import link
from redis_toolkit.exceptions import SessionLimitReached
from redis_toolkit.sessions import SessionStore, revoke, revoke_all, sessions_for
from redis_toolkit.sessions.moving import SessionStore as Moving

USER = {"_auth_user_id": "7", "_auth_user_backend": "b", "_auth_user_hash": "h"}


@pytest.mark.django_db
def test_a_user_who_may_do_what_the_page_says(
    begin: Callable[..., SessionStore], redis_client: Any, settings: Any
) -> None:
    """With these commands and no others sessions begin, are saved, named anew, sealed, bounded, listed, ended, moved."""
    page = (Path(__file__).parents[3] / "docs" / "reference" / "keys.md").read_text("utf-8")
    [commands] = re.findall(r"^and sessions these:\n\n```\n(.*)\n```$", page, re.MULTILINE)
    redis_client.execute_command("ACL", "SETUSER", "default", "resetkeys", "~rt:*", "-@all", *commands.split(), "+acl")
    redis_client.execute_command("ACL", "LOG", "RESET")
    link().close()
    try:
        for seal in (None, "signed"):
            settings.REDIS_TOOLKIT_SESSION_SEAL = seal
            lives(begin, settings)
        moves()
        assert redis_client.execute_command("ACL", "LOG") == []
    finally:
        redis_client.execute_command("ACL", "SETUSER", "default", "allkeys", "+@all")
        link().close()


def lives(begin: Callable[..., SessionStore], settings: Any) -> None:
    settings.REDIS_TOOLKIT_SESSION_STRICT = ["b"]
    store = begin(a=1, b=2)
    store.cycle_key()
    store.update(USER)
    store.save()
    del store["a"]
    store["b"] = 3
    store.save()
    settings.REDIS_TOOLKIT_SESSION_LIMIT, settings.REDIS_TOOLKIT_SESSION_LIMIT_POLICY = 2, "evict"
    for _ in range(3):
        begin(**USER)
    settings.REDIS_TOOLKIT_SESSION_LIMIT_POLICY = "refuse"
    with pytest.raises(SessionLimitReached):
        begin(**USER)
    settings.REDIS_TOOLKIT_SESSION_LIMIT = None
    first, second = sessions_for("7")
    assert revoke("7", first.handle)
    assert revoke_all("7") == 1
    late = begin(c=1)
    asyncio.run(SessionStore(late.session_key).aflush())
    late["c"] = 2
    with pytest.raises(UpdateError):
        late.save()
    late = begin(d=1)
    late.clear()
    late["e"] = 1
    late.save()
    assert SessionStore().exists(late.session_key)
    late.flush()
    assert second.handle


def moves() -> None:
    row = RowStore()
    row.update(USER)
    row.save()
    moved = Moving(row.session_key)
    assert moved["_auth_user_id"] == "7"
    said = StringIO()
    call_command("redis_sessions", "--count", stdout=said)
    assert said.getvalue().startswith("In Redis: 1\n")
    moved.delete()
