"""Watchers: they hear the signals and count. No room knows them, and without them nothing else changes."""

from __future__ import annotations

from redis_toolkit.stats.figures import DAY, HOUR, MONTH, Bucket, Figures, Hot, Span, summed
from redis_toolkit.stats.reading import buckets, hottest
from redis_toolkit.stats.telling import flush

__all__ = ["DAY", "HOUR", "MONTH", "Bucket", "Figures", "Hot", "Span", "buckets", "flush", "hottest", "summed"]
