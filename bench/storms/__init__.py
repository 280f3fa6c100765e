"""Storms: what a process and its database go through while Redis is in trouble, and when entries end together.

``python -m bench outage`` and ``python -m bench avalanche``. The driver makes the weather (``outage.py``,
``avalanche.py``), a worker of our own goes through it (``victim.py``).
"""
