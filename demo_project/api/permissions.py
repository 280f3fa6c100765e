"""What a token may do here. The timetable is public: who comes without one may read all of it."""

from __future__ import annotations

from typing import Any

from redis_toolkit.contrib.drf_tokens import HasScope

__all__ = ["MayRead", "MaySearch"]


class MayRead(HasScope):
    """Anybody; but who comes with a token is bound by its scopes."""

    scopes = ("timetable:read",)

    def has_permission(self, request: Any, view: Any) -> bool:
        """Whether the request may come in."""
        return request.auth is None or super().has_permission(request, view)


class MaySearch(MayRead):
    scopes = ("timetable:search",)
