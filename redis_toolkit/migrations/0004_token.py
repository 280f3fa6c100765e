from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("redis_toolkit", "0003_ban"),
    ]

    operations = [
        migrations.CreateModel(
            name="Token",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("digest", models.CharField(max_length=64, unique=True)),
                ("handle", models.CharField(max_length=32, unique=True)),
                ("user_id", models.CharField(db_index=True, max_length=255)),
                ("name", models.CharField(blank=True, max_length=100)),
                ("scopes", models.TextField(blank=True)),
                ("created", models.BigIntegerField()),
                ("expires", models.BigIntegerField(null=True)),
                ("last_used", models.BigIntegerField(null=True)),
                ("life", models.BigIntegerField(null=True)),
                ("until", models.BigIntegerField(null=True)),
                ("replaced", models.BooleanField(default=False)),
            ],
            options={
                "verbose_name": "API token",
                "db_table": "redis_toolkit_token",
                "default_permissions": ("view", "delete"),
            },
        ),
    ]
