"""What it costs to count: ``python -m bench write-behind``. An UPDATE for each time, and write-behind, in turns."""

from __future__ import annotations
