"""Pages for staff, inside Django's admin."""
