"""What mypy's Django plugin reads: the settings of the tests, and what the demo adds of its own."""

from __future__ import annotations

from pathlib import Path

from tests.settings import *  # noqa: F403 - a settings module is made of names

DEMO_REDIS: Path = Path("redis-address")
