"""What the tests of codecs mean by equal (same type, same value, all the way down), and by any value."""

from __future__ import annotations

from datetime import UTC, timedelta, timezone
from typing import Any

from hypothesis import strategies as st

__all__ = ["ATOMS", "TEXTS", "VALUES", "identical"]


def _view(data: bytes) -> memoryview:
    return memoryview(data)


ZONES = (
    st.none()
    | st.just(UTC)
    | st.timezones(no_cache=False)
    | st.integers(-86399, 86399).map(lambda seconds: timezone(timedelta(seconds=seconds)))
)
# Lone surrogates are text to Python, though to nobody else.
TEXTS = st.text(st.characters())
ATOMS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | TEXTS
    | st.binary()
    | st.binary().map(_view)
    | st.decimals()
    | st.uuids()
    | st.dates()
    | st.datetimes(timezones=ZONES, allow_imaginary=True)
    | st.times(timezones=ZONES)
    | st.timedeltas()
)
KEYS = st.none() | st.booleans() | st.integers() | TEXTS | st.dates() | st.uuids() | st.tuples(st.integers(), TEXTS)
VALUES = st.recursive(
    ATOMS,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(KEYS, inner)
        | st.sets(KEYS)
        | st.frozensets(KEYS)
    ),
    max_leaves=20,
)


def identical(left: Any, right: Any) -> bool:
    """Whether two values show no difference: neither of type nor of -0.0, 1.10, NaN, time zone or the order of keys."""
    return bool(_trace(left) == _trace(right))


def _trace(value: Any) -> Any:
    """The types in ``value`` and the texts of its atoms; those of Python's own types hide nothing but their type."""
    match value:
        case list() | tuple():
            return type(value), [_trace(item) for item in value]
        case dict():
            return type(value), [(_trace(key), _trace(item)) for key, item in value.items()]
        case set() | frozenset():
            return type(value), sorted(map(repr, map(_trace, value)))
        case memoryview():
            return type(value), value.tobytes()
        case _:
            return type(value), repr(value)
