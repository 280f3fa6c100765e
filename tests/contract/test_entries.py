"""Entries: what was built is opened, anything else is a miss, and nothing but CodecError is ever raised."""

from __future__ import annotations

import os
import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from redis_toolkit.cache.entries import MAX_STAMPS, Body, build, open_entry
from redis_toolkit.cache.stamps import ensure, mark, new_transaction_id
from redis_toolkit.core.codecs import decode_value, encode_value
from redis_toolkit.core.connections import link, pack
from redis_toolkit.core.lanes import RUN_SIZE
from redis_toolkit.exceptions import CodecError

FINGERPRINT, RUN = b"finger/1", b"run-no-1"
TOKENS = [b"taaaaaaaa", b"tbbbbbbbb"]
#: Layout version, flags, fingerprint, run, number of stamps, two tokens, when and how long.
HEAD = 53

payloads = st.none() | st.binary(max_size=200) | st.binary(max_size=20).map(lambda data: data * 50)
tokens = st.lists(st.binary(min_size=8, max_size=8).map(lambda data: b"t" + data), max_size=6)


def entry(payload: bytes | None = b"payload") -> bytes:
    return build(FINGERPRINT, RUN, TOKENS, (1000.5, 0.25, 60.0), payload)


def opened(data: bytes, stamps: list[bytes | None] | None = None) -> Body | None:
    return open_entry(data, FINGERPRINT, RUN, [*TOKENS] if stamps is None else stamps)


def outcome(data: bytes, stamps: list[bytes | None]) -> Body | None:
    """What is opened; None for a miss and for what is refused."""
    try:
        return opened(data, stamps)
    except CodecError:
        return None


@given(tokens, payloads, st.floats(0, 1e12), st.sampled_from([0.0, 0.25, 1024.0]))
def test_what_was_built_opens(tokens, payload, built, took):
    """Payload, time and duration come back as they were given."""
    data = build(FINGERPRINT, RUN, tokens, (built, took, 60.0), payload)
    assert open_entry(data, FINGERPRINT, RUN, [*tokens]) == Body(payload, built, took, 60.0)


def test_the_layout():
    """Every byte has the place that the documentation gives it."""
    times = struct.pack("<dff", 1000.5, 0.25, 60.0)
    assert entry() == b"\x02\x00finger/1run-no-1\x02taaaaaaaatbbbbbbbb" + times + b"payload"
    assert entry(None) == b"\x02\x02finger/1run-no-1\x02taaaaaaaatbbbbbbbb" + times
    assert len(entry(None)) == HEAD == 53


def test_absent_is_not_empty():
    """*There is no such row* and an answer of no bytes are two things."""
    assert opened(entry(None)) == Body(None, 1000.5, 0.25, 60.0)
    assert opened(entry(b"")) == Body(b"", 1000.5, 0.25, 60.0)


def test_a_short_head_is_a_miss():
    """An entry cut anywhere before its payload is no answer."""
    assert [at for at in range(HEAD) if outcome(entry()[:at], [*TOKENS]) is not None] == []
    assert opened(entry()[:HEAD]) == Body(b"", 1000.5, 0.25, 60.0)


def test_a_short_payload_is_refused():
    """An entry cut anywhere in its payload is refused: by the decoder, or before that if it is compressed."""
    plain = entry(encode_value(["a", 1, None]))
    for at in range(HEAD, len(plain)):
        with pytest.raises(CodecError):
            decode_value(opened(plain[:at]).payload)


def test_a_short_compressed_payload_is_refused(settings):
    """A compressed payload knows its own end."""
    settings.REDIS_TOOLKIT_COMPRESS_ABOVE = 100
    data = entry(b"x" * 1000)
    for at in range(HEAD, len(data)):
        with pytest.raises(CodecError):
            opened(data[:at])
    with pytest.raises(CodecError):
        opened(data + b"x")


@pytest.mark.parametrize("version", [0, 1, 3, 255])
def test_another_layout_is_refused(version):
    """An entry of another release of the layout is not looked into."""
    with pytest.raises(CodecError, match="layout"):
        opened(bytes((version,)) + entry()[1:])


def test_another_fingerprint_is_a_miss():
    """An entry that other code stored is a miss."""
    assert open_entry(entry(), b"finger/2", RUN, [*TOKENS]) is None


def test_another_run_is_a_miss():
    """An entry that outlived the server's restart or failover is a miss."""
    assert open_entry(entry(), FINGERPRINT, b"run-no-2", [*TOKENS]) is None


def test_no_run_is_a_miss():
    """Before the first answer of a server its run is unknown, and no entry is valid."""
    assert open_entry(entry(), FINGERPRINT, b"", [*TOKENS]) is None


@pytest.mark.parametrize(
    "stamps",
    [
        [],
        [None, None],
        TOKENS[:1],
        [TOKENS[0], None],
        [None, TOKENS[1]],
        [TOKENS[0], b"tbbbbbbbc"],
        TOKENS[::-1],
        [TOKENS[0], b"m" + b"1" * 12 + b"1700000000000"],
        [b"".join(TOKENS)],
        [TOKENS[0] + TOKENS[1][:4], TOKENS[1][4:8]],
        [TOKENS[0], b""],
    ],
)
def test_every_stamp_must_stand_as_it_was(stamps):
    """A stamp that is missing, marked, different, or in another's place makes the entry a miss."""
    assert opened(entry(), stamps) is None


