from __future__ import annotations

from django.db import migrations, models


def weigh(apps, schema_editor):
    """By models as they were: one is saved, one updated by its key, the others at once."""
    packages = apps.get_model("moving", "Package").objects.using(schema_editor.connection.alias)
    for at, package in enumerate(packages.order_by("pk")):
        package.weight = len(package.name)
        if at == 0:
            package.save()
        elif at == 1:
            packages.filter(pk=package.pk).update(weight=package.weight)
        else:
            packages.bulk_update([package], ["weight"])


class Migration(migrations.Migration):
    dependencies = [("moving", "0002_package")]
    operations = [
        migrations.AddField("Package", "weight", models.IntegerField(default=0)),
        migrations.RunPython(weigh, migrations.RunPython.noop),
    ]
