from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("moving", "0001_initial")]
    operations = [
        migrations.RenameModel("Parcel", "Package"),
        migrations.DeleteModel("Crate"),
    ]
