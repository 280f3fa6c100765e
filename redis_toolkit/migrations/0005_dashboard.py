from django.db import migrations


def page(name: str, verbose_name: str, verbose_name_plural: str, *default_permissions: str) -> migrations.CreateModel:
    """A proxy: the permissions of a page, and its place in the admin."""
    return migrations.CreateModel(
        name=name,
        fields=[],
        options={
            "verbose_name": verbose_name,
            "verbose_name_plural": verbose_name_plural,
            "proxy": True,
            "default_permissions": default_permissions,
            "indexes": [],
            "constraints": [],
        },
        bases=("redis_toolkit.ledger",),
    )


class Migration(migrations.Migration):
    """No tables: the permissions of the admin's pages."""

    dependencies = [
        ("redis_toolkit", "0004_token"),
    ]

    operations = [
        page("Statistic", "cache statistic", "cache", "view", "change"),
        page("LiveSession", "session", "sessions", "view", "delete"),
        page("CodeCount", "one-time code", "one-time codes", "view"),
        page("Server", "server", "health of the servers", "view"),
    ]
