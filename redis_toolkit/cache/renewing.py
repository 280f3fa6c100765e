"""What a worker does that was told of an answer to be made anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django.apps import apps
from django.db import connections
from django.utils import timezone, translation

from redis_toolkit.cache import functions, renewals
from redis_toolkit.cache.asking import make_anew
from redis_toolkit.cache.freshness import Terms
from redis_toolkit.cache.reading import Question, Source
from redis_toolkit.cache.rows import rows_of

__all__ = ["renew"]


def renew(message: str) -> None:
    """Make the answer anew that ``message`` tells of, if it is still due.

    ``message`` is what ``REDIS_TOOLKIT_REFRESHER`` was called with. May be repeated, and run twice at once. While Redis
    is away nothing is done. Raises ValueError for what is no message, LookupError for a function, model or database
    that this process does not know, CacheOverloaded, and what the load raises.
    """
    told = renewals.read(message)
    with translation.override(told.language), timezone.override(told.zone):
        try:
            asked = _KINDS[told.kind](*told.what)
        except TypeError as error:
            raise ValueError("This is the message of another version.") from error
        if asked is None:
            return
        question, source = asked
        try:
            make_anew(question, source)
        finally:
            renewals.done(question)


def _row(
    label: str, asked: dict[str, Any], source: tuple[str, str], terms: tuple[float, float, float, float]
) -> tuple[Question, Source] | None:
    """A row by its key. None if this process, of another version, does not know it by that."""
    read = Source(*source)
    for alias in read:
        if alias not in connections:
            raise LookupError(f"There is no database {alias!r} here.")
    question = rows_of(apps.get_model(label), read.read).question(asked, read, Terms(*terms))
    return None if question is None else (question, read)


_KINDS: Final[dict[str, Callable[..., tuple[Question, Source] | None]]] = {"get": _row, "value": functions.question_of}
