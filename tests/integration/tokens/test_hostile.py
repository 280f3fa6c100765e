"""What clients send: headers, handles, names; and where texts must not turn up."""

from __future__ import annotations

import logging
import re
import sys
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.db import connections
from django.test import RequestFactory
from django.views.debug import ExceptionReporter

from redis_toolkit.core.connections import link, reset
from redis_toolkit.exceptions import StoreUnavailable
from redis_toolkit.models import Token as Row
from redis_toolkit.signals import token_refused
from redis_toolkit.tokens import (
    aauthenticate,
    aauthenticate_user,
    authenticate,
    authenticate_user,
    make_token,
    revoke,
    revoke_all,
    rotate,
    token_identity,
    tokens_for,
)
from redis_toolkit.tokens.identities import text_of
from redis_toolkit.tokens.texts import digest, mint

pytestmark = pytest.mark.django_db(databases="__all__")

only_redis = pytest.mark.parametrize("store", ["redis"], indirect=True)
only_rows = pytest.mark.parametrize("store", ["rows", "rows on postgres"], indirect=True)
one_store = pytest.mark.parametrize("store", ["rows"], indirect=True)


@pytest.mark.parametrize(
    "handle",
    ["", "a\0b", "\ud800", "é" * 16, "x" * 100_000, "0" * 15, "0" * 17, "A" * 16, "0" * 16 + "\n", None, 5, b"0" * 16],
)
def test_hostile_handles(ada: User, handle: Any) -> None:
    """What is no handle names no token, and no database is asked about it, which might choke on it."""
    made = make_token(ada)
    before = link().round_trips
    assert not revoke(ada, handle)
    assert rotate(ada, handle) is None
    assert link().round_trips == before
    assert authenticate(made.text) is not None
    assert revoke_all(ada, keep=handle) == 1


@one_store
@pytest.mark.parametrize("name", ["a\nb", "\x1b[2J", "\ud800", "a\0", "\u202e"])
def test_hostile_names(ada: User, name: str) -> None:
    """Names are shown in lists and on terminals: what is not printable is refused."""
    with pytest.raises(ValueError, match="printable"):
        make_token(ada, name=name)


@one_store
def test_hostile_headers(ada: User) -> None:
    """One way to write it, in any case, with any number of blanks; all else is no token, or none that is whole."""
    text = mint("rtk_live")
    for header in (f"Bearer {text}", f"bearer {text}", f"BEARER   {text}  ", f"  bEaReR {text}"):
        assert text_of(header) == text
    for header in (
        f"Bearer\t{text}", f"Bearer\xa0{text}", f"Bearer \x85{text}", f"Bearer\0 {text}", f"Basic {text}", text,
        f"Token {text}", f"Bearer, {text}", "Bearer", "B" * 65536, " " * 65536, "\xff" * 65536, "\0",
    ):  # fmt: skip
        assert text_of(header) is None
    before = link().round_trips
    for header in (
        f"Bearer {text}\xa0", f"Bearer {text}\0", f"Bearer {text} {text}", f"Bearer {text},Bearer {text}",
        f"Bearer {text}\n", "Bearer rtk_live_" + "a" * 65536, "Bearer rtk_live_" + "\xff" * 36, f"Bearer {text}\t",
    ):  # fmt: skip
        given = text_of(header)
        assert given is not None
        assert authenticate(given) is None
        assert token_identity(RequestFactory().get("/", HTTP_AUTHORIZATION=header)) is None
    assert link().round_trips == before


@one_store
def test_who_is_counted_is_not_the_secret(ada: User) -> None:
    """Neither the text nor a part of it: what is counted turns up in lists of denials."""
    made = make_token(ada)
    found = token_identity(RequestFactory().get("/", HTTP_AUTHORIZATION=f"Bearer {made.text}"))
    assert found is not None
    assert authenticate(found) is None
    assert not [at for at in range(len(made.text) - 7) if made.text[at : at + 8] in found]


def reported() -> str:
    """What Django would mail of the exception that is being handled."""
    request = RequestFactory().get("/", HTTP_AUTHORIZATION=f"Bearer {mint('rtk_live')}")
    reporter = ExceptionReporter(request, *sys.exc_info())
    return reporter.get_traceback_html() + reporter.get_traceback_text()


