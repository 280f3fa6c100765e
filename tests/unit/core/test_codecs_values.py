"""Values that say themselves what they are."""

from __future__ import annotations

import enum
import os
import subprocess
import sys
from collections import OrderedDict
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from itertools import permutations
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import pytest
from django.utils.safestring import mark_safe
from hypothesis import example, given
from hypothesis import strategies as st

from redis_toolkit.core.codecs import decode_value, encode_value
from redis_toolkit.exceptions import CodecError
from tests.exactness import VALUES, identical

ROME = ZoneInfo("Europe/Rome")


@given(VALUES)
@example(2**64)
@example(2**64 - 1)
@example(-(2**63))
@example(-(2**63) - 1)
@example(-0.0)
@example(Decimal("1.10"))
@example(Decimal("-0E+3"))
@example(Decimal("-sNaN123"))
@example("\ud800")
@example({"\ud800": 1})
@example({2**70: 1, 1: 2})
@example({1: 1, "1": 2, (1, 2): 3, None: 4})
@example([(), [], {}, set(), frozenset()])
@example(datetime(1, 1, 1, tzinfo=UTC))
@example(datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC))
@example(datetime(2026, 10, 25, 2, 30, tzinfo=ROME, fold=1))
@example(datetime(2026, 3, 29, 2, 30, tzinfo=ROME))
@example(datetime(2026, 10, 25, 2, 30, tzinfo=UTC, fold=1))
@example(time(2, 30, fold=1))
@example(timedelta.max)
@example(timedelta.min)
def test_values_come_back_the_same(value):
    """Any value of the types we take comes back equal and of the same types."""
    assert identical(decode_value(encode_value(value)), value)


@given(st.binary(max_size=60))
@example(b"\xc1")
@example(b"\xdd\xff\xff\xff\xff")
@example(b"\xdf\xff\xff\xff\xff")
@example(b"\xdb\xff\xff\xff\xff")
@example(b"\xc6\xff\xff\xff\xff")
@example(b"\xc9\xff\xff\xff\xff\x03")
@example(b"\xa1\xff")
@example(b"\x81\x80\x01")
@example(b"\x01\x01")
def test_random_bytes_are_no_other_error(data):
    """Whatever bytes come, the only error is CodecError."""
    with suppress(CodecError):
        decode_value(data)


@given(st.integers(-128, 127), st.binary(max_size=40))
@example(99, b"")
@example(3, b"\x80")
@example(4, b"\x91\x80")
@example(6, b"\x91\x01")
@example(6, b"\x92\x80\x01")
@example(7, b"12e999999999999999999999")
@example(10, bytes(12) + b"Europe/Rome")
@example(10, b"\x07\xea\x01\x01\0\0\0\0\0\0\0\0" + b"Europe")
@example(10, b"\x07\xea\x01\x01\0\0\0\0\0\0\0\0" + b"../../etc/passwd")
@example(10, b"\x07\xea\x01\x01\0\0\0\0\0\0\0\0" + b"a\0b")
@example(10, b"\x07\xea\x01\x01\0\0\0\0\0\0\0\0" + b"a" * 300)
@example(10, b"\x07\xea\x01\x01\0\0\0\0\0\0\0\0" + b"+" + b"9" * 5000)
@example(12, b"\x7f\xff\xff\xff\0\0\0\0\0\0\0\0")
def test_random_extensions_are_no_other_error(code, data):
    """An extension of any number with any content is a value or a CodecError."""
    payload = msgspec.msgpack.encode(msgspec.msgpack.Ext(code, data))
    with suppress(CodecError):
        decode_value(payload)


@pytest.mark.parametrize(
    "bomb",
    [
        pytest.param(b"\x91" * 100_000 + b"\xc0", id="arrays"),
        pytest.param(b"\x81\xa0" * 100_000 + b"\xc0", id="maps"),
        pytest.param(
            b"".join(b"\xc9%b\x03\x91" % (7 * left - 6).to_bytes(4, "big") for left in range(20_000, 0, -1)),
            id="tuples",
        ),
    ],
)
def test_depth_is_bounded(bomb):
    """Nesting without end is a CodecError, not a crash."""
    with pytest.raises(CodecError) as caught:
        decode_value(bomb)
    assert isinstance(caught.value.__cause__, RecursionError)


def test_what_nests_too_deeply_is_not_encoded():
    """A list that contains itself is a CodecError."""
    value = []
    value.append(value)
    with pytest.raises(CodecError, match="nested this deeply"):
        encode_value(value)


class Level(enum.IntEnum):
    LOW = 1


class Pair(NamedTuple):
    left: int
    right: int


