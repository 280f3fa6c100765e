"""Made-up ids: how many of them reach the database, and what they leave behind in Redis.

``prober.py`` asks in a process of its own, ``run.py`` starts one for each way of answering, and tells.
"""

from __future__ import annotations
