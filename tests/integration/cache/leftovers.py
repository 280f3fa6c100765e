"""An outbox as an outage leaves it behind: rows, and in Redis the stamps they speak of, which still stand."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

from redis_toolkit.core.clock import now
from redis_toolkit.models import Outbox

__all__ = ["leave", "stem_of"]


def stem_of(alias: str, prefix: str = "rt") -> str:
    """The generation of the lessons."""
    return f"{prefix}:s:{alias}:app_lesson"


def leave(alias: str, client: Any, ids: Sequence[int], *, until: float | None = None, prefix: str = "rt") -> list[str]:
    """Put a row for each of these lessons into the outbox of ``alias``; ``until``: seconds from now. The stamps."""
    stamps = [f"{stem_of(alias, prefix)}:id={at}" for at in ids]
    client.mset(dict.fromkeys(stamps, b"t12345678"))
    Outbox.objects.using(alias).bulk_create(
        Outbox(
            writer=os.urandom(12).hex(),
            stem=stem_of(alias, prefix),
            names=json.dumps([f"id={at}"]),
            written=now(),
            until=None if until is None else now() + until,
        )
        for at in ids
    )
    return stamps
