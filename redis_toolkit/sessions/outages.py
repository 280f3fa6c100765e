"""Which failures nobody hears of: ``{% if not user.is_authenticated %}`` takes any error for "no"."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Final

__all__ = ["is_hidden"]

#: Where Django's templates evaluate ``and``, ``or``, ``not``, ``in`` and comparisons. They catch whatever is raised.
_HIDING: Final = "django.template.smartif"


def is_hidden() -> bool:
    """Whether what is raised now is caught by a condition of a template, which goes on as if nobody were logged in.

    (Only asked when Redis is away. A view that makes do without a session catches the error itself.)
    """
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - there is no other way to know who is waiting
    while frame is not None:
        if frame.f_globals.get("__name__") == _HIDING:
            return True
        frame = frame.f_back
    return False
