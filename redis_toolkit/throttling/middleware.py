"""``ThrottleMiddleware``: the rules of ``REDIS_TOOLKIT_THROTTLES``, for whole paths.

Rules that count by address, header or form are asked before anything else is done for the request, log-in attempts
included. Those that count users are asked when the user is known: just before the view.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponse

from redis_toolkit.conf import settings
from redis_toolkit.exceptions import Throttled
from redis_toolkit.throttling.doors import aenter, cases_of, enter, leave, note, refuse, user_of
from redis_toolkit.throttling.exemptions import EXEMPT, is_exempt
from redis_toolkit.throttling.rules import Declared, Rule, declared

__all__ = ["ThrottleMiddleware"]

#: The request's attribute for the rules that have let it pass because of its path.
_PASSED: Final = "_redis_toolkit_passed"


class ThrottleMiddleware:
    """Put it above all middleware that a denied request is not to cost. The users' rules wait for the view."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self._given: Any = None
        self._rules: tuple[Declared, ...] = ()
        self._find()
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        """The response, or, of an asynchronous project, the coroutine that gives it."""
        if iscoroutinefunction(self):
            return self._await(request)
        rules, others = self._first(request)
        visit = enter(request, cases_of(request, rules, keep_out=others))
        if visit.denial is not None:
            return refuse(request, visit.denial)
        return leave(request, self.get_response(request), visit)

    async def _await(self, request: HttpRequest) -> Any:
        rules, others = self._first(request)
        visit = await aenter(request, rules, keep_out=others)
        if visit.denial is not None:
            return refuse(request, visit.denial)
        return leave(request, await self.get_response(request), visit)

    def process_view(self, request: HttpRequest, view: Any, *_: Any) -> HttpResponse | None:
        """The answer to a user who has no more; None: go on."""
        if getattr(view, EXEMPT, False):
            return None
        # Those that let a view pass that was exempt by its path: another middleware has changed the URLconf since.
        rules = [*vars(request).pop(_PASSED, ()), *(rule for rule in self._of(request) if rule.needs_user)]
        if not rules:
            return None
        visit = enter(request, cases_of(request, rules, user_of(request)))
        return None if visit.denial is None else refuse(request, visit.denial)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """The answer where a view raised Throttled (by ``Throttle.guard``, say); None for any other error."""
        if not isinstance(exception, Throttled) or exception.decision is None:
            return None
        note(request, [exception.decision])
        return refuse(request, exception.decision)

    def _first(self, request: HttpRequest) -> tuple[list[Rule], list[Rule]]:
        """The rules that are asked before anything else is done; and those of which the deny lists alone are."""
        every = self._of(request)
        rules = [rule for rule in every if not rule.needs_user]
        if rules and is_exempt(request):
            setattr(request, _PASSED, rules)
            rules = []
        return rules, [rule for rule in every if rule not in rules]

    def _of(self, request: HttpRequest) -> list[Rule]:
        if settings.THROTTLES is not self._given:
            self._find()
        path = request.path_info
        return [rule for rule, paths in self._rules if path.startswith(paths)]

    def _find(self) -> None:
        given = settings.THROTTLES
        self._rules = tuple(declared(given).values())
        self._given = given
