"""The toolkit's pages in Django's admin, for who has the permissions."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from redis_toolkit.dashboard import codes, health, overview, sessions, throttles, tokens
from redis_toolkit.dashboard.pages import PageAdmin, tabs
from redis_toolkit.models import Ban, CodeCount, LiveSession, Server, Statistic, Token

__all__ = ["CodeCountAdmin", "LiveSessionAdmin", "ServerAdmin", "StatisticAdmin", "ThrottleAdmin", "TokenAdmin"]


@admin.register(Statistic)
class StatisticAdmin(PageAdmin):
    """The cache, and each thing that is cached."""

    page = overview
    template = "overview.html"
    detail_template = "subject.html"

    @transaction.non_atomic_requests
    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The page of one thing: not in a transaction, in which the cache could not be filled or compared."""
        return self.changeform_view(request, object_id, form_url, extra_context)


@admin.register(Ban)
class ThrottleAdmin(PageAdmin):
    """Throttles and bans."""

    page = throttles
    template = "throttles.html"


@admin.register(LiveSession)
class LiveSessionAdmin(PageAdmin):
    """Sessions, and those of one user."""

    page = sessions
    template = "sessions.html"
    detail_template = "user.html"


@admin.register(CodeCount)
class CodeCountAdmin(PageAdmin):
    """One-time codes, in numbers."""

    page = codes
    template = "codes.html"


@admin.register(Server)
class ServerAdmin(PageAdmin):
    """How the servers are."""

    page = health
    template = "health.html"


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
    change_list_template = "redis_toolkit/dashboard/tokens.html"

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The rows, below the tabs of the toolkit's pages and what became of tokens lately."""
        added = {"tabs": tabs(self.admin_site, self.model, request), "lately": tokens.lately()}
        return super().changelist_view(request, added | (extra_context or {}))

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
