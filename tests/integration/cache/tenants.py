"""The tenant of the moment."""

from __future__ import annotations

__all__ = ["current", "name"]

name = "one"


def current(alias: str) -> str:
    """The value of REDIS_TOOLKIT_TENANT."""
    return name
