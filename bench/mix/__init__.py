"""Hit ratio and throughput while somebody writes: ``python -m bench mix``.

Four processes for each contestant read and write one timetable on PostgreSQL: 95 reads to 5 writes, over groups asked
for by Zipf's law. The contestants take turns, slice by slice, and each does the very same operations.
"""

from __future__ import annotations
