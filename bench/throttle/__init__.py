"""What a check of a limit costs: ours, its peers, and what no check can be below. ``python -m bench throttle``.

``plan.py`` has the table of who takes part, ``ways.py`` says what each of them must be able to do, and ``bare.py``,
``ours.py``, ``rest.py`` and ``peers.py`` are they. Each library has a process of its own (``asker.py``) and a Redis
database of its own; ``run.py`` hands out the turns, round by round in shuffled order, and ``report.py`` tells.

All are asked the same: 1,000 in 30 days of a hundred clients who come in turn, which allows everything here, and 100 of
five clients who have used it up. Every answer that was timed is looked at: who denies what is allowed, or
allows what is to be denied, is reported as WRONG.
"""

from __future__ import annotations
