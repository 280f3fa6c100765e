"""Single values that say themselves what they are: results of functions, counts, aggregates, columns of no known type.

MessagePack has None, bool, int of 64 bits, float, str, bytes, arrays, string maps and UTC timestamps. Everything else
travels as an extension: a small number for the type and a few bytes. Only exact types are taken: an enum member or a
``SafeString`` would come back as a plain number or text, so it is refused.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from types import NoneType
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from msgspec.msgpack import Decoder, Encoder, Ext

from redis_toolkit.exceptions import CodecError

__all__ = ["MALFORMED", "NATIVE", "decode_value", "encode_value", "revive", "tag"]

#: Types which MessagePack carries exactly as they are; an int beyond 64 bits or a str with a lone surrogate apart,
#: which its encoder refuses.
NATIVE = frozenset({NoneType, bool, int, float, str, bytes})

#: All that reading damaged or hostile bytes can raise: msgspec's errors are ValueErrors, the rest comes from the
#: constructors of what is read (an OSError from a time zone that is the name of a folder).
MALFORMED = (ValueError, TypeError, ArithmeticError, LookupError, OSError, RecursionError, struct.error)

_INT_RANGE = range(-(2**63), 2**64)
_MOMENT = struct.Struct(">HBBBBBIB")
_HOUR = struct.Struct(">BBBIB")
_SPAN = struct.Struct(">iII")
_DAY = struct.Struct(">I")


def encode_value(value: Any) -> bytes:
    """Return ``value`` as bytes. Raise ``CodecError`` if it, or anything inside it, would not come back the same."""
    try:
        return _encoder.encode(tag(value))
    except (RecursionError, ValueError) as error:
        raise CodecError("A value nested this deeply, or this large, cannot be cached.") from error


def decode_value(payload: bytes | memoryview) -> Any:
    """Return what :func:`encode_value` was given, of the same types. Raise ``CodecError`` for any other bytes."""
    try:
        return _decoder.decode(payload)
    except MALFORMED as error:
        raise CodecError("A stored value is damaged or of an unknown form.") from error


def tag(value: Any) -> Any:
    """Return ``value`` in a form which MessagePack keeps exactly: itself, or an extension, or a container of those."""
    write = _WRITERS.get(type(value))
    if write is None:
        name = f"{type(value).__module__}.{type(value).__qualname__}"
        raise CodecError(
            f"A value of type {name} cannot be cached without loss: convert it to a plain value first, "
            "or leave it out of what is cached (.defer(), .nocache())."
        )
    return write(value)


def revive(code: int, data: memoryview) -> Any:
    """Return the value of an extension: msgspec's ``ext_hook``."""
    return _READERS[code](data)


def _as_is(value: Any) -> Any:
    return value


