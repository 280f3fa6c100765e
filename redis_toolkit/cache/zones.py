"""Which names in a query depend on the current time zone."""

from __future__ import annotations

from functools import lru_cache

from django.core.exceptions import FieldDoesNotExist
from django.db.models import Model
from django.db.models.constants import LOOKUP_SEP

__all__ = ["follows_zone"]


@lru_cache(maxsize=4096)
def follows_zone(model: type[Model], name: str) -> bool:
    """Whether ordering ``model`` by ``name`` may depend on the zone, as by ``starts__hour`` it does. In doubt: yes."""
    return _follows(model, name, frozenset())


def _follows(model: type[Model], name: str, passed: frozenset[type[Model]]) -> bool:
    parts = name.removeprefix("-").split(LOOKUP_SEP)
    here, field = model, None
    for part in parts:
        try:
            field = here._meta.pk if part == "pk" else here._meta.get_field(part)
        except FieldDoesNotExist:
            # An annotation, which the query describes itself; with more behind it, a transform.
            return len(parts) > 1
        related = field.related_model
        if not isinstance(related, type):
            return part is not parts[-1]
        here = related
    if part in {"pk", getattr(field, "attname", "pk")}:
        return False
    # By a relation means by the ordering of what it leads to, and that may name a relation in its turn.
    ordering = here._meta.ordering or ()
    return here in passed or any(
        not isinstance(each, str) or _follows(here, each, passed | {here}) for each in ordering
    )
