"""The accounts of the demo: `admin` may do everything, `office` edits the timetable and reads the dashboard.

`student` reads. They have no password: who has the mailbox is let in by a code.
"""

from __future__ import annotations

from base64 import b32encode

from django.contrib.auth.models import Group, Permission, User
from django.db.models import Q
from django.utils.crypto import salted_hmac

__all__ = ["ADDRESSES", "demo_password", "ensure_accounts"]

#: Where codes go. (Nobody's: `.example` is set aside for examples.)
ADDRESSES = {name: f"{name}@timetable.example" for name in ("admin", "office", "student")}
#: What the office may do in the dashboard: look, end what is wrong in the cache, bans, and sessions.
DASHBOARD = [
    *("view_statistic", "change_statistic", "view_server", "view_codecount"),
    *("view_ban", "delete_ban", "view_livesession", "delete_livesession"),
]


def demo_password() -> str:
    """The first password of both accounts of staff: this installation's own, and the same at each start."""
    digest = salted_hmac("demo_project.timetable.accounts", "password", algorithm="sha256").digest()
    letters = b32encode(digest).decode().lower()
    return f"{letters[:4]}-{letters[4:8]}-{letters[8:12]}"


def ensure_accounts() -> None:
    """Create the accounts where they are missing. Those that exist keep the passwords and the addresses they have."""
    if not User.objects.filter(username="admin").exists():
        User.objects.create_superuser("admin", ADDRESSES["admin"], demo_password())
    if not User.objects.filter(username="student").exists():
        User.objects.create_user("student", ADDRESSES["student"])
    office, _ = Group.objects.get_or_create(name="Timetable office")
    theirs = Q(content_type__app_label="timetable")
    theirs |= Q(content_type__app_label="redis_toolkit", codename__in=DASHBOARD)
    office.permissions.add(*Permission.objects.filter(theirs))
    if not User.objects.filter(username="office").exists():
        clerk = User.objects.create_user("office", ADDRESSES["office"], demo_password(), is_staff=True)
        clerk.groups.add(office)
    # An older demo gave them none.
    for name, address in ADDRESSES.items():
        User.objects.filter(username=name, email="").update(email=address)
