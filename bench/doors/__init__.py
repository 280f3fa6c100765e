"""What guards a door, side by side: sessions and API tokens, ours and others'; and whether codes tell who is known.

``python -m bench doors``, or one of ``sessions``, ``tokens`` and ``codes``. ``plan.py`` has the table of who takes
part, ``ways.py`` says what each must be able to do, ``bare.py``, ``sessions.py`` and ``tokens.py`` are they. Each
library has a process of its own (``player.py``), a Redis database and one of PostgreSQL; ``run.py`` hands out the
turns, round by round in shuffled order, and ``report.py`` tells. Every timed answer is looked at: who gives a wrong one
is reported as WRONG.

Codes (``teller.py``, ``telling.py``) are not compared with others': requests for known and for unknown addresses are
timed in random order, and tests (``chance.py``) say whether who sees the times alone can tell them apart.
"""

from __future__ import annotations
