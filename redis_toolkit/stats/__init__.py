"""Watchers: they hear the signals and count. No room knows them, and without them nothing else changes."""
