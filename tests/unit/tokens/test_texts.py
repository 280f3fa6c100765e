"""The text of a token, its checksum; names, scopes and owners. No sockets."""

from __future__ import annotations

import re
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.test import RequestFactory

from redis_toolkit.exceptions import UnknownScope
from redis_toolkit.tokens import Made, token_identity
from redis_toolkit.tokens.entries import check_scopes, draft, life, owner, read
from redis_toolkit.tokens.moments import MICRO, date, microseconds
from redis_toolkit.tokens.texts import digest, is_whole, mint

#: Made once, by hand: the checksum may never change.
KNOWN = "rtk_live_0123456789ABCDEFGHIJKLMNOPQRST"
FIELDS = [b"7", b"h", b"laptop", b"read write", b"1000000", b"0", b"0", b"0", b"0"]


def test_a_text() -> None:
    """The prefix, thirty characters of 62 (178 bits), six of the checksum; a thousand of them are different."""
    found = {mint("rtk_live") for _ in range(1000)}
    assert len(found) == 1000
    assert all(re.fullmatch("rtk_live_[0-9A-Za-z]{36}", each) for each in found)
    assert all(is_whole(each, "rtk_live") for each in found)


def test_the_checksum_stays() -> None:
    """Tokens that are out there are known for tokens by every later version."""
    assert is_whole(KNOWN + "4CjSdB", "rtk_live")
    assert digest(KNOWN) == "82940fbb028d76d7b6e6d040b9cfb81d9eefb4a0a7f0d5e203923ab0033e926e"


def test_every_slip_is_seen() -> None:
    """Each single character changed, each pair of neighbours swapped, each one left out: none of them is whole."""
    text = mint("rtk_live")
    changed = [text[:at] + ("a" if text[at] != "a" else "b") + text[at + 1 :] for at in range(len(text))]
    swapped = [text[:at] + text[at + 1] + text[at] + text[at + 2 :] for at in range(len(text) - 1)]
    short = [text[:at] + text[at + 1 :] for at in range(len(text))]
    slips = {slip for slip in (*changed, *swapped, *short) if slip != text}
    assert len(slips) > 100
    assert not [slip for slip in slips if is_whole(slip, "rtk_live")]


@pytest.mark.parametrize(
    "text", ["", "rtk_live_", None, 5, b"rtk", "rtk_live_" + "é" * 36, "rtk_live_" + "٣" * 36, "\0" * 45]
)
def test_what_is_no_text(text: Any) -> None:
    """Whatever comes in the place of a token, nothing is raised."""
    assert not is_whole(text, "rtk_live")


def test_prefixes_are_told_apart() -> None:
    """A token of a test installation is none of the live one's."""
    assert not is_whole(mint("rtk_test"), "rtk_live")
    assert is_whole(mint("acme"), "acme")


def test_pitfall_15_texts_are_not_in_what_is_printed() -> None:
    """Pitfall 15: what is printed of a new token has not its text: that ends in logs and error reports."""
    made = Made(mint("rtk_live"), read(FIELDS))
    assert made.text not in repr(made)
    assert made.text not in str(made)
    assert made.text not in f"{made}"


def test_pitfall_21_handles_say_nothing_of_the_text() -> None:
    """Pitfall 21: a handle is drawn by itself: no part of the text or of the digest, and another one each time."""
    text = mint("rtk_live")
    drafts = [draft(text, "7", "", (), None) for _ in range(50)]
    assert len({each.handle for each in drafts}) == 50
    assert not [each for each in drafts if each.handle in each.digest or each.handle in text]


def test_scopes() -> None:
    """Names without blanks, each once, in their order."""
    assert check_scopes(["b", "a", "b", "x:y/z.1"]) == ("b", "a", "x:y/z.1")
    for wrong in ("read", ["a b"], [""], ["é"], [5], ['"'], ["a\n"], ["x" * 101], None, 5, [["x"]], [None]):
        with pytest.raises(UnknownScope):
            check_scopes(wrong)  # type: ignore[arg-type]


