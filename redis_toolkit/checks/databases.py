"""Databases that lack the toolkit's tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.apps import AppConfig
from django.core.checks import CheckMessage, Warning  # noqa: A004 - Django's name
from django.db import connections

from redis_toolkit.cache import outbox
from redis_toolkit.cache.behind import problems
from redis_toolkit.tokens import problems as tokens

__all__ = ["check_databases"]

#: The table of a database on which anything was ever migrated.
_MIGRATIONS: Final = "django_migrations"


def check_databases(
    app_configs: Sequence[AppConfig] | None,  # noqa: ARG001 - Django's signature
    databases: Sequence[str] | None = None,
    **_: Any,
) -> list[CheckMessage]:
    """Databases without the toolkit's tables. Run by ``check --database``, as all that looks into databases."""
    # (`migrate` asks this, too, ahead of its first run.)
    migrated = [
        alias for alias in databases or () if _MIGRATIONS in connections[alias].introspection.table_names()
    ]  # fmt: skip
    found: list[CheckMessage] = [
        Warning(
            f"The database {alias!r} has no outbox.",
            hint=f"Run manage.py migrate redis_toolkit --database={alias}. Without it, what was written while Redis was"
            " away is known to the writing process alone.",
            id="redis_toolkit.W003",
        )
        for alias in migrated
        if not outbox.is_there(connections[alias])
    ]
    return [*found, *problems.of_databases(migrated), *tokens.of_databases(migrated)]
