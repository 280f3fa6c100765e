"""How hard Hypothesis tries: HYPOTHESIS_PROFILE is dev (the default), ci or nightly."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

__all__: list[str] = []

# Examples talk to real servers, so neither their time nor a slow first one says anything about the code.
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)

settings.register_profile("dev", PATIENT, max_examples=50)
# The same examples on every run: a red build is then the change's doing.
settings.register_profile("ci", PATIENT, max_examples=200, derandomize=True, database=None)
settings.register_profile("nightly", PATIENT, max_examples=5_000, stateful_step_count=100)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))
