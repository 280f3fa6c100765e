"""What the toolkit's pages in the admin share: where they hang, who may do what, and what is written down of it.

A page belongs to a proxy model, because Django gives permissions and a place in the admin to models alone; it has no
rows and no forms of rows. What it shows and does is a module's (``context``, ``act``, ``detail``).
"""

from __future__ import annotations

from typing import Any, ClassVar, Final, Protocol

from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.utils import unquote
from django.contrib.auth import get_permission_codename
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, reverse
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from redis_toolkit.models import Ban, CodeCount, LiveSession, Server, Statistic, Token

__all__ = ["Page", "PageAdmin", "is_refresh", "may", "record", "tabs"]

#: The pages in the order of their tabs.
_TABS: Final = (Statistic, Ban, LiveSession, CodeCount, Token, Server)
#: Seconds after which a page that is looked at is brought up to date.
_REFRESH: Final = 5
_LONGEST: Final = 200
#: What the pages' own script sends when it brings a page up to date.
_SCRIPT: Final = "XMLHttpRequest"


class Page(Protocol):
    """What a page shows to this user, and does for them: a module."""

    def context(self, request: HttpRequest) -> dict[str, Any]:
        """What the template is given. Redis that is away is told in ``trouble``, and is no error."""

    def act(self, request: HttpRequest) -> None:
        """Do what the page's form asks for, if this user may; what came of it is told by Django's messages."""

    def detail(self, request: HttpRequest, key: str) -> dict[str, Any] | None:
        """What the template of one thing is given; None: there is no such thing."""


class PageAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # (at run time it takes none)
    """One page, and perhaps one for each thing on it: no rows, no forms of rows."""

    #: What is shown and done.
    page: Any
    #: Names of templates below redis_toolkit/dashboard/; that of a single thing, or None.
    template: ClassVar[str]
    detail_template: ClassVar[str | None] = None
    #: Whether what is shown is brought up to date while it is looked at.
    is_live: ClassVar[bool] = True

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 - Django's signature
        """There is nothing to fill in."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        """There is no form of a row."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        """There is no row."""
        return False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The page; POST does what its buttons say, and shows it again."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method == "POST":
            self.page.act(request)
            return redirect(request.get_full_path())
        title = capfirst(str(self.opts.verbose_name_plural))
        return self._shown(request, self.template, title, self.page.context(request), extra_context)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",  # noqa: ARG002 - Django's signature
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The page of one thing. What the admin's log says of a thing leads here; without such a page, to the other."""
        if object_id is None or not self.has_view_permission(request):
            raise PermissionDenied
        if self.detail_template is None:
            return redirect(self._address())
        key = unquote(object_id)
        if request.method == "POST":
            self.page.act(request)
            return redirect(request.get_full_path())
        found = self.page.detail(request, key)
        if found is None:
            raise Http404(_("There is nothing here of this name."))
        return self._shown(request, self.detail_template, key, {"parent": self._address(), **found}, extra_context)

    def delete_view(self, *_: Any, **__: Any) -> HttpResponse:
        """There are no rows."""
        raise PermissionDenied

    def history_view(self, *_: Any, **__: Any) -> HttpResponse:
        """What was done stands in the admin's log alone: there are no rows that it could be a history of."""
        raise PermissionDenied

    def _address(self) -> str:
        return reverse(
            f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist", current_app=self.admin_site.name
        )

    def _shown(
        self, request: HttpRequest, template: str, title: str, found: dict[str, Any], extra: dict[str, Any] | None
    ) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": title,
            "opts": self.opts,
            "tabs": tabs(self.admin_site, self.model, request),
            "refresh": _REFRESH if self.is_live else None,
            **found,
            **(extra or {}),
        }
        return TemplateResponse(request, f"redis_toolkit/dashboard/{template}", context)


def tabs(site: admin.AdminSite, current: type[Model], request: HttpRequest) -> list[tuple[str, str, bool]]:
    """Address and title of each page in ``site`` that this user may see; whether it is the ``current`` one."""
    found = []
    for model in _TABS:
        # (A project may have taken a page out of its admin.)
        if not site.is_registered(model) or not site.get_model_admin(model).has_view_permission(request):
            continue
        try:
            address = reverse(
                f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist", current_app=site.name
            )
        except NoReverseMatch:
            continue
        found.append((address, capfirst(str(model._meta.verbose_name_plural)), model is current))
    return found


def may(request: HttpRequest, what: str, model: type[Model]) -> bool:
    """Whether this user has the permission: ``"view"``, ``"add"``, ``"change"`` or ``"delete"``."""
    return bool(request.user.has_perm(f"{model._meta.app_label}.{get_permission_codename(what, model._meta)}"))


def is_refresh(request: HttpRequest) -> bool:
    """Whether the page's own script asks, which takes the parts that are live and no others."""
    return request.headers.get("X-Requested-With") == _SCRIPT


def record(request: HttpRequest, model: type[Model], key: str, about: str, done: str) -> None:
    """Write into the admin's log what was ``done``, about what, by whom."""
    of = ContentType.objects.get_for_model(model, for_concrete_model=False)
    LogEntry.objects.create(
        user_id=str(request.user.pk), content_type_id=of.pk, object_id=key,
        object_repr=about[:_LONGEST], action_flag=CHANGE, change_message=done,
    )  # fmt: skip
