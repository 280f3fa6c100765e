"""Keys: parts are escaped so that none can leak into another, and what a SCAN pattern finds on a real server."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from redis_toolkit.core.keys import LONGEST_PART, below, digest, escape, make, parts_of, pattern, tagged, unescape

#: Any string Python can hold, lone surrogates too.
anything = st.text(st.characters(exclude_categories=()))
long = st.text(st.characters(exclude_categories=()), min_size=LONGEST_PART, max_size=3 * LONGEST_PART)
CLEAN = re.compile(r"[A-Za-z0-9_.@%~-]+\Z")


@given(anything | long)
@example("")
@example("~")
@example("%7E")
@example("\n")
@example("{a}:b c*?[d]\\\r\n\x00")
@example("name\n")
@example("\ud800\udc00")
def test_an_escaped_part_is_clean_and_bounded(part):
    """No brace, colon, space, glob letter or newline gets through, and no part is longer than the bound, or empty."""
    escaped = escape(part)
    assert CLEAN.match(escaped)
    assert 1 <= len(escaped) <= LONGEST_PART


@given(anything | long)
@example("")
@example("~")
@example("%7E")
@example("~" + "0" * 32)
@example("\ud800\udc00")
@example("a" * LONGEST_PART)
@example("a" * (LONGEST_PART + 1))
def test_unescape_gives_back_what_was_escaped(part):
    """What is kept in full comes back; of the rest a digest is left, and that says so."""
    assert unescape(escape(part)) in {part, None}
    assert (unescape(escape(part)) is None) is bool(re.fullmatch("~[0-9a-f]{32}", escape(part)))


@given(st.lists(anything | long, min_size=2, max_size=2, unique=True))
@example(["", "~"])
@example(["%", "%25"])
@example(["a" * 97, "~" + digest(b"a" * 97)])
def test_different_parts_are_escaped_differently(parts):
    """No two parts share an escaped form (beyond the bound: but for a collision of 128-bit digests)."""
    assert escape(parts[0]) != escape(parts[1])


@given(st.lists(anything, min_size=1, max_size=4), st.lists(anything, min_size=1, max_size=4))
def test_keys_are_the_same_only_for_the_same_parts(parts, others):
    """A key of several parts cannot be forged by other parts, however they are cut."""
    keys = [make("q", *map(escape, each)) for each in (parts, others)]
    assert (keys[0] == keys[1]) is (parts == others)


def test_the_bound_is_sharp():
    """A part of 96 letters is kept, one of 97 becomes a digest; a percent sign costs three letters."""
    assert LONGEST_PART == 96
    assert escape("a" * 96) == "a" * 96
    assert escape("a" * 97) == "~" + digest(b"a" * 97)
    assert escape(" " * 32) == "%20" * 32
    assert escape(" " * 33) == "~" + digest(b" " * 33)
    assert len(digest(b"")) == 32


@pytest.mark.parametrize(
    ("part", "escaped"),
    [
        ("group_id", "group_id"),
        ("user@example.org", "user@example.org"),
        ("", "~"),
        ("~", "%7E"),
        ("a:b", "a%3Ab"),
        ("a/b", "a%2Fb"),
        ("{x}", "%7Bx%7D"),
        ("*", "%2A"),
        ("è", "%C3%A8"),
        ("\ud800", "%ED%A0%80"),
    ],
)
def test_escapes_can_be_read(part, escaped):
    """Names stay legible; the rest is percent-encoded UTF-8."""
    assert escape(part) == escaped
    assert unescape(escaped) == part


def test_make_below_and_tagged(settings):
    """Parts follow the prefix and the room; a tag stands in braces, the only ones there are."""
    assert make("s") == "rt:s"
    assert make("s", "default", "app_lesson") == "rt:s:default:app_lesson"
    assert below("rt:s:default:app_lesson", "id=7") == "rt:s:default:app_lesson:id=7"
    assert tagged("lock", "a}b{", "x") == "rt:lock:{a%7Db%7B}:x"
    settings.REDIS_TOOLKIT_PREFIX = "school"
    assert make("s", "default") == "school:s:default"
    assert tagged("lock", "") == "school:lock:{~}"


@pytest.mark.parametrize("prefix", ["rt", "a*b", "a?b", "a[bc]", "a\\b", "a-b"])
def test_a_pattern_finds_our_keys_and_no_others(prefix, settings, redis_client):
    """SCAN by a pattern finds the keys of this prefix, or of one room of it, whatever letters the prefix has."""
    settings.REDIS_TOOLKIT_PREFIX = prefix
    ours = {make("s", "x"), make("s", "y", "z"), make("q", "x")}
    strangers = {"rtx:s:x", "xrt:s:x", "aXb:s:x", "ab:s:x", "a:s:x", "axxb:s:x", "a\\\\b:s:x"}
    redis_client.mset(dict.fromkeys(ours | strangers, "1"))
    assert {key.decode() for key in redis_client.scan_iter(pattern())} == ours
    assert {key.decode() for key in redis_client.scan_iter(pattern("s"))} == {make("s", "x"), make("s", "y", "z")}
    assert {key.decode() for key in redis_client.scan_iter(pattern("q"))} == {make("q", "x")}


@given(st.lists(anything, max_size=4))
def test_a_key_is_taken_apart_again(parts):
    """The parts of a key are those it was made of, and a key of another project has none."""
    escaped = [escape(part) for part in parts]
    assert parts_of(make("r", *escaped)) == ["r", *escaped]
    assert parts_of("x" + make("r", *escaped)) == []
    assert parts_of("rt") == []
