"""The questions about everything but lessons, and how all are asked: of the cache twice, then of the database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from django.db.models import Count, Max, Model, Prefetch, QuerySet
from django.test import override_settings

from redis_toolkit.signals import cache_read
from tests.app import models as m
from tests.battery import Ask, Universe, attributes, followed, paged, plain, questions, row
from tests.property.world import MADE_UP, World

__all__ = ["Answers", "Asked", "all_questions", "answers", "answers_told", "differences", "truth"]

#: (name, model, question)
Asked = tuple[str, type[Model], Ask]
Answers = list[Any]


def every(**asked: Any) -> Ask:
    """The rows that fit, by key."""
    return lambda manager: list(manager.filter(**asked).order_by("pk"))


def _people() -> Iterator[Asked]:
    for key in (1, 2, MADE_UP):
        yield f"owner {key}", m.Owner, row(pk=key)
        yield f"pets of {key}", m.Pet, every(owner=key)
        yield f"teams of {key}", m.Membership, every(member=key)
    yield "kept by the first", m.Pet, every(keeper=1)
    yield "patients", m.Pet, every(vet=2)
    yield "pets and people", m.Pet, lambda p: list(p.order_by("pk").select_related("owner", "keeper", "vet", "guard"))
    yield "people of pets", m.Pet, lambda p: attributes(p.order_by("pk"), "owner", "keeper", "vet", "guard")
    yield "people of pets at once", m.Pet, lambda p: followed(p.order_by("pk"), "owner", "keeper", "vet", "guard")
    yield "pages of pets", m.Pet, lambda p: paged(p.order_by("-owner_id", "label"), "-owner_id", "label", "pk")
    yield "owners by label", m.Owner, every(label="b")
    yield "friends", m.Owner, lambda o: list(o.order_by("pk").prefetch_related("friends", "teams"))
    yield "members", m.Team, lambda t: list(t.filter(members=1).order_by("pk").values("pk", "memberships__role"))
    yield "sizes", m.Team, lambda t: list(t.annotate(n=Count("members")).order_by("pk"))


def _things(world: World) -> Iterator[Asked]:
    for tag in world.rows(m.Tag).order_by("-pk").values_list("pk", flat=True)[:2]:
        yield f"tag {tag}", m.Tag, row(pk=tag)
    yield "tags of the topics", m.Topic, lambda t: list(t.order_by("pk").prefetch_related("tags"))
    yield "tagged", m.Topic, lambda t: list(t.filter(tags__text="new").order_by("pk"))
    gold = Prefetch("badges", m.Badge.cached.db_manager(world.alias).order_by("label"))
    yield "albums", m.Album, lambda a: list(a.order_by("pk").prefetch_related(gold))
    yield "albums of gold", m.Album, lambda a: a.filter(badges__label="gold").count()
    for key in ((1, 1), (2, 3)):
        yield f"chair {key}", m.Chair, row(pk=key)
    yield "chairs of a hall", m.Chair, every(hall=1)
    yield "all chairs", m.Chair, lambda c: list(c.order_by("pk"))
    for ware in world.rows(m.Ware).order_by("pk").values_list("pk", flat=True)[:2]:
        yield f"ware {ware}", m.Ware, row(pk=ware)
    yield "wares in stock", m.Ware, every(stock=7)
    yield "loud wares", m.Ware, lambda w: w.filter(loud="WARE 1").count()
    if world.has(m.Tile):
        yield "tiles", m.Tile, lambda t: list(t.order_by("place", "pk"))


def _chains(alias: str) -> Iterator[Asked]:
    yield "freighters", m.Freighter, lambda f: list(f.order_by("pk"))
    yield "freighter", m.Freighter, row(pk=1)
    yield "lines by name", m.Line, every(name="U1")
    yield "tickets", m.Ticket, lambda t: list(t.order_by("pk").select_related("stop__line"))
    yield "stops of tickets", m.Ticket, lambda t: attributes(t.order_by("pk"), "stop")
    yield "lines of tickets", m.Ticket, lambda t: followed(t.order_by("pk"), "stop__line")
    yield "tickets to nowhere", m.Ticket, lambda t: t.filter(stop=None).count()
    yield "fruits", m.Fruit, every(basket=1)
    yield "seeds", m.Seed, lambda s: s.filter(fruit__basket=1).count()
    yield "author", m.Author, row(pk=2)
    yield "poems", m.Poem, lambda p: list(p.filter(author=1).order_by("pk").select_related("author__student"))
    yield "authors of poems", m.Poem, lambda p: attributes(p.order_by("pk"), "author", "cover")
    yield "people of poems", m.Poem, lambda p: followed(p.order_by("pk"), "author__student", "cover")
    yield "countries of cities", m.City, lambda c: attributes(c.order_by("pk"), "country")
    yield "countries at once", m.City, lambda c: followed(c.order_by("pk"), "country")
    yield "pages of cities", m.City, lambda c: paged(c.order_by("country_id", "-name"), "country_id", "-name", "-pk")
    yield "cities by code", m.City, every(country="a")
    yield "countries", m.Country, lambda c: list(c.order_by("pk").values_list("code", "name"))
    yield "leaves", m.Ledger, lambda rows: list(rows.filter(parent=1).order_by("pk"))
    yield "ledgers", m.Ledger, lambda rows: rows.aggregate(n=Count("children"), last=Max("name"))
    yield "early", m.EarlyLesson, lambda e: list(e.filter(period__lte=2).order_by("pk"))
    yield "early by key", m.EarlyLesson, row(slug="ada")


def all_questions(universe: Universe, world: World) -> list[Asked]:
    """The whole battery: lessons and what surrounds them, and everything else."""
    return [*questions(universe), *_people(), *_things(world), *_chains(world.alias)]


def answers(asked: Iterable[Asked], alias: str, mode: Callable[[Any], Any] = lambda manager: manager) -> Answers:
    """What the cache says; ``mode`` makes ``manager.refresh()``, for one, of a manager."""
    return [plain(ask(mode(model.cached.db_manager(alias)))) for _, model, ask in asked]  # type: ignore[attr-defined]


def answers_told(asked: Iterable[Asked], alias: str) -> tuple[Answers, list[set[str]]]:
    """What the cache says, and how the reads ended that each question took: "hit", "miss" or "bypass"."""
    found: Answers = []
    told: list[set[str]] = []

    def hear(outcome: str, **_: Any) -> None:
        told[-1].add(outcome)

    cache_read.connect(hear)
    try:
        for each in asked:
            told.append(set())
            found += answers([each], alias)
    finally:
        cache_read.disconnect(hear)
    return found, told


def truth(asked: Iterable[Asked], alias: str) -> Answers:
    """What the database says to this connection; nothing comes from the cache, related managers included."""
    with override_settings(REDIS_TOOLKIT_ENABLED=False):
        return [plain(ask(QuerySet(model=model, using=alias))) for _, model, ask in asked]


def differences(asked: Sequence[Asked], cached: Answers, true: Answers) -> list[str]:
    return [
        f"{name}: cached {found!r}, in the database {wanted!r}"
        for (name, _, _), found, wanted in zip(asked, cached, true, strict=True)
        if found != wanted
    ]
