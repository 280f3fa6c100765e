"""What users may rely on when they type-check. Read by mypy, never run."""

from __future__ import annotations

import datetime
from typing import Any, assert_type

from redis_toolkit.cache import (
    CachedPages,
    CachedQuerySet,
    CacheManager,
    Page,
    aprefetch_cached,
    cached,
    invalidate,
    prefetch_cached,
)
from redis_toolkit.exceptions import BadCursor, BreakerOpen, RedisToolkitError, StoreUnavailable
from redis_toolkit.testing import PostgresServer, ValkeyServer, embedded_valkey
from tests.app.models import Badge, Place


def a_manager_gives_what_its_model_is() -> None:
    assert_type(Badge.cached.get(label="x"), Badge)
    assert_type(Badge.cached.first(), Badge | None)
    assert_type(Badge.cached.in_bulk([1, 2]), dict[Any, Badge])
    assert_type(Badge.cached.filter(label="x").order_by("label")[0], Badge)
    assert_type([badge.label for badge in Badge.cached.all()], list[str])
    assert_type(Badge.cached.filter(label="x").count(), int)
    assert_type(Badge.cached.filter(label="x").exists(), bool)


async def so_do_the_asynchronous_forms() -> None:
    assert_type(await Badge.cached.aget(label="x"), Badge)
    assert_type(await Badge.cached.filter(label="x").acount(), int)


def a_query_chains_as_a_cached_query() -> None:
    query = Badge.cached.filter(label="x").exclude(label="y").select_related("owner")
    assert_type(query, CachedQuerySet[Badge])
    assert_type(query.cache(ttl=datetime.timedelta(minutes=1)), CachedQuerySet[Badge])
    assert_type(query.cache(ttl=60).nocache().refresh().get(), Badge)
    assert_type(Badge.cached.nocache().get(label="x"), Badge)


def a_manager_takes_fields_and_tuples_of_fields() -> None:
    CacheManager[Badge](ttl=60, by=["label", ("label", "owner")])
    CacheManager[Badge](ttl=datetime.timedelta(hours=1))
    CacheManager[Badge](follow=True)
    CacheManager[Badge](follow=["owner"])
    CacheManager[Badge](by=[1])  # type: ignore[list-item]
    CacheManager[Badge](ttl="an hour")  # type: ignore[arg-type]


def pages_hold_rows_of_their_model() -> None:
    pages = CachedPages(Badge.cached.filter(label="x").order_by("label"), size=20)
    assert_type(pages, CachedPages[Badge])
    assert_type(CachedPages(Badge.cached), CachedPages[Badge])
    page = pages.page(after="cursor")
    assert_type(page, Page[Badge])
    assert_type(page.rows, tuple[Badge, ...])
    assert_type(page.next, str | None)
    assert_type([badge.label for badge in pages], list[str])
    assert_type(next(pages.walk()), Badge)
    page.next = None  # type: ignore[misc]
    CachedPages(Badge.cached, size="many")  # type: ignore[arg-type]


async def so_do_asynchronous_pages(pages: CachedPages[Badge]) -> None:
    assert_type(await pages.apage(), Page[Badge])
    assert_type([badge async for badge in pages], list[Badge])
    await aprefetch_cached((await pages.apage()).rows, "owner")


def relations_are_named(badges: list[Badge]) -> None:
    prefetch_cached(badges, "owner")
    prefetch_cached(CachedPages(Badge.cached).page().rows, "owner__author")
    prefetch_cached(badges, 1)  # type: ignore[arg-type]


def a_cursor_error_is_a_value_error(error: BadCursor) -> ValueError:
    return error


@cached(depends_on=[Place], ttl=60)
def names(prefix: str, *, most: int = 10) -> list[str]:
    return [place.name for place in Place.objects.filter(name__startswith=prefix)[:most]]


def a_cached_function_keeps_its_signature() -> None:
    assert_type(names("x", most=3), list[str])
    names(3)  # type: ignore[arg-type]


def invalidate_takes_a_model_or_an_instance(place: Place) -> None:
    invalidate(Place)
    assert_type(invalidate(place), bool)
    invalidate(Place, pk=7, using="default")
    invalidate("app.Place")  # type: ignore[arg-type]


def errors_have_one_root(error: BreakerOpen) -> RedisToolkitError:
    unavailable: StoreUnavailable = error
    return unavailable


def servers_say_where_they_are() -> None:
    with ValkeyServer(tcp=True) as server, PostgresServer() as database, embedded_valkey() as embedded:
        assert_type(server, ValkeyServer)
        assert_type(server.url, str)
        assert_type(database.django_settings(), dict[str, object])
        assert_type(embedded.url, str)
