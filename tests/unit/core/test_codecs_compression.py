"""Payloads made smaller and back."""

from __future__ import annotations

import zlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_toolkit.core.codecs import pack, unpack
from redis_toolkit.exceptions import CodecError

MIB = 1024 * 1024


@given(st.binary(max_size=500), st.none() | st.integers(0, 500))
def test_what_is_packed_comes_back(payload, above):
    """Whatever the threshold, unpacking gives the payload, and packing never makes it longer."""
    data, compressed = pack(payload, above)
    assert len(data) <= len(payload)
    assert unpack(data, compressed, 500) == payload


def test_only_what_is_larger_is_compressed():
    """A payload of 100 bytes stays as it is up to the threshold of 100 and is compressed above 99."""
    payload = b"a" * 100
    assert pack(payload, None) == (payload, False)
    assert pack(payload, 100) == (payload, False)
    data, compressed = pack(payload, 99)
    assert compressed
    assert len(data) < 20


def test_what_does_not_shrink_is_left_alone():
    """Bytes that zlib would make longer are stored as they are."""
    payload = bytes(range(256))
    assert pack(payload, 0) == (payload, False)


def test_a_payload_of_just_the_limit_passes():
    """The limit is inclusive, compressed or not."""
    payload = b"a" * MIB
    data, compressed = pack(payload, 0)
    assert compressed
    assert unpack(data, True, MIB) == payload
    assert unpack(payload, False, MIB) == payload


@pytest.mark.parametrize("size", [MIB + 1, 20 * MIB])
def test_a_bomb_is_not_inflated(size):
    """A few bytes that stand for more than the limit are an error, found before the rest is inflated."""
    inflater = zlib.compressobj(9)
    data = b"".join(inflater.compress(b"\0" * MIB) for _ in range(size // MIB))
    data += inflater.compress(b"\0" * (size % MIB)) + inflater.flush()
    assert len(data) < size // 900
    with pytest.raises(CodecError, match="more than the 1048576 bytes allowed"):
        unpack(data, True, MIB)


def test_an_uncompressed_payload_has_the_same_limit():
    """More bytes than allowed are an error without compression too."""
    with pytest.raises(CodecError, match="has 11 bytes, more than the 10 allowed"):
        unpack(b"a" * 11, False, 10)


WHOLE = zlib.compress(b"timetable" * 20)


@pytest.mark.parametrize("data", [b"", WHOLE[:-1], WHOLE[:5], WHOLE + b"x", b"x" + WHOLE, WHOLE[:-1] + b"\0"])
def test_damage_is_noticed(data):
    """Truncated, extended and altered data are errors."""
    with pytest.raises(CodecError):
        unpack(data, True, MIB)


@given(st.binary(max_size=200))
def test_random_bytes_are_no_other_error(data):
    """Whatever bytes come, the only error is CodecError."""
    with suppress(CodecError):
        unpack(data, True, 1000)
