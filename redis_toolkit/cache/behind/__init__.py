"""Write-behind: changes of a field gathered in Redis, and flushed to the database in batches, each exactly once."""

from __future__ import annotations

from redis_toolkit.cache.behind.flushing import Flushed, flush_all
from redis_toolkit.cache.behind.write_behind import WriteBehind

__all__ = ["Flushed", "WriteBehind", "flush_all"]
