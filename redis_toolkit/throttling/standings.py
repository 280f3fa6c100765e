"""``standing``: what is left to whoever sends a request, for pages that say so."""

from __future__ import annotations

from collections.abc import Iterable

from django.http import HttpRequest

from redis_toolkit.conf import settings
from redis_toolkit.throttling.checking import check
from redis_toolkit.throttling.decisions import Decision
from redis_toolkit.throttling.doors import user_of
from redis_toolkit.throttling.rules import Rule, declared

__all__ = ["standing"]


def standing(request: HttpRequest, rules: Iterable[Rule] | None = None) -> list[Decision]:
    """What ``rules`` would say of one more ``request``; nothing is counted, and it takes one round trip.

    ``rules``: default all of ``REDIS_TOOLKIT_THROTTLES``, whatever their paths. Those that do not count this request
    (by method, network or user) and shadows are left out.
    """
    if rules is None:
        rules = [each.rule for each in declared(settings.THROTTLES).values()]
    chosen = [rule for rule in rules if not rule.shadow]
    user = user_of(request)
    cases = [case for rule in chosen if (case := rule.case(request, user)) is not None]
    return check([case.asked for case in cases], charges=False)
