"""A site with the toolbar. Run as a program it is visited, and what its panels show is printed as JSON."""

from __future__ import annotations

import asyncio
import html
import json
import re
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import django
from django.apps import apps
from django.db import connections
from django.http import HttpRequest, HttpResponse
from django.urls import include, path

if not apps.ready:
    django.setup()

from django.test import AsyncClient, Client
from django.test.utils import setup_test_environment

from redis_toolkit.throttling import throttle
from tests.app.models import Lesson

PANEL = "RedisToolkitCachePanel"
PAGE = "<html><body>x</body></html>"
both = threading.Barrier(2)


@throttle("1000/d", key="ip", name="visits")
def one_of_each(_request: HttpRequest, key: int) -> HttpResponse:
    """A miss, a hit, a miss after a write, and a bypass."""
    Lesson.cached.get(pk=key)
    Lesson.cached.get(pk=key)
    Lesson.objects.filter(pk=key).update(period=50)
    Lesson.cached.get(pk=key)
    list(Lesson.cached.filter(pk=key).order_by("?"))
    list(Lesson.cached.filter(period=50))
    return HttpResponse(PAGE)


def together(_request: HttpRequest, key: int) -> HttpResponse:
    """Two reads, between which another request makes its first."""
    Lesson.cached.get(pk=key)
    both.wait(20)
    Lesson.cached.get(pk=key)
    return HttpResponse(PAGE)


async def awaited(_request: HttpRequest, key: int) -> HttpResponse:
    """The same in a coroutine."""
    await Lesson.cached.aget(pk=key)
    await asyncio.sleep(0)
    await Lesson.cached.aget(pk=key)
    return HttpResponse(PAGE)


urlpatterns = [
    path("each/<int:key>/", one_of_each),
    path("together/<int:key>/", together),
    path("awaited/<int:key>/", awaited),
    path("__debug__/", include("debug_toolbar.urls")),
]


def panel_of(page: str) -> str:
    """What the toolbar in ``page`` fetches when its panel is opened."""
    found = re.search(r'data-(?P<name>request|store)-id="(?P<id>\w+)"', page)
    if found is None:
        raise AssertionError(page)
    asked = {f"{found['name']}_id": found["id"], "panel_id": PANEL}
    content: str = Client().get("/__debug__/render_panel/", asked).json()["content"]
    return content


def rows_of(page: str) -> list[list[str]]:
    """The cells of the panel's table of reads."""
    table = panel_of(page).partition("<h4>Reads</h4>")[2].partition("</table>")[0].partition("<tbody>")[2]
    return [
        [html.unescape(re.sub(r"<[^>]+>", "", cell)).strip() for cell in re.findall(r"<td>(.*?)</td>", row, re.DOTALL)]
        for row in re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)
    ]


def visit(address: str) -> str:
    """The page, with the toolbar in it."""
    try:
        return Client().get(address).content.decode()
    finally:
        connections.close_all()


async def visit_both(keys: list[int]) -> list[str]:
    """Two pages at a time."""
    found = await asyncio.gather(*(AsyncClient().get(f"/awaited/{key}/") for key in keys))
    return [each.content.decode() for each in found]


def main(keys: list[int]) -> dict[str, Any]:
    """What is shown of each kind of page. ``keys``: of three lessons."""
    setup_test_environment()
    page = visit(f"/each/{keys[0]}/")
    with ThreadPoolExecutor(2) as pool:
        pages = list(pool.map(visit, [f"/together/{key}/" for key in keys[1:]]))
    return {
        "page": page,
        "panel": panel_of(page),
        "rows": rows_of(page),
        "together": [rows_of(each) for each in pages],
        "awaited": [rows_of(each) for each in asyncio.run(visit_both(keys[1:]))],
    }


if __name__ == "__main__":
    # (Django finds the addresses in another copy of this module.)
    from tests.integration.contrib import toolbar_site

    sys.stdout.write(json.dumps(toolbar_site.main([int(key) for key in sys.argv[1:]])))
