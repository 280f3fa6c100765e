"""The toolkit's pages in Django's admin, for who has the permissions."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from redis_toolkit.dashboard import throttles, tokens
from redis_toolkit.models import Ban, Token

__all__ = ["ThrottleAdmin", "TokenAdmin"]


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


@admin.register(Token)
class TokenAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """API tokens that have rows: seen, searched, revoked. They are made elsewhere, and not changed."""

    fields = ("handle", "owner", "name", "scopes", "made", "ends", "used", "replaced")
    list_display = ("handle", "owner", "name", "scopes", "made", "ends", "used", "is_good")
    search_fields = ("=handle", "name", "=user_id")
    search_help_text = gettext_lazy("A handle, a name, or the owner: primary key or user name.")
    ordering = ("-created", "-pk")
    actions = ("revoke",)
    show_full_result_count = False

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Nothing is to be seen where Redis alone has the tokens."""
        return tokens.have_rows() and super().has_module_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Token | None = None) -> bool:
        """As above."""
        return tokens.have_rows() and super().has_view_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Token | None = None) -> bool:
        """As above."""
        return tokens.have_rows() and super().has_delete_permission(request, obj)

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 - Django's signature
        """What a form makes would have no text."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Token | None = None) -> bool:  # noqa: ARG002
        """A token is what it was made."""
        return False

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        """Not by digest: in the address of the list any column can be asked for, digit by digit."""
        return not lookup.startswith("digest") and super().lookup_allowed(lookup, value, request)

    def get_actions(self, request: HttpRequest, action_location: Any = None) -> dict[str, Any]:
        """Revocation is the way to delete."""
        # (From Django 6.1 on it is asked for each place in which there are actions.)
        where = {} if action_location is None else {"action_location": action_location}
        found: dict[str, Any] = super().get_actions(request, **where)
        found.pop("delete_selected", None)
        return found

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """The page's rows, their owners known by one query."""
        found = super().get_changelist_instance(request)
        tokens.name_owners(found.result_list)
        return found

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Token], search_term: str
    ) -> tuple[QuerySet[Token], bool]:
        """Those found by Django, and those of users with such a name."""
        found, has_doubles = super().get_search_results(request, queryset, search_term)
        return found | queryset.filter(user_id__in=tokens.owners_like(search_term)), has_doubles

    def delete_model(self, request: HttpRequest, obj: Token) -> None:  # noqa: ARG002 - Django's signature
        """Revoke it, which signals hear of."""
        tokens.end([obj])

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Token]) -> None:  # noqa: ARG002
        """Revoke them."""
        tokens.end(queryset)

    @admin.action(permissions=["delete"], description=gettext_lazy("Revoke selected tokens"))
    def revoke(self, request: HttpRequest, queryset: QuerySet[Token]) -> None:
        """End them at once, and write it to the admin's log."""
        self.log_deletions(request, queryset)
        many = tokens.end(queryset)
        messages.success(request, ngettext("%d token was revoked.", "%d tokens were revoked.", many) % many)

    @admin.display(description=gettext_lazy("owner"), ordering="user_id")
    def owner(self, row: Token) -> str:
        """Who they are, and their primary key."""
        return tokens.owner_of(row) or _("%s (unknown)") % row.user_id

    @admin.display(description=gettext_lazy("made"), ordering="created")
    def made(self, row: Token) -> Any:
        """When it was made."""
        return tokens.when(row.created)

    @admin.display(description=gettext_lazy("ends"), ordering="expires")
    def ends(self, row: Token) -> Any:
        """When it ends, if it does."""
        return tokens.when(row.expires)

    @admin.display(description=gettext_lazy("last used"), ordering="last_used")
    def used(self, row: Token) -> Any:
        """When it was used, more or less."""
        return tokens.when(row.last_used)

    @admin.display(description=gettext_lazy("good"), boolean=True)
    def is_good(self, row: Token) -> bool:
        """Whether it has not ended."""
        return tokens.is_good(row)
