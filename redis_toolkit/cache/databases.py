"""Which aliases of ``DATABASES`` speak of the same data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from django.db import connections
from django.utils.module_loading import import_string

from redis_toolkit.conf import settings
from redis_toolkit.core import keys

__all__ = ["each_once", "forget", "logical_name", "primary_of"]


def logical_name(alias: str) -> str:
    """The part of a key that says which data it speaks of: the database, and the tenant if there are several.

    Two aliases of one database have one name, that of the first.
    """
    name = _logical.get(alias) or _logical.setdefault(alias, keys.escape(_first_alias(alias)))
    if settings.TENANT is None:
        return name
    tenant: str = import_string(settings.TENANT)(alias)
    return keys.escape(f"{name}@{tenant}")


_logical: dict[str, str] = {}
_ADDRESS: Final = ("ENGINE", "HOST", "PORT", "NAME")


def primary_of(alias: str) -> str:
    """The alias that ``alias`` copies: one of the same engine and name elsewhere, or the one its tests mirror."""
    primary = _primaries.get(alias)
    if primary is None:
        mirrored = connections.settings[alias].get("TEST", {}).get("MIRROR")
        primary = _primaries.setdefault(alias, mirrored or _first_alias(alias, ("ENGINE", "NAME")))
    return primary


_primaries: dict[str, str] = {}


def each_once(aliases: Iterable[str] | None = None) -> list[str]:
    """The aliases of these databases, or of all there are: of those that name the same database, the first one."""
    chosen: dict[str, str] = {}
    for alias in connections.settings if aliases is None else aliases:
        # An empty entry in DATABASES, as Django's documentation has it for projects without a default one.
        if connections[alias].vendor != "unknown":
            chosen.setdefault(_first_alias(alias), alias)
    return list(chosen.values())


def _first_alias(alias: str, address: Sequence[str] = _ADDRESS) -> str:
    own = [connections.settings[alias].get(part) for part in address]
    return next(
        other for other in connections.settings
        if other == alias or [connections.settings[other].get(part) for part in address] == own
    )  # fmt: skip


def forget() -> None:
    """Find everything out anew (only tests change databases under a running process)."""
    _logical.clear()
    _primaries.clear()
