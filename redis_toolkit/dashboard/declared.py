"""What a project caches: its models, functions, fragments and views, with what is declared of each."""

from __future__ import annotations

from dataclasses import dataclass

from django.apps import apps
from django.db.models import Model

from redis_toolkit.cache.memos import known
from redis_toolkit.cache.tables import by_of, cached_managers
from redis_toolkit.conf import settings
from redis_toolkit.dashboard.advice import Facts
from redis_toolkit.exceptions import Misconfigured

__all__ = ["Subject", "every", "named"]


@dataclass(frozen=True, slots=True)
class Subject:
    """A thing that is cached, by the ``name`` it is counted under.

    ``model``: None for what is no model; ``depends_on``: the models whose writes end it; ``facts``: for advice.
    """

    name: str
    model: type[Model] | None
    depends_on: tuple[type[Model], ...]
    facts: Facts


def every() -> dict[str, Subject]:
    """All that this process knows of, by name: a function whose module nobody has imported is not among them."""
    found = {}
    for model in apps.get_models(include_auto_created=True):
        if managers := cached_managers(model):
            ttl = next((terms.ttl for each in managers if (terms := getattr(each, "terms", None)) and terms.ttl), None)
            facts = Facts(ttl or settings.CACHE_TTL, tuple(by_of(model)))
            found[model._meta.label] = Subject(model._meta.label, model, (model,), facts)
    for name, memo in known().items():
        found.setdefault(name, Subject(name, None, _models(name), Facts(memo.terms.ttl or settings.CACHE_TTL)))
    return found


def named(name: str) -> Subject | None:
    """The subject of that name, if this process knows it."""
    return every().get(name)


def _models(name: str) -> tuple[type[Model], ...]:
    try:
        return known()[name].models
    except Misconfigured:
        # (Its first call will raise it, and a check has said so.)
        return ()