def test_scopes_that_there_are(settings: Any) -> None:
    """Where they are listed, no other can be asked for."""
    settings.REDIS_TOOLKIT_TOKEN_SCOPES = ["read", "write"]
    assert draft("x", "7", "", ["read"], None).scopes == ("read",)
    with pytest.raises(UnknownScope, match="There is no scope 'admin'"):
        draft("x", "7", "", ["admin"], None)


def test_names() -> None:
    """Up to a hundred characters; no NUL, which PostgreSQL could not keep."""
    assert draft("x", "7", "n" * 100, (), None).name == "n" * 100
    for wrong in ("n" * 101, 5, "a\0b"):
        with pytest.raises(ValueError, match="The name of a token"):
            draft("x", "7", wrong, (), None)  # type: ignore[arg-type]


def test_lives(settings: Any) -> None:
    """Pitfall 10: seconds or a timedelta, what arithmetic can bear; by the setting; none for ever in Redis alone."""
    settings.REDIS_TOOLKIT_TOKEN_TTL = 60
    assert [life(...), life(2.5), life(timedelta(days=1)), life(None)] == [60 * MICRO, 2_500_000, 86_400 * MICRO, None]
    settings.REDIS_TOOLKIT_TOKEN_STORE = "redis"
    with pytest.raises(ValueError, match="has a ttl"):
        life(None)
    for wrong in (0, -1, True, "5", float("nan"), float("inf"), 1e12, timedelta(0)):
        with pytest.raises(ValueError, match="of a token is a"):
            life(wrong)  # type: ignore[arg-type]
    assert microseconds(0, "The overlap", least=0) == 0


def test_a_life_is_no_longer_than_the_absolute_age(settings: Any) -> None:
    """Renewed tokens end at the absolute age, the first time as well."""
    settings.REDIS_TOOLKIT_TOKEN_RENEW = True
    settings.REDIS_TOOLKIT_TOKEN_ABSOLUTE_AGE = 100
    made = draft("x", "7", "", (), 500 * MICRO)
    assert (made.life, made.age, made.latest) == (100 * MICRO, 100 * MICRO, 100 * MICRO)
    settings.REDIS_TOOLKIT_TOKEN_ABSOLUTE_AGE = None
    assert draft("x", "7", "", (), 500 * MICRO).latest > 90 * 365 * 86_400 * MICRO


def test_owners() -> None:
    """A user, or the primary key of one; nobody is not somebody."""
    assert [owner(SimpleNamespace(pk=7)), owner(7), owner("ada")] == ["7", "7", "ada"]
    for wrong in (None, AnonymousUser(), SimpleNamespace(pk=None), "", True, "x" * 256):
        with pytest.raises(ValueError, match="Whose token"):
            owner(wrong)


def test_a_record() -> None:
    """Times are aware; never is None; all of the scopes that are asked for have to be there."""
    token = read(FIELDS)
    assert (token.created, token.expires, token.last_used) == (date(1_000_000), None, None)
    assert token.created.utcoffset() == timedelta(0)
    assert [token.allows("read"), token.allows("read", "write"), token.allows("read", "admin"), token.allows()] == [
        True, True, False, True,
    ]  # fmt: skip
    with pytest.raises(ValueError, match="no time"):
        read([b"7", b"h", b"", b"", b"0", b"0", b"0"])


def test_who_is_counted_without_asking_anybody() -> None:
    """The handle of a token that was authenticated; half a digest before that; None without a token."""
    make, text = RequestFactory(), mint("rtk_live")
    asked = make.get("/", HTTP_AUTHORIZATION=f"Bearer {text}")
    assert token_identity(asked) == digest(text)[:32]
    asked.auth = read(FIELDS)  # type: ignore[attr-defined]
    assert token_identity(asked) == "h"
    assert token_identity(SimpleNamespace(_request=asked)) == "h"
    for header in ("", "Bearer", f"Basic {text}", "Bearer eyJhbGciOi", f"Bearer {text[:-1]}", f"Bearer {text} {text}"):
        assert token_identity(make.get("/", HTTP_AUTHORIZATION=header)) is None
