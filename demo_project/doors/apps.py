from __future__ import annotations

from django.apps import AppConfig


class DoorsConfig(AppConfig):
    name = "demo_project.doors"
    verbose_name = "Doors"
