"""The toolkit's pages in Django's admin, for who has the permissions."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.text import capfirst

from redis_toolkit.dashboard import throttles
from redis_toolkit.models import Ban

__all__ = ["ThrottleAdmin"]


@admin.register(Ban)
class ThrottleAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # (at run time it takes none)
    """Throttles and bans: one page, and no forms of rows."""

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 - Django's signature
        """There is nothing to fill in: a ban is begun on the page."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Ban | None = None) -> bool:  # noqa: ARG002
        """A ban is not changed."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Ban | None = None) -> bool:  # noqa: ARG002
        """A ban is ended on the page."""
        return False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The page; POST does what its buttons say, and shows it again."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method == "POST":
            throttles.act(request)
            return redirect(request.path)
        context = {
            **self.admin_site.each_context(request),
            "title": capfirst(str(self.opts.verbose_name_plural)),
            "opts": self.opts,
            **throttles.context(request),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "redis_toolkit/dashboard/throttles.html", context)

    def changeform_view(
        self,
        request: HttpRequest,  # noqa: ARG002 - Django's signature
        object_id: str | None = None,
        *_: Any,
        **__: Any,
    ) -> HttpResponse:
        """There are no rows. What the admin's log says of one leads here, and on to the page."""
        if object_id is None:
            raise PermissionDenied
        return redirect(reverse("admin:redis_toolkit_ban_changelist", current_app=self.admin_site.name))

    def delete_view(self, *_: Any, **__: Any) -> HttpResponse:
        """There are no rows."""
        raise PermissionDenied

    def history_view(self, *_: Any, **__: Any) -> HttpResponse:
        """What was done stands in the admin's log alone: there are no rows that it could be a history of."""
        raise PermissionDenied
