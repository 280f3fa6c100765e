"""Is a cached read ever older than the last commit? Writers, readers, real servers, and everything that goes wrong.

``python -m bench.consistency`` starts PostgreSQL, Valkey, a proxy before Valkey, and processes that write and read.
Triggers in PostgreSQL number the versions of each row and note them in an audit table, so what was committed is known
from the database itself; when a commit returned and what a read saw is in the journals of the processes, on one clock.
After each scenario the two are joined: see ``judge.py``.
"""

from __future__ import annotations
