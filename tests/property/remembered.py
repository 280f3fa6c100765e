"""Functions, a part of a template and a view that are remembered: questions as any other, on the default database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from asgiref.sync import async_to_sync
from django.db.models import Model
from django.http import HttpRequest, JsonResponse
from django.template import Context, Engine
from django.test import RequestFactory

from redis_toolkit.cache import cached, cached_view
from tests.app import models as m
from tests.battery import Ask

__all__ = ["remembered"]

_ENGINE: Final = Engine(libraries={"redis_toolkit": "redis_toolkit.templatetags.redis_toolkit"})
_SOURCE: Final = (
    "{% load redis_toolkit %}"
    '{% cached 600 pets "all" depends_on="app.Pet,app.Owner" %}'
    "{% for pet in pets.all %}{{ pet.pk }}{{ pet.label }}{{ pet.owner.label }};{% endfor %}"
    "{% endcached %}"
)


@cached(depends_on=[m.Owner, "app.Pet"])
def _kept() -> list[tuple[Any, ...]]:
    return list(m.Pet.objects.order_by("pk").values_list("pk", "label", "keeper__label"))


@cached(depends_on=["app.Membership", m.Team])
async def _roles(member: int) -> list[Any]:
    found = m.Membership.objects.filter(member=member).order_by("pk")
    return [row async for row in found.values_list("role", "team__label")]


@cached_view(depends_on=[m.Line, "app.Stop"])
def _stops(request: HttpRequest, name: str) -> JsonResponse:
    return JsonResponse({"stops": list(m.Stop.objects.filter(line__name=name).order_by("pk").values())})


def _shown(_: Any) -> str:
    template = _ENGINE.from_string(_SOURCE)
    return str(template.render(Context({"pets": m.Pet.objects.select_related("owner").order_by("pk")})))


def _served(_: Any) -> bytes:
    return bytes(_stops(RequestFactory().get("/"), "U1").content)


def remembered(alias: str) -> Iterator[tuple[str, type[Model], Ask]]:
    """(name, model, question): the manager is not asked, for what is remembered is of the database that writes go to."""
    if alias == "default":
        yield "function", m.Pet, lambda _: [list(row) for row in _kept()]
        yield "awaited function", m.Membership, lambda _: [list(row) for row in async_to_sync(_roles)(1)]
        yield "fragment", m.Pet, _shown
        yield "view", m.Line, _served
