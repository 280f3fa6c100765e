from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("moving", "0003_weight")]
    operations = [
        migrations.RenameField("Package", "colour", "shade"),
        migrations.RunSQL("UPDATE moving_package SET shade = 'blue'", "UPDATE moving_package SET shade = 'green'"),
        migrations.AlterField("Package", "name", models.CharField(max_length=40, unique=True)),
    ]
