"""The machine: steps of every kind, in any order, and after each the whole battery asked of cache and database."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from django.db import DatabaseError, connections
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from redis_toolkit.cache import draining
from redis_toolkit.conf import settings
from redis_toolkit.core.connections import link
from redis_toolkit.exceptions import StoreUnavailable
from redis_toolkit.models import Outbox
from tests.app.models import Badge, Lesson, Place
from tests.battery import Universe
from tests.property import families, lessons, relations, statements
from tests.property.blocks import BLOCKS, Block, is_broken, kinds_within
from tests.property.inventory import Answers, Asked, all_questions, answers, answers_told, differences, truth
from tests.property.trouble import LOSSES, TROUBLES, Bench
from tests.property.world import MADE_UP, REFUSALS, WRITES, World, clear

__all__ = ["ALIASES", "CacheMachine"]

ALIASES = ("default", "postgres")
#: Whose importing fills the register of writes.
FULL = (families, lessons, relations, statements)
NUMBERS = st.integers(0, 11)
WRITTEN = st.lists(st.tuples(st.sampled_from(sorted(WRITES)), NUMBERS, NUMBERS, NUMBERS), min_size=1, max_size=3)
MODES: dict[str, Callable[[Any], Any]] = {
    "nocache": lambda manager: manager.nocache(),
    "refresh": lambda manager: manager.refresh(),
    "cache": lambda manager: manager.cache(ttl=60),
}


class CacheMachine(RuleBasedStateMachine):
    """One connection to a database, that writes and reads."""

    def __init__(self, alias: str, bench: Bench, share: int = 1) -> None:
        super().__init__()
        #: Which part of the battery is asked: of the whole, one in so many after each step.
        self.share, self.turn = share, 0
        self.alias = alias
        self.bench = bench
        self.world = World(alias)
        self.elsewhere: World | None = None
        self.blocks: list[Block] = []
        self.seen: set[int] = set()
        self.do(lambda: self._begin_anew(self.world))
        bench.reset()

    def _begin_anew(self, world: World) -> None:
        clear(world)
        Outbox.objects.using(world.alias).all()._raw_delete(world.alias)

    def do(self, act: Callable[[], Any]) -> Any:
        """Act on the connection that writes."""
        return act()

    def note(self, *names: str) -> None:
        """Count what was done."""
        self.bench.done.update(names)

    # Writing

    @rule(writes=WRITTEN)
    def write(self, writes: list[tuple[str, int, int, int]]) -> None:
        """A few writes, one after the other."""
        self.note("write")
        for name, one, two, three in writes:
            self.note(name)
            self.do(lambda name=name, numbers=(one, two, three): self._attempt(name, *numbers))

    def _attempt(self, name: str, *numbers: int) -> bool:
        """Whether it went well. What fails ends the innermost block, and what is broken with it."""
        try:
            WRITES[name](self.world, *numbers)
        except REFUSALS:
            if self.blocks:
                self.blocks.pop().undo()
            while self.blocks and is_broken(self.alias):
                self.blocks.pop().undo()
            return False
        return True

    @rule(name=st.sampled_from(sorted(WRITES)), one=NUMBERS, two=NUMBERS, three=NUMBERS)
    def write_elsewhere(self, name: str, one: int, two: int, three: int) -> None:
        """A write to the other database: both are asked, and neither answers for the other."""
        self.note("write_elsewhere")
        if self.elsewhere is None:
            self.elsewhere = World(ALIASES[1 - ALIASES.index(self.alias)])
            self._begin_anew(self.elsewhere)
        with suppress(*REFUSALS):
            WRITES[name](self.elsewhere, one, two, three)
        asked = all_questions(self.universe(self.elsewhere), self.elsewhere)
        self.compare(asked, self.elsewhere.alias)

    # Transactions

    @precondition(lambda self: len(self.blocks) < 3)
    @rule(kind=st.sampled_from(sorted(BLOCKS)))
    def begin(self, kind: str) -> None:
        """Open a transaction, or a savepoint in it."""
        allowed = kinds_within(self.blocks)
        if kind not in allowed:
            kind = allowed[0]
        self.note("begin", f"block {kind}")
        self.blocks.append(self.do(lambda: BLOCKS[kind](self.alias)))

    @precondition(lambda self: self.blocks)
    @rule()
    def commit(self) -> None:
        """Commit or release the innermost block; what a deferred constraint forbids is rolled back."""
        self.note("commit")
        block = self.blocks.pop()
        with suppress(DatabaseError):
            self.do(block.keep)

    @precondition(lambda self: self.blocks)
    @rule()
    def roll_back(self) -> None:
        """Roll the innermost block back, and what cannot go on without it."""
        self.note("roll_back")
        self.do(self.blocks.pop().undo)
        while self.blocks and self.do(lambda: is_broken(self.alias)):
            self.do(self.blocks.pop().undo)

    # Redis

    @rule(what=st.sampled_from(LOSSES), share=st.sampled_from([1, 2, 3]))
    def lose(self, what: str, share: int) -> None:
        """Redis loses all or some of its keys."""
        self.note("lose", f"lose {what}")
        self.bench.lose(what, share)

    @rule(trouble=st.sampled_from(TROUBLES))
    def get_into_trouble(self, trouble: str) -> None:
        """Redis is away, or seems to be."""
        self.note("get_into_trouble", f"trouble {trouble}")
        self.bench.begin(trouble)

    @precondition(lambda self: self.bench.trouble)
    @rule()
    def get_out_of_trouble(self) -> None:
        """Redis is back."""
        self.note("get_out_of_trouble")
        self.bench.mend()

    @rule()
    def save_file(self) -> None:
        """Redis writes the file from which it may once begin again."""
        self.note("save_file")
        self.bench.save()

    @rule()
    def drain(self) -> None:
        """What ``redis_drain`` does, if there is a Redis."""
        self.note("drain")
        with suppress(StoreUnavailable):
            self.do(lambda: draining.drain(self.alias, link()))

    # Reading

    @rule(on=st.booleans())
    def switch(self, on: bool) -> None:
        """Turn cached reads off and on, as ``REDIS_TOOLKIT_ENABLED`` does."""
        self.note("switch")
        self.bench.put("ENABLED", on)

    @rule(mode=st.sampled_from(sorted(MODES)))
    def ask_otherwise(self, mode: str) -> None:
        """Ask with ``nocache()``, ``refresh()`` or ``cache(ttl)``."""
        self.note("ask_otherwise", f"mode {mode}")
        asked = self.asked()
        wrong = differences(asked, answers(asked, self.alias, MODES[mode]), truth(asked, self.alias))
        assert wrong == [], wrong

    @property
    def is_calm(self) -> bool:
        """Whether nothing keeps an answer from being stored, so that the second time it must be a hit."""
        return not self.blocks and self.bench.trouble is None and settings.ENABLED

    def check_invariants(self, *args: Any, **kwargs: Any) -> None:
        """After each step: what the cache says is what the database says, on each connection."""
        super().check_invariants(*args, **kwargs)
        self.check()

    def check(self) -> None:
        """Ask twice of the cache, first perhaps a miss, then a hit; and of the database."""
        self.compare(self.asked(), self.alias)

    def asked(self) -> list[Asked]:
        """What is asked after this step."""
        self.turn += 1
        return all_questions(self.universe(self.world), self.world)[self.turn % self.share :: self.share]

    def compare(self, asked: list[Asked], alias: str) -> Answers:
        """Ask the cache, then again what was a miss, then the database. Returns what is true."""
        once, told = answers_told(asked, alias)
        again = [at for at, ends in enumerate(told) if "miss" in ends]
        twice, retold = answers_told([asked[at] for at in again], alias)
        true = truth(asked, alias)
        wrong = differences(asked, once, true)
        wrong += differences([asked[at] for at in again], twice, [true[at] for at in again])
        assert wrong == [], wrong
        self.bench.reads.update("hit" if ends == {"hit"} else "other" for ends in told + retold)
        if self.is_calm:
            uncached = [name for (name, _, _), ends in zip(asked, told, strict=True) if not ends <= {"hit", "miss"}]
            uncached += [asked[at][0] for at, ends in zip(again, retold, strict=True) if ends != {"hit"}]
            assert uncached == [], uncached
        return true

    def universe(self, world: World) -> Universe:
        """The keys to ask for; of each kind one that is not there."""

        def keys(model: Any) -> tuple[Any, ...]:
            return tuple(world.rows(model).order_by("pk").values_list("pk", flat=True))

        self.seen.update(key for key in keys(Lesson) if key < MADE_UP)
        some = (*sorted(self.seen)[-6:], max(self.seen, default=0) + 1, MADE_UP, MADE_UP + 1)
        return Universe(some, (1, 2, 99), (1, 2), (1, 2), (1, 2), (*keys(Place)[-4:], MADE_UP), keys(Badge))

    def teardown(self) -> None:
        while self.blocks:
            self.roll_back()
        self.bench.mend()
        self.bench.put("ENABLED", True)
        self.do(connections.close_all)
