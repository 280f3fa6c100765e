"""The app of the rows."""

from __future__ import annotations

from django.apps import AppConfig


class LedgerConfig(AppConfig):
    """Items and their audit table."""

    name = "bench.consistency.ledger"
    label = "ledger"
    default_auto_field = "django.db.models.BigAutoField"
