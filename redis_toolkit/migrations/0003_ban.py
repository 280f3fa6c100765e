from django.db import migrations


class Migration(migrations.Migration):
    """No table: the permissions of the admin's page."""

    dependencies = [
        ("redis_toolkit", "0002_ledger"),
    ]

    operations = [
        migrations.CreateModel(
            name="Ban",
            fields=[],
            options={
                "verbose_name": "ban",
                "verbose_name_plural": "throttles and bans",
                "proxy": True,
                "default_permissions": ("view", "add", "delete"),
                "indexes": [],
                "constraints": [],
            },
            bases=("redis_toolkit.ledger",),
        ),
    ]
