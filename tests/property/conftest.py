"""The server that the machines play with."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from redis_toolkit.testing import ValkeyServer
from tests.property.trouble import Bench


@pytest.fixture
def bench(valkey: ValkeyServer, redis_client: redis.Redis, settings: Any) -> Bench:
    """A server that may get into trouble."""
    return Bench(valkey, redis_client, settings)
