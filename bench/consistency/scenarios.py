"""Everything that is played: a scenario is a line of this table and a script in ``faults.py``."""

from __future__ import annotations

from dataclasses import dataclass

from bench.consistency import faults
from bench.consistency.faults import Fault

__all__ = ["CORNER", "SCENARIOS", "Scenario", "chosen"]

#: The documented corner: a process that could not tell Redis of its write, while others can reach it, is heard of this
#: much later. ``docs/explanation/caveats.md``.
CORNER = 1.0
LIVES = (0.07, 0.2)
LONGER_LIVES = (0.15, 0.35)  # each of these deaths leaves marks


@dataclass(frozen=True, slots=True)
class Scenario:
    """What goes wrong and what is tolerated.

    ``keeps_marks``: nothing takes marks away, so reads are exact from the COMMIT on, and not only from its return.
    ``allowed_seconds``: how old a stale read may be. ``away``: Redis is away for a stretch, so worst reads are judged.
    ``lives``: writers are killed after a time between these bounds, as shares of the load's; ``after_commit``: they
    kill themselves, after the COMMIT that comes next.
    ``naps``: one more reader sleeps for seconds at a time.
    """

    name: str
    title: str
    fault: Fault = faults.nothing
    keeps_marks: bool = False
    allowed_seconds: float = 0.0
    away: bool = False
    lives: tuple[float, float] | None = None
    after_commit: bool = False
    naps: bool = False


SCENARIOS = (
    Scenario("plain", "plain load", keeps_marks=True),
    Scenario("latency", "latency of 0.6 to 4 ms", faults.slow, keeps_marks=True),
    Scenario("killed-writers", "kill -9 of writers at random moments", keeps_marks=True, lives=LIVES),
    Scenario(
        "killed-after-commit", "kill -9 of writers right after COMMIT", keeps_marks=True, lives=LONGER_LIVES,
        after_commit=True,
    ),
    Scenario("restarted", "Redis killed and restarted empty, 3 times", faults.restarted),
    Scenario("frozen", "Redis frozen for 3 s", faults.frozen, away=True),
    Scenario("refusing", "Redis refuses for 5 s", faults.refusing, away=True),
    Scenario("black-holed", "Redis black-holed for 5 s", faults.black_holed, away=True),
    # What these writers could not tell Redis of is in the outbox, which outlives them.
    Scenario(
        "killed-while-refusing", "kill -9 of writers while Redis refuses", faults.refusing_late, away=True,
        lives=(0.03, 0.1),
    ),
    Scenario("blinking", "Redis refuses for 60 ms, 10 times", faults.blinking, allowed_seconds=CORNER),
    Scenario("slept-through", "a reader sleeps through a refusal", faults.refusing, allowed_seconds=CORNER, naps=True),
    Scenario("evicting", "eviction pressure", faults.evicting),
    Scenario("killed-clients", "all clients killed every 250 ms", faults.killed_clients),
    Scenario("promoted", "promotion of a replica that lags 200 ms, 3 times", faults.promoted),
)  # fmt: skip


def chosen(names: str | None) -> list[Scenario]:
    """The scenarios named in a comma-separated list, all without one. Raises ``ValueError`` on a name unknown."""
    if names is None:
        return list(SCENARIOS)
    wanted = {name.strip() for name in names.split(",")}
    unknown = wanted - {scenario.name for scenario in SCENARIOS}
    if unknown:
        known = ", ".join(scenario.name for scenario in SCENARIOS)
        message = f"no scenario is called {', '.join(sorted(unknown))}; there are {known}"
        raise ValueError(message)
    return [scenario for scenario in SCENARIOS if scenario.name in wanted]
