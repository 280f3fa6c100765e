"""The storms, one module each: `play` calls the storm up and returns its `Outcome`."""

from __future__ import annotations
