"""Settings of processes that count: statistics are on."""

from __future__ import annotations

from tests.settings import *  # noqa: F403

REDIS_TOOLKIT_STATS = True
