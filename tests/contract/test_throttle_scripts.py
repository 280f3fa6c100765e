"""The scripts of throttles do what the algorithms in Python do, and what is documented of all that these do not do."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
import redis
from hypothesis import example, given, settings
from hypothesis import strategies as st

from redis_toolkit.throttling import Ban, Rate
from redis_toolkit.throttling.algorithms import check
from tests.contract.throttle_worlds import KEPT, KINDS, START, UNSAID, Entry, Server, Twin

SECOND = 1_000_000
DAY = 86_400 * SECOND
#: Where windows begin, of 2**32. (Of whole 2**16th parts: so that the place is exact in a double for the longest period.)
SHARES = st.integers(0, 2**16 - 1).map(lambda part: part << 16)
#: Moments that are decided by a microsecond: when what was denied is allowed, and the microsecond before.
AS_TOLD, TOO_SOON = "as told", "too soon"


@pytest.fixture
def scripts(redis_client: redis.Redis) -> Server:
    return Server(redis_client)


@st.composite
def some_rates(draw: Any, kind: str, periods: Any, most: int) -> Rate:
    """A rate of that kind of algorithm."""
    period = draw(periods)
    # (Limit times period in milliseconds is exact in a double; a log is short.)
    limit = draw(
        st.integers(
            1, min(most, 2**52 // (period // 1000)) if kind == "c" else min(most, 1000) if kind == "l" else most
        )
    )
    return Rate(limit, period, draw(st.none() | st.integers(1, limit)) if kind == "g" else None)


@st.composite
def histories(draw: Any, kind: str) -> tuple[Rate, int, list[tuple[Any, int]]]:
    """A rate, where its windows begin, and pairs of microseconds that pass and what is asked then."""
    small = some_rates(kind, st.sampled_from([SECOND, 61_007_000, DAY]), 12)
    large = some_rates(kind, st.integers(1, 366 * 86_400_000).map(lambda milliseconds: milliseconds * 1000), 1_000_000)
    rate = draw(small | large)
    passes = st.one_of(
        st.integers(0, rate.period // rate.limit * 2),
        st.integers(0, 3 * rate.period),
        st.sampled_from([0, 1, 999, 1000, rate.period]),
        st.sampled_from([AS_TOLD, TOO_SOON]),
    )
    costs = st.integers(0, rate.limit + 1) | st.sampled_from([0, 1, rate.most_at_once, rate.limit + 1])
    return rate, draw(SHARES), draw(st.lists(st.tuples(passes, costs), max_size=25))


@pytest.mark.parametrize("kind", KINDS)
def test_the_script_is_the_algorithm(kind: str, scripts: Server) -> None:
    """Every number of every answer is the same, for limits up to a million and periods up to a year."""
    seen: Counter[str] = Counter()

    @settings(max_examples=4 * settings().max_examples)
    @given(histories(kind))
    def compared(history: tuple[Rate, int, list[tuple[Any, int]]]) -> None:
        rate, share, steps = history
        scripts.forget()
        now, state, retry = START, None, 0
        for passes, cost in steps:
            now += _moved(passes, retry)
            # (A log of a thousand units, a unit at a time, would be most of the run.)
            much = min(cost, 50) if kind == "l" else cost
            verdict = check(kind, rate, state, now, much, share)
            state, retry = verdict.state, verdict.retry
            answer = scripts.check(now, share, [Entry(kind, rate=rate, cost=much)])
            assert answer == [int(verdict.allowed), verdict.remain, verdict.retry, verdict.reset]
            seen[f"{verdict.allowed} {'now' if verdict.retry == 0 else 'later' if verdict.retry > 0 else 'never'}"] += 1

    compared()
    # It was not vacuous.
    assert min(seen[each] for each in ("True now", "False later", "False never")) >= 5, seen


def _moved(passes: Any, retry: int) -> int:
    """The microseconds that pass: ``AS_TOLD`` and ``TOO_SOON`` go by the last denial."""
    moved: int = {AS_TOLD: max(0, retry), TOO_SOON: max(0, retry - 1)}.get(passes, passes)
    return moved


BANS = st.builds(
    Ban,
    strikes=st.integers(1, 3),
    within=st.sampled_from([1, 60, 90_000]),
    length=st.sampled_from([0.5, 30, 3600]),
    longest=st.sampled_from([3600, 10_000]),
    memory=st.sampled_from([1, 60, 90_000]),
)


@st.composite
def rules(draw: Any) -> list[Entry]:
    """The entries of up to three rules of one identity, each with one rate or two, and perhaps a ban."""
    entries = []
    for rule in range(draw(st.integers(1, 3))):
        kind, shadow = draw(st.sampled_from(KINDS)), draw(st.booleans())
        words = {"rule": rule, "shadow": shadow, "punitive": draw(st.booleans())}
        for period in draw(st.lists(st.sampled_from([SECOND, 61_007_000, DAY]), min_size=1, max_size=2, unique=True)):
            limit = draw(st.integers(0, 5))
            burst = draw(st.none() | st.integers(1, max(1, limit))) if kind == "g" else None
            entries.append(Entry(kind, rate=Rate(limit, period, burst), **words))
        if draw(st.booleans()):
            entries.append(Entry("b", rule=rule, shadow=shadow, ban=draw(BANS)))
    return entries


PASSES = st.one_of(
    st.sampled_from([0, 1, 1000, SECOND, 61_007_000, DAY, AS_TOLD, TOO_SOON]),
    st.integers(0, 2 * SECOND), st.integers(0, 130 * SECOND), st.integers(0, 3 * DAY),
)  # fmt: skip
#: What is done, how much is asked of each rule, and a limit that is another from now on.
DEEDS = st.sampled_from(["hit"] * 6 + ["look", "refund", "refund", "change"])
STEPS = st.lists(st.tuples(PASSES, DEEDS, st.lists(st.integers(0, 6), min_size=3, max_size=3)), max_size=20)


#: Two units, a limit of one, and a look that costs nothing: it is denied, and charged what it does not cost.
LOWERED = [(0, "hit", [2, 0, 0]), (0, "change", [1, 0, 0]), (0, "hit", [0, 0, 0])]


def _live(scripts: Server, entries: list[Entry], share: int, steps: list[Any]) -> list[str]:
    """Take the steps on the server and on its twin; what happened."""
    scripts.forget()
    twin, now, retry, seen = Twin(), START, 0, []
    for passes, deed, numbers in steps:
        # (No two calls are within one microsecond: a script takes several.)
        now += max(1, _moved(passes, retry))
        if deed == "change":
            entries = [_changed(entry, numbers[entry.rule]) for entry in entries]
            continue
        asked = [replace(entry, cost=numbers[entry.rule]) for entry in entries]
        if deed == "refund":
            asked = [entry for entry in asked if entry.kind != "b"]
            given_back = scripts.refund(now, share, asked)
            assert given_back == twin.refund(now, share, asked)
            seen += ["given back"] * given_back
        else:
            charges = deed in {"hit", "hit by GCRA alone"}
            if deed.endswith("by GCRA alone"):
                answer = scripts.check_gcra(now, asked, charges=charges)
            else:
                answer = scripts.check(now, share, asked, charges=charges)
            expected = twin.check(now, share, asked, charges=charges)
            assert [
                said if wanted is UNSAID else wanted for said, wanted in zip(answer, expected, strict=True)
            ] == answer
            retry = max(answer[2::4])
            seen += _happened(asked, answer, twin.lives)
        _live_as_long_as_needed(scripts.lives, twin.lives)
    return seen


def _moments(ban: Ban) -> Any:
    """What passes when it is about a ban: nearly, just or a little more than each of its lengths."""
    _, within, length, longest, memory = ban.arguments
    exactly = [within, length, 2 * length, longest, memory, longest + memory]
    return st.sampled_from([1, AS_TOLD, TOO_SOON, *(each + more for each in exactly for more in (-1, 0, 1))])


@st.composite
def sentences(draw: Any) -> tuple[list[Entry], list[Any]]:
    """Somebody who is denied whenever it asks, a ban, and when it asks."""
    ban = draw(BANS)
    passes = st.lists(_moments(ban).map(lambda each: (each, "hit", [1])), min_size=3, max_size=20)
    return [Entry("g", rate=Rate(0, SECOND)), Entry("b", ban=ban)], draw(passes)


def test_bans_are_what_is_documented(scripts: Server) -> None:
    """When strikes and bans are forgotten, how long a ban is and the next one, to the microsecond."""
    seen: Counter[str] = Counter()

    @settings(max_examples=4 * settings().max_examples)
    @given(sentences())
    def compared(sentence: tuple[list[Entry], list[Any]]) -> None:
        entries, steps = sentence
        seen.update(_live(scripts, entries, 0, steps))

    compared()
    assert min(seen["ban begins"], seen["banned"], seen["denied"]) >= 10, seen


@st.composite
def plain_rules(draw: Any) -> tuple[list[Entry], list[Any]]:
    """Up to three rates by GCRA and nothing else, small and large, asked by either script."""
    entries = []
    for rule in range(draw(st.integers(1, 3))):
        periods = st.sampled_from([SECOND, 61_007_000]) | st.integers(1, 366 * 86_400_000).map(lambda each: each * 1000)
        entries.append(Entry("g", rule, draw(some_rates("g", periods, draw(st.sampled_from([5, 1_000_000]))))))
    deeds = st.sampled_from(["hit", "hit by GCRA alone", "hit by GCRA alone", "look by GCRA alone", "refund", "refund"])
    costs = st.integers(0, 6) | st.integers(0, 2_000_000)
    steps = st.tuples(PASSES, deeds, st.lists(costs, min_size=3, max_size=3))
    return entries, draw(st.lists(steps, max_size=20))


def test_the_script_for_gcra_alone_says_the_same(scripts: Server) -> None:
    """In the middle of what the other one writes, and the other way round."""
    seen: Counter[str] = Counter()

    @settings(max_examples=4 * settings().max_examples)
    @given(plain_rules())
    def compared(plain: tuple[list[Entry], list[Any]]) -> None:
        entries, steps = plain
        seen.update(_live(scripts, entries, 0, steps))

    compared()
    assert min(seen[each] for each in ("allowed", "denied", "hindered", "given back")) >= 3, seen


@st.composite
def changes_of_mind(draw: Any, kind: str) -> tuple[list[Entry], list[Any]]:
    """Two rates that somebody uses and gives back, a little or all, soon or in the next window."""
    entries = [Entry(kind, rate=Rate(draw(st.integers(1, 7)), period)) for period in (SECOND, 61_007_000)]
    passes = st.sampled_from([1, 1000, SECOND // 7, SECOND // 2, SECOND, 30 * SECOND, 61_007_000, AS_TOLD, TOO_SOON])
    steps = st.tuples(
        passes, st.sampled_from(["hit", "hit", "refund"]), st.lists(st.integers(0, 7), min_size=1, max_size=1)
    )
    return entries, draw(st.lists(steps, min_size=5, max_size=20))


@pytest.mark.parametrize("kind", KINDS)
def test_refunds_are_what_is_documented(kind: str, scripts: Server) -> None:
    """What is given back may be used again, to the microsecond, and more than was used is not given back."""
    seen: Counter[str] = Counter()

    @settings(max_examples=2 * settings().max_examples)
    @given(changes_of_mind(kind), SHARES)
    def compared(change: tuple[list[Entry], list[Any]], share: int) -> None:
        entries, steps = change
        seen.update(_live(scripts, entries, share, steps))

    compared()
    assert min(seen["given back"], seen["allowed"], seen["denied"]) >= 10, seen


def _live_as_long_as_needed(lives: dict[str, int], needed: dict[str, int]) -> None:
    for key, life in lives.items():
        # What was not written has neither another value nor another life.
        least, most = (needed[key] - 1000, needed[key] + 1) if key in needed else (KEPT - 60_000, KEPT + 1)
        assert least <= life <= most, (key, life, needed.get(key))
    assert needed.keys() <= lives.keys()


def _changed(entry: Entry, limit: int) -> Entry:
    return replace(entry, rate=Rate(limit, entry.rate.period))


def _happened(asked: list[Entry], answer: list[int], written: dict[str, int]) -> list[str]:
    words = {(0, True): "banned", (2, True): "ban begins", (0, False): "denied", (1, False): "allowed"}
    found = [words.get((said, entry.kind == "b"), "") for entry, said in zip(asked, answer[::4], strict=True)]
    is_written = [entry.key in written for entry in asked]
    found += ["punished" for word, wrote in zip(found, is_written, strict=True) if word == "denied" and wrote]
    return found + [
        "hindered" for word, wrote in zip(found, is_written, strict=False) if word == "allowed" and not wrote
    ]


def test_rules_are_what_is_documented(scripts: Server) -> None:
    """Several rates and rules, costs, refunds, punishment, bans, shadows, looks and changed limits, in any order."""
    seen: Counter[str] = Counter()

    @settings(max_examples=10 * settings().max_examples)
    @given(rules(), SHARES, STEPS)
    @example([Entry("l", rate=Rate(5, SECOND), punitive=True)], 0, LOWERED)
    def compared(entries: list[Entry], share: int, steps: list[Any]) -> None:
        seen.update(_live(scripts, entries, share, steps))

    compared()
    happened = ("allowed", "denied", "hindered", "punished", "given back", "ban begins", "banned")
    assert min(seen[each] for each in happened) >= 10, seen
