"""Typed values <-> bytes: what the cache keeps in Redis, exact to the type, in MessagePack and never in pickle.

Rows (:class:`RowsCodec`) travel as positional values typed from the columns of a query; anything else
(:func:`encode_value`) as values that say themselves what they are. What would not come back as exactly what went in is
a :class:`~redis_toolkit.exceptions.CodecError`, and so are bytes that are not what they should be.
"""

from __future__ import annotations

from redis_toolkit.core.codecs.columns import Column, column_for, unsupported_reason
from redis_toolkit.core.codecs.compression import pack, unpack
from redis_toolkit.core.codecs.rows import RowsCodec
from redis_toolkit.core.codecs.values import decode_value, encode_value

__all__ = [
    "Column",
    "RowsCodec",
    "column_for",
    "decode_value",
    "encode_value",
    "pack",
    "unpack",
    "unsupported_reason",
]
