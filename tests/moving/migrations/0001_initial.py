from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel(
            name="Parcel",
            fields=[
                ("id", models.BigAutoField(primary_key=True)),
                ("name", models.CharField(max_length=20)),
                ("colour", models.CharField(max_length=20, default="red")),
            ],
        ),
        migrations.CreateModel(name="Crate", fields=[("id", models.BigAutoField(primary_key=True))]),
    ]
