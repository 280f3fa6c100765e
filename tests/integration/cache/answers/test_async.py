"""The forms for asynchronous callers."""

from __future__ import annotations

import asyncio

import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from django.db.models import Count, Max

from tests.app.models import Badge, Cafe
from tests.portraits import outcome, same


async def rows(queryset):
    """What ``async for`` gives."""
    return [row async for row in queryset]


ASKED = {
    "aget": lambda s: s.lessons.aget(pk=s.list[0].pk),
    "aget unique": lambda s: s.lessons.aget(slug="lesson-1"),
    "aget of a list": lambda s: s.lessons.filter(weekday=1).aget(period=0),
    "aget of none": lambda s: s.lessons.aget(pk=10**6),
    "aget of many": lambda s: s.lessons.aget(weekday=1),
    "aget of a uuid": lambda s: s(Badge).aget(pk=s.badges[0].pk),
    "ain_bulk": lambda s: s.lessons.ain_bulk([s.list[0].pk, s.list[1].pk]),
    "ain_bulk by field": lambda s: s.lessons.ain_bulk(["lesson-1"], field_name="slug"),
    "acount": lambda s: s.lessons.filter(weekday=1).acount(),
    "aexists": lambda s: s.lessons.filter(weekday=99).aexists(),
    "aaggregate": lambda s: s.lessons.aaggregate(n=Count("pk"), top=Max("period")),
    "afirst": lambda s: s.lessons.order_by("-period").afirst(),
    "alast": lambda s: s.lessons.order_by("period").alast(),
    "aearliest": lambda s: s.lessons.aearliest("period"),
    "alatest": lambda s: s.lessons.alatest("period"),
    "acontains": lambda s: s.lessons.acontains(s.list[0]),
    "async for": lambda s: rows(s.lessons.filter(weekday=1).order_by("pk")),
    "async for values": lambda s: rows(s.lessons.order_by("pk").values_list("pk", flat=True)),
    "async for joined": lambda s: rows(s(Cafe).select_related("place_ptr").order_by("pk")),
    "async for fetched beside": lambda s: rows(s.lessons.prefetch_related("students", "room").order_by("pk")),
    "async for a slice": lambda s: rows(s.lessons.order_by("pk")[2:4]),
}


async def closed(asked):
    """What ``asked`` gives; the connections of the loop's own thread are closed behind it."""
    try:
        return await asked
    finally:
        await sync_to_async(connections.close_all)()


@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
def test_asynchronous_forms(school, cost, ask):
    """Each asynchronous form answers as Django's, on the miss and on the hit."""
    ours = school.as_cached()

    def asked(side):
        return asyncio.run(closed(ask(side)))

    wanted = outcome(asked, school)
    for ends in ({"miss", "hit"}, {"hit"}):
        with cost() as it:
            assert same(wanted, found := outcome(asked, ours)), (wanted, found)
        assert it.outcomes
        assert {end for _, end in it.outcomes} <= ends
