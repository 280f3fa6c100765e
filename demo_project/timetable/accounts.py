"""The accounts of the demo: `admin` may do everything, `office` edits the timetable and ends bans."""

from __future__ import annotations

from base64 import b32encode

from django.contrib.auth.models import Group, Permission, User
from django.db.models import Q
from django.utils.crypto import salted_hmac

__all__ = ["demo_password", "ensure_accounts"]


def demo_password() -> str:
    """The first password of both accounts: this installation's own, and the same at each start."""
    digest = salted_hmac("demo_project.timetable.accounts", "password", algorithm="sha256").digest()
    letters = b32encode(digest).decode().lower()
    return f"{letters[:4]}-{letters[4:8]}-{letters[8:12]}"


def ensure_accounts() -> None:
    """Create the accounts where they are missing. Those that exist keep the passwords they have."""
    if not User.objects.filter(username="admin").exists():
        User.objects.create_superuser("admin", password=demo_password())
    if not User.objects.filter(username="office").exists():
        clerk = User.objects.create_user("office", password=demo_password(), is_staff=True)
        office, _ = Group.objects.get_or_create(name="Timetable office")
        theirs = Q(content_type__app_label="timetable") | Q(codename__in=["view_ban", "delete_ban"])
        office.permissions.set(Permission.objects.filter(theirs))
        clerk.groups.add(office)
