"""Functions that another process can be told to call again."""

from __future__ import annotations

import os
from typing import Any

from django.utils import timezone, translation

from redis_toolkit.cache import cached
from tests.app.models import Lesson

__all__ = ["described", "described_awaited"]


def _describe(group: int, *more: Any, **named: Any) -> dict[str, Any]:
    return {
        "titles": list(Lesson.objects.filter(group=group).order_by("pk").values_list("title", flat=True)),
        "more": more,
        "named": named,
        "language": translation.get_language(),
        "zone": timezone.get_current_timezone_name(),
        "process": os.getpid(),
    }


# (As good as past its `fresh` at once, by any clock.)
@cached(depends_on=[Lesson], fresh=0.000001)
def described(group: int, *more: Any, **named: Any) -> dict[str, Any]:
    """The titles of a group, and who asked the database for them."""
    return _describe(group, *more, **named)


@cached(depends_on=[Lesson], fresh=0.000001)
async def described_awaited(group: int) -> dict[str, Any]:
    """The same, awaited."""
    from asgiref.sync import sync_to_async

    return await sync_to_async(_describe)(group)
