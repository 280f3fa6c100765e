"""The storms by name: what happens, what defends, which figures count."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from demo_project.lab.outcomes import Outcome, Tell
from demo_project.lab.storms import absent_ids, hot_key, mass_expiry, outage

__all__ = ["STORMS", "Figure", "Storm"]


class Play(Protocol):
    def __call__(self, *, defended: bool, size: int, tell: Tell) -> Outcome: ...


@dataclass(frozen=True)
class Figure:
    """A number of the table: its name in the outcome, what it is called, its unit."""

    name: str
    label: str
    unit: str = ""


@dataclass(frozen=True)
class Storm:
    """`headline` is the figure that the defence is about; `caption` says what the drawing shows."""

    name: str
    title: str
    story: str
    defence: str
    setting: str
    caption: str
    play: Callable[..., Outcome]
    size: int
    headline: Figure
    figures: tuple[Figure, ...]


_ALL = (
    Storm(
        name="hot-key",
        title="Hot key",
        story=(
            "Two hundred readers, four processes of fifty threads, ask for the week of one room in the moment in which "
            "its answer expires. The database is made slow: it takes 50 ms for a question, answers eight at a time, "
            "and the first only when all have asked."
        ),
        defence="Single flight: one reader loads, the others wait for what it stores.",
        setting="REDIS_TOOLKIT_SINGLE_FLIGHT",
        caption="How long each reader waited, from the quickest to the slowest",
        play=hot_key.play,
        size=hot_key.SIZE,
        headline=Figure("questions", "questions to the database"),
        figures=(
            Figure("readers", "Readers"),
            Figure("questions", "Questions to the database"),
            Figure("spared", "Answered without asking the database"),
            Figure("median", "Half of the readers waited at most", "ms"),
            Figure("longest", "The slowest reader waited", "ms"),
        ),
    ),
    Storm(
        name="absent-ids",
        title="Absent ids",
        story=(
            "Ten thousand lookups of lessons that do not exist, a different number each time, by twenty threads. That "
            "each of them is remembered does not help. The database takes 2 ms for a question, and answers eight at a "
            "time."
        ),
        defence="A Bloom filter of the keys there are: what it does not know does not exist.",
        setting="CacheManager(bloom=True)",
        caption="Questions to the database so far, lookup by lookup",
        play=absent_ids.play,
        size=absent_ids.SIZE,
        headline=Figure("questions", "questions to the database"),
        figures=(
            Figure("lookups", "Lookups"),
            Figure("questions", "Questions to the database"),
            Figure("spared", "Answered without asking the database"),
            Figure("found", "Lessons found that do not exist"),
            Figure("median", "Half of the lookups took at most", "ms"),
            Figure("seconds", "All of it took", "s"),
        ),
    ),
    Storm(
        name="mass-expiry",
        title="Mass expiry",
        story=(
            "After a restart the whole site is read once, so a thousand answers are stored within seconds of each "
            "other, each for an hour. Redis is then asked when each of them will expire."
        ),
        defence="Jitter: each life is shortened by up to a tenth, at random.",
        setting="REDIS_TOOLKIT_TTL_JITTER",
        caption="Answers that expire, by ten seconds of the hour's last minutes",
        play=mass_expiry.play,
        size=mass_expiry.SIZE,
        headline=Figure("busiest", "expire in the busiest second"),
        figures=(
            Figure("entries", "Answers stored"),
            Figure("written_within", "Stored within", "s"),
            Figure("busiest", "Expire in the busiest second"),
            Figure("spread", "From the first to the last", "s"),
        ),
    ),
    Storm(
        name="outage",
        title="Outage",
        story=(
            "Twenty readers read, fifty times a second each. Redis hangs after 1.5 s, dies after 3 s, and is back, "
            "empty, after 4 s. The database takes 5 ms for a question."
        ),
        defence="Time-outs and a breaker: after the first of them Redis is left alone until a probe finds it back.",
        setting="REDIS_TOOLKIT_READ_TIMEOUT",
        caption="Answers in each tenth of a second, and the longest wait",
        play=outage.play,
        size=outage.SIZE,
        headline=Figure("longest", "was the longest wait", "ms"),
        figures=(
            Figure("reads", "Reads answered in eight seconds"),
            Figure("hung", "Of these, in the second and a half in which Redis hung"),
            Figure("wrong", "Answers missing or wrong"),
            Figure("spared", "Answered without asking the database"),
            Figure("median", "Half of the readers waited at most", "ms"),
            Figure("longest", "The longest wait", "ms"),
        ),
    ),
)

#: Every storm, by the name that stands in addresses and commands.
STORMS = {storm.name: storm for storm in _ALL}