class Zone(tzinfo):
    """A time zone of nobody's."""

    def utcoffset(self, dt):
        return timedelta(hours=1)

    def dst(self, dt):
        return timedelta()

    def tzname(self, dt):
        return "nobody's"


@pytest.mark.parametrize(
    "value",
    [
        object(),
        Level.LOW,
        Pair(1, 2),
        OrderedDict(a=1),
        mark_safe("<b>"),
        bytearray(b"a"),
        1j,
        range(3),
        ValueError("x"),
        datetime(2026, 1, 1, tzinfo=Zone()),
        pytest.param(datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=1), "CET")), id="named offset"),
        time(1, tzinfo=Zone()),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("wrap", [lambda value: value, lambda value: [({"key": value},)]], ids=["bare", "inside"])
def test_what_would_not_come_back_is_refused(value, wrap):
    """A type that would come back as another one is a CodecError, wherever it stands."""
    with pytest.raises(CodecError):
        encode_value(wrap(value))


def test_the_refusal_names_the_type_and_the_way_out():
    """The message says which type, and which calls keep it out."""
    with pytest.raises(CodecError) as caught:
        encode_value([1j])
    assert str(caught.value) == (
        "A value of type builtins.complex cannot be cached without loss: convert it to a plain value first, or leave "
        "it out of what is cached (.defer(), .nocache())."
    )


def test_two_reads_share_nothing():
    """Each decoding makes its own containers, and a view does not keep the whole payload."""
    payload = encode_value([[1], {"a": [2]}, memoryview(b"abc")])
    first, second = decode_value(payload), decode_value(payload)
    assert first == second
    assert first[0] is not second[0]
    assert first[1]["a"] is not second[1]["a"]
    assert len(first[2].obj) == 3


def test_utc_is_the_very_object():
    """A moment in UTC has Python's one UTC object, as Django's have."""
    assert decode_value(encode_value(datetime(2026, 1, 1, tzinfo=UTC))).tzinfo is UTC


#: What is in Redis now must be readable by the next release, or its version number changed.
STORED = [
    (None, "c0"),
    (True, "c3"),
    (7, "07"),
    (2**64, "c70901010000000000000000"),
    (1.5, "cb3ff8000000000000"),
    ("\ud800", "c70302eda080"),
    (b"ab", "c4026162"),
    ((1, 2), "c70303920102"),
    ({1}, "d5049101"),
    (frozenset({1}), "d5059101"),
    ({(1,): 2}, "c7060692d503910102"),
    (Decimal("1.10"), "d607312e3130"),
    (UUID(int=7), "d808" + "00" * 15 + "07"),
    (date(2026, 1, 2), "d609000b4922"),
    (datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC), "d7ff00005dc0695735a5"),
    (datetime.fromisoformat("2026-01-02T03:04:05.000006"), "c70c0a07ea01020304050000000600"),
    (datetime(2026, 1, 2, tzinfo=ROME), "c7170a07ea0102000000000000000045" + b"urope/Rome".hex()),
    (
        datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=1))),
        "c7170a07ea01020000000000000000" + b"+3600000000".hex(),
    ),
    (time(1, 2, 3, 4), "d70b" + "0102030000000400"),
    (timedelta(1, 2, 3), "c70c0c000000010000000200000003"),
    (memoryview(b"ab"), "d50d6162"),
]


def test_what_is_stored_is_fixed():
    """The bytes of each type are those of the first release."""
    assert [encode_value(value).hex() for value, _ in STORED] == [stored for _, stored in STORED]
    assert identical([decode_value(bytes.fromhex(stored)) for _, stored in STORED], [value for value, _ in STORED])


def test_another_process_reads_the_same():
    """Bytes do not depend on the process or its hash seed."""
    script = (
        "from redis_toolkit.core.codecs import encode_value as e;"
        "import decimal; print(e({'b': (1, decimal.Decimal('2.0')), 'a': None}).hex())"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", script],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    assert found == {encode_value({"b": (1, Decimal("2.0")), "a": None}).hex() + "\n"}


def test_sets_of_the_same_are_the_same_bytes():
    """In whatever order a process gives them: they may be what is asked."""
    words = ["a", "b", "cc", "ddd", "e" * 50]
    assert len({encode_value(set(order)) for order in permutations(words)}) == 1
    script = "from redis_toolkit.core.codecs import encode_value; print(encode_value({'a', 'b', 'cc', 'ddd'}).hex())"
    told = {
        subprocess.run(
            [sys.executable, "-c", script], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert told == {encode_value({"ddd", "cc", "b", "a"}).hex() + "\n"}
