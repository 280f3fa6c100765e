"""How hard Hypothesis tries: HYPOTHESIS_PROFILE is dev (the default), ci or nightly."""

from __future__ import annotations

import os
from typing import NamedTuple

from hypothesis import HealthCheck, settings

__all__ = ["History", "history"]


class History(NamedTuple):
    """How much a state machine of ``tests/property`` does in a run."""

    examples: int
    steps: int
    #: Of the battery one question in so many is asked after a step; the others have their turns after the next ones.
    share: int
    #: The least share of hits among all reads of the run. Two examples may be all outage; two thousand are not.
    hits: float


HISTORIES = {"dev": History(2, 10, 3, 0.01), "ci": History(3, 10, 3, 0.2), "nightly": History(2_000, 15, 1, 0.4)}

# Examples talk to real servers, so neither their time nor a slow first one says anything about the code.
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)

settings.register_profile("dev", PATIENT, max_examples=50)
# The same examples on every run: a red build is then the change's doing.
settings.register_profile("ci", PATIENT, max_examples=200, derandomize=True, database=None)
settings.register_profile("nightly", PATIENT, max_examples=5_000, stateful_step_count=100)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))


def history() -> History:
    """What the profile in force asks of a state machine."""
    return HISTORIES[settings.get_current_profile_name()]
