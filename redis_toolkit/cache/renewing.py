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
    is away nothing is done. Raises ValueError for what is no message of this project's, and where the same question
    would be another here; LookupError for a function, model, database or time zone that this process does not know;
    CacheOverloaded, and what the load raises.
    """
    told = renewals.read(message)
    if told.kind not in _KINDS:
        raise ValueError(f"There is no answer of the kind {told.kind!r} to be made anew.")
    # Before the reader's language is put on: what is imported for it stays.
    asks = _KINDS[told.kind](*told.what)
    with translation.override(told.language), timezone.override(told.zone):
        asked = asks()
        if asked is None or not renewals.is_of(told, asked[0]):
            raise ValueError("The question that this message tells of is another in this process.")
        question, source = asked
        try:
            make_anew(question, source)
        finally:
            renewals.done(question, told.claim)


Asked = tuple[Question, Source] | None


def _row(
    label: str, asked: dict[str, Any], source: tuple[str, str], terms: tuple[float, float, float, float]
) -> Callable[[], Asked]:
    """A row by its key."""
    read = Source(*source)
    for alias in read:
        if alias not in connections:
            raise LookupError(f"There is no database {alias!r} here.")
    rows = rows_of(apps.get_model(label), read.read)

    def asks() -> Asked:
        question = rows.question(asked, read, Terms(*terms))
        return None if question is None else (question, read)

    return asks


_KINDS: Final[dict[str, Callable[..., Callable[[], Asked]]]] = {"get": _row, "value": functions.call_of}
