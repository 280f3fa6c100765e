"""Rows whose versions are known."""

from __future__ import annotations
