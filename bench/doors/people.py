"""The tables, and the users in them."""

from __future__ import annotations

from django.core.management import call_command

__all__ = ["add", "begin"]


def begin(users: int) -> None:
    """Make the tables, and users with the primary keys from 1 on."""
    call_command("migrate", run_syncdb=True, verbosity=0, interactive=False)
    add([f"user{at}@example.com" for at in range(1, users + 1)])


def add(addresses: list[str]) -> None:
    """Make users with these addresses."""
    from django.contrib.auth.models import User

    User.objects.bulk_create([User(username=each, email=each, password="!") for each in addresses])  # noqa: S106