@only_redis
def test_pitfall_15_no_text_in_error_reports(ada: User, settings: Any) -> None:
    """Pitfall 15: of none of our frames, whatever was asked of them while Redis is away."""
    made = make_token(ada)
    settings.CACHES = {**settings.CACHES, "default": {**settings.CACHES["default"], "LOCATION": "unix:///no/where"}}
    reset()
    found = []

    def told(deed: Any) -> None:
        try:
            deed()
        except StoreUnavailable:
            found.append(reported())

    known = Hidden(made.text)
    del made
    told(lambda: authenticate(known.text()))
    told(lambda: async_to_sync(aauthenticate)(known.text()))
    told(lambda: authenticate_user(known.text()))
    told(lambda: async_to_sync(aauthenticate_user)(known.text()))
    told(lambda: make_token(ada))
    told(lambda: rotate(ada, "0" * 16))
    assert len(found) == 6
    for each in found:
        assert "StoreUnavailable" in each
        assert re.search("rtk_live_[0-9A-Za-z]{30}", each) is None


class Hidden:
    """A text that is not in what is printed: this test's own frames are in the report, too."""

    def __init__(self, text: str) -> None:
        self.text = lambda: text


def test_pitfall_15_no_text_in_logs(ada: User, caplog: pytest.LogCaptureFixture, store: str) -> None:
    """Pitfall 15: not even at the lowest level, of what is made, known, refused, replaced and ended; nor in queries."""
    caplog.set_level(logging.DEBUG)
    alias = "postgres" if store == "rows on postgres" else "default"
    connections[alias].force_debug_cursor = True
    try:
        made = make_token(ada, name="laptop")
        assert authenticate(made.text) is not None
        new = rotate(ada, made.token.handle)
        assert new is not None
        assert authenticate(new.text) is not None
        assert authenticate(made.text) is None
        revoke_all(ada)
        assert authenticate(new.text) is None
    finally:
        connections[alias].force_debug_cursor = False
    for each in (made, new):
        assert each.text not in caplog.text
        assert each.text not in repr((made, new, tokens_for(ada), list(Row.objects.all())))


@only_rows
@pytest.mark.django_db(databases="__all__", transaction=True)
def test_coroutines_ask_the_database_in_a_thread(ada: User, redis_client: Any) -> None:
    """Also where Redis has something that is not believed, and for a receiver that asks the database."""
    made = make_token(ada)
    heard: list[int] = []

    def on_refused(**_: object) -> None:
        heard.append(Row.objects.count())

    async def play() -> None:
        assert await aauthenticate(made.text) is not None
        redis_client.hset(f"rt:k:{digest(made.text)}", "u", "0")
        found = await aauthenticate(made.text)
        assert found is not None
        assert found.user_id == str(ada.pk)
        assert await aauthenticate(mint("rtk_live")) is None
        assert await aauthenticate("nothing") is None

    token_refused.connect(on_refused)
    try:
        async_to_sync(play)()
    finally:
        token_refused.disconnect(on_refused)
    assert heard == [1, 1]


@only_rows
@pytest.mark.django_db(databases="__all__", transaction=True)
def test_coroutines_while_redis_is_away(ada: User, settings: Any) -> None:
    """The rows answer them, too."""
    made = make_token(ada)
    settings.CACHES = {**settings.CACHES, "default": {**settings.CACHES["default"], "LOCATION": "unix:///no/where"}}
    reset()
    assert async_to_sync(aauthenticate)(made.text) is not None
    revoke_all(ada)
    assert async_to_sync(aauthenticate)(made.text) is None


@only_redis
def test_coroutines_while_redis_alone_is_away(ada: User, settings: Any) -> None:
    """Nobody is let in, and nobody is told that a token is bad."""
    made = make_token(ada)
    settings.CACHES = {**settings.CACHES, "default": {**settings.CACHES["default"], "LOCATION": "unix:///no/where"}}
    reset()
    with pytest.raises(StoreUnavailable):
        async_to_sync(aauthenticate)(made.text)