@pytest.mark.parametrize("further", [None, b"tcccccccc", b"m" + b"1" * 25])
def test_further_stamps_are_not_asked(further):
    """An entry built under the first stamps only is not concerned by those behind them."""
    assert opened(entry(), [*TOKENS, further]) == Body(b"payload", 1000.5, 0.25, 60.0)


def test_the_most_stamps():
    """255 stamps fit into an entry, 256 do not."""
    many = [b"t" + at.to_bytes(8, "big") for at in range(MAX_STAMPS)]
    data = build(FINGERPRINT, RUN, many, (1.0, 0.0, 60.0), b"x")
    assert open_entry(data, FINGERPRINT, RUN, [*many]) == Body(b"x", 1.0, 0.0, 60.0)
    assert open_entry(data, FINGERPRINT, RUN, [*many[:-1], None]) is None
    with pytest.raises(ValueError, match="256"):
        build(FINGERPRINT, RUN, [*many, b"tffffffff"], (1.0, 0.0, 60.0), b"x")


def test_large_payloads_are_compressed(settings):
    """Above COMPRESS_ABOVE a payload is stored smaller; entries of either kind open under either setting."""
    plain = entry(b"x" * 1000)
    settings.REDIS_TOOLKIT_COMPRESS_ABOVE = 999
    small = entry(b"x" * 1000)
    assert (plain[1], len(plain)) == (0, HEAD + 1000)
    assert small[1] == 1
    assert len(small) < HEAD + 100
    assert opened(plain) == opened(small) == Body(b"x" * 1000, 1000.5, 0.25, 60.0)
    settings.REDIS_TOOLKIT_COMPRESS_ABOVE = 1000
    assert entry(b"x" * 1000) == plain


def test_what_does_not_shrink_is_left_alone(settings):
    """A payload that compression would not make smaller is stored as it is."""
    settings.REDIS_TOOLKIT_COMPRESS_ABOVE = 1
    noise = os.urandom(1000)
    assert entry(noise)[1] == 0
    assert opened(entry(noise)).payload == noise


def test_a_bomb_is_refused(settings):
    """A payload that would inflate to more than 64 times MAX_ENTRY_BYTES is refused, one of exactly that is not."""
    settings.REDIS_TOOLKIT_COMPRESS_ABOVE = 1
    settings.REDIS_TOOLKIT_MAX_ENTRY_BYTES = 100
    assert opened(entry(bytes(6400))).payload == bytes(6400)
    with pytest.raises(CodecError, match="6400"):
        opened(entry(bytes(6401)))


@given(st.binary(max_size=300), st.lists(st.none() | st.binary(max_size=30), max_size=4))
@example(b"", [])
@example(b"\x01", [])
@example(entry()[:18], [])
@example(entry()[:18] + b"\xff", [*TOKENS])
def test_noise_is_never_an_answer(data, stamps):
    """Bytes that nobody built are a miss or a CodecError."""
    assert outcome(data, stamps) is None


@given(payloads, st.integers(0, 18), st.integers(1, 255))
def test_a_changed_head_is_never_an_answer(payload, at, change):
    """One changed byte of version, fingerprint, run or number of stamps makes the entry worthless."""
    data = bytearray(entry(payload))
    data[at] ^= change
    if at == 18:
        data[at] = 2 + change % 253
    if at != 1 and bytes(data) != entry(payload):
        assert outcome(bytes(data), [*TOKENS]) is None


@given(payloads, st.integers(0, 255), st.lists(st.tuples(st.integers(0, 300), st.integers(0, 255)), max_size=5))
def test_damage_raises_nothing_else(payload, flags, changes):
    """Whatever is overwritten, opening gives a body, a miss, or a CodecError."""
    data = bytearray(entry(payload))
    data[1] = flags
    for at, value in changes:
        data[at % len(data)] = value
    assert isinstance(outcome(bytes(data), [*TOKENS]), Body | None)


def test_an_entry_lives_and_dies_with_real_stamps(redis_client):
    """Stored and read back from a server, an entry opens until one of its stamps is marked."""
    stamps = ["rt:s:default:a", "rt:s:default:b"]
    made = ensure(link(), stamps, 60)
    assert len(link().run) == RUN_SIZE == 8
    redis_client.set("rt:q:default:x", build(FINGERPRINT, link().run, made, (1.0, 0.5, 60.0), b"x"))
    ask = pack(("MGET", "rt:q:default:x", *stamps))
    data, *values = link().ask(ask)
    assert open_entry(data, FINGERPRINT, link().run, values) == Body(b"x", 1.0, 0.5, 60.0)
    mark(link(), stamps[1:], new_transaction_id())
    data, *values = link().ask(ask)
    assert open_entry(data, FINGERPRINT, link().run, values) is None
