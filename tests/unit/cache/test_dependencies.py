"""Which stamps a query depends on: the finest that is certain to cover it."""

from __future__ import annotations
