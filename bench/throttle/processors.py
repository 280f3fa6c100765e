"""One processor for the server and for who asks it, which is another in each round.

Only one of the two has something to do at a time. Left to itself the kernel has them together for one contestant and
apart for the next, for a whole run; and to be woken up on another processor takes longer than a check does. Together,
a check costs what both have to do for it.
"""

from __future__ import annotations

import os
from contextlib import suppress

__all__ = ["move", "processors"]


def processors() -> list[int]:
    """Those that this process may have; none where the kernel cannot be told."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def move(pid: int, processor: int) -> None:
    """Have a process, 0 for this one, on one processor and no other."""
    # Some containers do not let anybody choose; then it is as it is.
    with suppress(OSError):
        os.sched_setaffinity(pid, {processor})
