"""The pages where an alias of CACHES cannot be used: each is there and says so, as where its server is away."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

pytestmark = pytest.mark.django_db(databases="__all__")

#: What is wrong with it, and what is said of that.
FAULTS = {
    "redis://:sec/ret@127.0.0.1/0": "is no address",
    "redis://127.0.0.1:1/0?no_such_thing=ret": "have what no connection takes",
    "": "is not a django-redis cache",
}
PERMISSIONS = ("view_statistic", "view_ban", "view_livesession", "view_codecount", "view_server", "view_token")


@pytest.mark.usefixtures("redis_url")
@pytest.mark.parametrize("location", FAULTS, ids=["address", "options", "backend"])
@pytest.mark.parametrize("role", ["", "STATS", "THROTTLE"])
def test_each_page_is_there(desk: Client, permit: Callable[..., None], settings: Any, location: str, role: str) -> None:
    """Whatever the alias is for: seven pages, all of which say what is the matter but those that do not ask there."""
    permit(*PERMISSIONS)
    cache = {**settings.CACHES["default"], "LOCATION": location}
    if not location:
        cache = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
    settings.CACHES = {**settings.CACHES, "faulty" if role else "default": cache}
    settings.REDIS_TOOLKIT_STATS = True
    if role:
        setattr(settings, f"REDIS_TOOLKIT_{role}_ALIAS", "faulty")
    pages = ("statistic", "statistic/app.Page/change", "ban", "livesession", "codecount", "token", "server")
    texts = {}
    for page in pages:
        response = desk.get(f"/admin/redis_toolkit/{page}/")
        assert response.status_code == 200, page
        texts[page] = response.content.decode()
    silent = {page for page, text in texts.items() if FAULTS[location] not in text}
    # (Sessions are in the database here. Whoever may see the servers is told by the cache's page, too.)
    assert silent - {"livesession"} == (
        {"statistic/app.Page/change", "codecount", "token"} if role == "THROTTLE" else set()
    )
    assert not any("ret@" in text or "=ret" in text for text in texts.values())


def test_who_has_no_page_is_told_nothing(staff: User, desk: Client, settings: Any) -> None:
    """Without a permission it is a 403 all the same."""
    settings.CACHES = {**settings.CACHES, "default": {**settings.CACHES["default"], "LOCATION": "redis://:a/b@h"}}
    assert staff.is_staff
    assert desk.get("/admin/redis_toolkit/statistic/").status_code == 403
