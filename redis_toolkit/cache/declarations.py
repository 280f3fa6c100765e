"""What is wrong with a ``CacheManager``, and with managers that only look like one."""

from __future__ import annotations

from typing import Any, Final

from django.apps import apps
from django.core import checks
from django.core.exceptions import FieldDoesNotExist
from django.db import connections
from django.db.models import Field

from redis_toolkit.cache.absence import columns_of
from redis_toolkit.cache.columns import namer_of
from redis_toolkit.cache.following import why_not
from redis_toolkit.cache.plans import plan_for
from redis_toolkit.cache.relations import is_forward, is_plain
from redis_toolkit.cache.tables import NOT_INSTALLED, unique_sets
from redis_toolkit.core.codecs import unsupported_reason

__all__ = ["LONGEST_OUTAGE_TTL", "problems", "why_never_cached"]

#: Seconds that an answer kept while Redis is away may be old without a warning.
LONGEST_OUTAGE_TTL: Final = 60


def problems(manager: Any) -> list[checks.CheckMessage]:
    """What is wrong with the declaration of ``manager``, as system check messages."""
    found: list[checks.CheckMessage] = []
    if not apps.is_installed("redis_toolkit"):
        found.append(checks.Error(NOT_INSTALLED, hint="Add it.", obj=manager.model, id="redis_toolkit.E004"))
    if manager.terms.outage > LONGEST_OUTAGE_TTL:
        found.append(
            checks.Warning(
                f"outage_ttl={manager.terms.outage:g} of {manager.model._meta.label} is above"
                f" {LONGEST_OUTAGE_TTL} seconds.",
                hint="While Redis is away its readers may be given what is so much older than the last commit.",
                obj=manager.model,
                id="redis_toolkit.W060",
            )
        )
    for names in manager.by:
        found += _problems_of(manager, names)
    if manager.bloom is not None:
        found += _problems_of_filter(manager)
    found += _problems_of_following(manager)
    for field in manager.model._meta.concrete_fields:
        reason = unsupported_reason(field)
        if reason is not None:
            found.append(
                checks.Error(
                    f"{manager.model._meta.label}.{field.name} cannot be cached.",
                    hint=reason,
                    obj=manager.model,
                    id="redis_toolkit.E010",
                )
            )
    return found


def why_never_cached(manager: Any) -> str | None:
    """Why the rows that ``manager`` shows are not cached, as their first reader would find; None if they are.

    None as well for a manager that means to ask the database, or that nobody can ask outside of a request.
    """
    try:
        queryset = manager.get_queryset()
        if not getattr(queryset, "answers_from_cache", False) or queryset._cache_mode == "off":
            return None
        # Asked as for a count: whether the columns can be stored is told by a check of each field.
        plan, _ = plan_for("count", queryset.traced_query(), queryset.db)
    except Exception:  # noqa: BLE001 - a project's own code, which may want a request, a tenant or a user
        return None
    return plan.reason if plan.lasts else None


def _problems_of_filter(manager: Any) -> list[checks.CheckMessage]:
    model = manager.model
    vendors = {connection.vendor for connection in connections.all()}
    if any(namer_of(field, vendor) is None for field in model._meta.pk_fields for vendor in vendors):
        return [
            checks.Error(
                f"A filter of {model._meta.label} is not possible: the database decides which of its keys are equal.",
                hint="Leave out `bloom`, or use a key of whole numbers, UUIDs, dates, or text without a collation.",
                obj=model,
                id="redis_toolkit.E021",
            )
        ]
    named = [
        names
        for names in unique_sets(model)
        if all(namer_of(model._meta.get_field(name), vendor) is not None for name in names for vendor in vendors)
    ]
    found: list[checks.CheckMessage] = []
    for names in manager.bloom.sets:
        if columns_of(model, names) not in {columns_of(model, each) for each in named}:
            shown = names[0] if len(names) == 1 else names
            found.append(
                checks.Error(
                    f"Bloom(fields=[{shown!r}]): {model._meta.label} has no such unique field or constraint.",
                    hint="Name fields of its own table with unique=True, or tuples with a UniqueConstraint that has"
                    " no condition; with values that `by` could take, too.",
                    obj=model,
                    id="redis_toolkit.E020",
                )
            )
    return found


def _problems_of(manager: Any, names: tuple[str, ...]) -> list[checks.CheckMessage]:
    model = manager.model
    shown = names[0] if len(names) == 1 else names
    fields = []
    for name in names:
        try:
            fields.append(model._meta.get_field(name))
        except FieldDoesNotExist:
            return [
                checks.Error(
                    f"by={shown!r}: {model._meta.label} has no field {name!r}.",
                    hint="`by` takes names of the model's own fields.",
                    obj=model,
                    id="redis_toolkit.E011",
                )
            ]
    if not fields or not all(isinstance(each, Field) and each.concrete and not each.many_to_many for each in fields):
        message, hint = (
            "is not made of columns",
            "Declare foreign keys and plain fields; relations have no column here.",
        )
    elif len({field.model._meta.db_table for field in fields}) > 1:
        message, hint = (
            "spans two tables",
            "A pair must lie in one table; declare the fields of parent and child apart.",
        )
    elif any(namer_of(field, connection.vendor) is None for field in fields for connection in connections.all()):
        message = "has values whose equality the database decides in its own way"
        hint = "Use whole numbers, booleans, dates, UUIDs, or text without a collation of its own."
    else:
        return []
    return [
        checks.Error(f"by={shown!r} of {model._meta.label} {message}.", hint=hint, obj=model, id="redis_toolkit.E012")
    ]


def _problems_of_following(manager: Any) -> list[checks.CheckMessage]:
    model, names = manager.model, manager.followed_relations
    found: list[checks.CheckMessage] = []
    for name in () if names is True else names:
        reason = why_not(model, name)
        if reason is not None:
            found.append(
                checks.Error(
                    f"follow={name!r}: {model._meta.label}.{name} {reason}.",
                    hint="`follow` takes names of foreign keys and one-to-one fields, or True for all there are.",
                    obj=model,
                    id="redis_toolkit.E050",
                )
            )
            continue
        target = is_forward(model, name).remote_field.model
        if not is_plain(target):
            found.append(
                checks.Warning(
                    f"follow={name!r}: {target._meta.label} has a base manager of its own, so the database is asked.",
                    hint="It may hide rows. Take the name out of `follow`, or base_manager_name out of that Meta.",
                    obj=model,
                    id="redis_toolkit.W050",
                )
            )
    return found
