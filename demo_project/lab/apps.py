from __future__ import annotations

from django.apps import AppConfig


class LabConfig(AppConfig):
    name = "demo_project.lab"
    verbose_name = "Lab"
