"""System checks. Every check has a stable id, a hint, a test and a line in the docs."""

from __future__ import annotations

from redis_toolkit.checks.databases import check_databases
from redis_toolkit.checks.models import check_models
from redis_toolkit.checks.servers import check_server
from redis_toolkit.checks.settings import check_settings

__all__ = ["check_databases", "check_models", "check_server", "check_settings"]