def _write_int(value: int) -> Any:
    if value in _INT_RANGE:
        return value
    return Ext(1, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def _read_int(data: memoryview) -> int:
    return int.from_bytes(data, "big", signed=True)


def _write_str(value: str) -> Any:
    if value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        return Ext(2, value.encode(errors="surrogatepass"))
    return value


def _read_str(data: memoryview) -> str:
    return str(data, "utf-8", "surrogatepass")


def _write_list(value: list[Any]) -> list[Any]:
    return [tag(item) for item in value]


def _sequence(code: int) -> Callable[[Any], Ext]:
    def write(value: Any) -> Ext:
        return Ext(code, _encoder.encode([tag(item) for item in value]))

    return write


def _unordered(code: int) -> Callable[[Any], Ext]:
    # By their bytes: the order in which a set gives its texts is another in each process.
    def write(value: Any) -> Ext:
        return Ext(code, _encoder.encode(sorted((tag(item) for item in value), key=_encoder.encode)))

    return write


def _read_tuple(data: memoryview) -> tuple[Any, ...]:
    return tuple(_list_decoder.decode(data))


def _read_set(data: memoryview) -> set[Any]:
    return set(_list_decoder.decode(data))


def _read_frozenset(data: memoryview) -> frozenset[Any]:
    return frozenset(_list_decoder.decode(data))


def _write_dict(value: dict[Any, Any]) -> Any:
    # An extension cannot be the key of a map (msgspec's cannot be hashed), so only keys that need none make one.
    if all(tag(key) is key for key in value):
        return {key: tag(item) for key, item in value.items()}
    return Ext(6, _encoder.encode([tag(part) for item in value.items() for part in item]))


def _read_dict(data: memoryview) -> dict[Any, Any]:
    parts = _list_decoder.decode(data)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def _write_decimal(value: Decimal) -> Ext:
    return Ext(7, str(value).encode())


def _read_decimal(data: memoryview) -> Decimal:
    return Decimal(str(data, "ascii"))


def _write_uuid(value: UUID) -> Ext:
    return Ext(8, value.bytes)


def _read_uuid(data: memoryview) -> UUID:
    return UUID(bytes=bytes(data))


def _write_date(value: date) -> Ext:
    return Ext(9, _DAY.pack(value.toordinal()))


def _read_date(data: memoryview) -> date:
    return date.fromordinal(_DAY.unpack(data)[0])


def _write_datetime(value: datetime) -> Any:
    if value.tzinfo is UTC and not value.fold:
        return value
    # The clock on the wall, not the instant: a time that a change of clocks skips has no instant to come back from.
    wall = _MOMENT.pack(
        value.year, value.month, value.day, value.hour, value.minute, value.second, value.microsecond, value.fold
    )
    return Ext(10, wall + _zone_name(value.tzinfo))


def _read_datetime(data: memoryview) -> datetime:
    year, month, day, hour, minute, second, microsecond, fold = _MOMENT.unpack_from(data)
    return datetime(year, month, day, hour, minute, second, microsecond, _zone(data[_MOMENT.size :]), fold=fold)


def _write_time(value: time) -> Ext:
    wall = _HOUR.pack(value.hour, value.minute, value.second, value.microsecond, value.fold)
    return Ext(11, wall + _zone_name(value.tzinfo))


def _read_time(data: memoryview) -> time:
    hour, minute, second, microsecond, fold = _HOUR.unpack_from(data)
    return time(hour, minute, second, microsecond, _zone(data[_HOUR.size :]), fold=fold)


def _write_timedelta(value: timedelta) -> Ext:
    return Ext(12, _SPAN.pack(value.days, value.seconds, value.microseconds))


def _read_timedelta(data: memoryview) -> timedelta:
    return timedelta(*_SPAN.unpack(data))


def _write_memoryview(value: memoryview) -> Ext:
    return Ext(13, bytes(value))


def _read_memoryview(data: memoryview) -> memoryview:
    return memoryview(bytes(data))


def _zone_name(zone: tzinfo | None) -> bytes:
    if zone is None:
        return b""
    if type(zone) is ZoneInfo and zone.key is not None:
        return zone.key.encode()
    if type(zone) is timezone:
        offset = zone.utcoffset(None)
        if zone.tzname(None) == timezone(offset).tzname(None):
            return b"+%d" % (offset // timedelta(microseconds=1))
    raise CodecError(f"The time zone {zone!r} has no name to find it by again; use zoneinfo or datetime.timezone.")


def _zone(name: memoryview) -> tzinfo | None:
    if not name:
        return None
    text = str(name, "utf-8")
    return timezone(timedelta(microseconds=int(text[1:]))) if text[0] == "+" else ZoneInfo(text)


_WRITERS: dict[type, Callable[[Any], Any]] = {
    **dict.fromkeys(NATIVE, _as_is),
    int: _write_int,
    str: _write_str,
    list: _write_list,
    tuple: _sequence(3),
    set: _unordered(4),
    frozenset: _unordered(5),
    dict: _write_dict,
    Decimal: _write_decimal,
    UUID: _write_uuid,
    date: _write_date,
    datetime: _write_datetime,
    time: _write_time,
    timedelta: _write_timedelta,
    memoryview: _write_memoryview,
}
# These numbers stand in what is stored: add, never reuse.
_READERS: dict[int, Callable[[memoryview], Any]] = {
    1: _read_int,
    2: _read_str,
    3: _read_tuple,
    4: _read_set,
    5: _read_frozenset,
    6: _read_dict,
    7: _read_decimal,
    8: _read_uuid,
    9: _read_date,
    10: _read_datetime,
    11: _read_time,
    12: _read_timedelta,
    13: _read_memoryview,
}
_encoder = Encoder()
_decoder: Decoder[Any] = Decoder(ext_hook=revive)
_list_decoder: Decoder[list[Any]] = Decoder(list[Any], ext_hook=revive)
