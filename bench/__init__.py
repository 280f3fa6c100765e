"""Side by side: what a cached read costs here, in plain Django and in its peers.

``python -m bench`` starts a real Valkey and a real PostgreSQL, one worker process for each contestant (the peers
patch Django globally, so no two may share a process), and lets them take turns, round by round, in shuffled order.
Only the ratios of one run mean anything: machines differ, and so does one machine from hour to hour.

``python -m bench mix`` measures hits and throughput while somebody writes: see ``bench/mix/``.

``python -m bench stampede`` counts how often the database is asked when many ask at once for what is not there any
more: see ``bench/stampede/``.
"""

from __future__ import annotations
